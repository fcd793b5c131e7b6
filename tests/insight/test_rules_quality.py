"""The rules about answers: what a change of the accuracy, of the meaning, and of a warm cache comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from metrics.finding import Severity
from metrics.quality import Arm, Graded, Outcome
from metrics.sample import Event, Sample, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.insight.conftest import Drive

WALL = 1_800_000_000.0
ITEMS = 60


def asked(begin: float, right: int, number: int, relevancy: float | None = None) -> tuple[Graded, ...]:
    """Answer 60 questions, one a second, the first so many of them rightly."""
    return tuple(
        Graded(
            f"q{index}",
            "f",
            Outcome.RIGHT if index < right else Outcome.WRONG,
            WALL + begin + index,
            round=number,
            relevancy=None if relevancy is None else relevancy + index % 5 / 100,
        )
        for index in range(ITEMS)
    )


def examined(
    drive: Drive, passes: Iterable[tuple[Graded, ...]], *, changed_at: float | None = None, kind: str = "mark"
) -> None:
    """Let the passes come in, each in 100 s, and the server restart in between."""
    done = 0
    for done, graded in enumerate(passes, 1):
        mono = done * 100.0
        events: tuple[Event, ...] = ()
        if changed_at is not None and mono - 100 <= changed_at < mono:
            events = (Event(WALL + changed_at, kind, "switched to fp8"),)
        quality = Sample(
            "quality:http://a", Source.QUALITY, WALL + mono, mono, graded=graded, facts={"passes": str(done)}
        )
        drive.poll(mono, Sample("http://a", Source.SERVER, WALL + mono, mono, events=events), quality)


def test_a_regression_takes_two_passes_after_a_good_one(drive: Callable[[], Drive]) -> None:
    """From 58 of 60 right to 45: one such pass is not judged yet, the second fires, critical."""
    good, bad = asked(0, 58, 0), [asked(100.0 * n, 45, n) for n in (1, 2)]
    once, twice = drive(), drive()
    examined(once, [good, bad[0]])
    assert once.risk("quality_regression").state.value == "unknown"
    assert "needs 2 passes" in once.risk("quality_regression").summary
    examined(twice, [good, *bad])
    risk = twice.risk("quality_regression")
    assert (risk.state.value, risk.severity) == ("firing", Severity.CRITICAL)
    assert "13 of 60 answers got worse" in risk.summary
    assert risk.evidence[0].count == ITEMS


def test_the_change_before_it_is_named(drive: Callable[[], Drive]) -> None:
    """A mark between the passes is what the finding speaks of, and the pass before it what it compares with."""
    driven = drive()
    passes = [asked(0, 57, 0), asked(100, 58, 1), asked(200, 45, 2), asked(300, 45, 3)]
    examined(driven, passes, changed_at=190.0)
    assert "switched to fp8" in driven.risk("quality_regression").description


@pytest.mark.parametrize("f1", [False, True])
@pytest.mark.parametrize("kind", ["mark", "restart"])
def test_a_change_while_answers_are_bad_makes_them_no_usual_ones(
    drive: Callable[[], Drive], kind: str, f1: bool
) -> None:
    """A mark or a restart between bad passes: the last good pass stays what they are compared with, and it fires on."""
    driven = drive()
    passes = [asked(100.0 * n, 58 if f1 or n < 2 else 45, n) for n in range(7)]
    if f1:
        passes = [
            tuple(replace(each, f1=(0.9 if n < 2 else 0.6) + i % 5 / 100) for i, each in enumerate(graded))
            for n, graded in enumerate(passes)
        ]
    examined(driven, passes, changed_at=395.0, kind=kind)
    risk = driven.risk("quality_regression")
    assert (risk.state.value, risk.severity) == ("firing", Severity.CRITICAL)
    assert len(risk.episodes) == 1
    assert risk.description.startswith("Against the first pass")


def test_a_mark_on_good_answers_moves_what_they_are_compared_with(drive: Callable[[], Drive]) -> None:
    """From 50 to 58 of 60, then a mark, then 45: 13 fewer than before the mark, and not 5 fewer than at first."""
    driven = drive()
    examined(driven, [asked(100.0 * n, (50, 58, 58, 45, 45)[n], n) for n in range(5)], changed_at=295.0)
    risk = driven.risk("quality_regression")
    assert "13 of 60 answers got worse" in risk.summary
    assert "switched to fp8" in risk.description


def test_answers_as_good_as_before_are_no_regression(drive: Callable[[], Drive]) -> None:
    """One question fewer right of 60 is chance; without --quality the row says what it needs."""
    driven = drive()
    examined(driven, [asked(0, 58, 0), asked(100, 58, 1), asked(200, 58, 2)])
    assert driven.states()["quality_regression"] == "not_observed"
    assert drive().risk("quality_regression").summary == "not measured: needs --quality before and after a change"


def test_answers_that_went_off_their_questions_are_a_drift(drive: Callable[[], Drive]) -> None:
    """Relevancy down by 0.2 in two passes running."""
    driven = drive()
    examined(driven, [asked(0, 58, 0, 0.8), asked(100, 58, 1, 0.6), asked(200, 58, 2, 0.6)])
    driven.poll(305.0, Sample("http://a", Source.SERVER, WALL + 305, 305.0))
    risk = driven.risk("model_drift")
    assert risk.state.value == "firing"
    assert "relevancy changed by -0.2" in risk.summary


def compared(drive: Drive, pairs: int, spoilt: int) -> None:
    """Ask with a cold cache, a warm one and a cold one again; the warm answer differs for so many."""
    graded = []
    for index in range(pairs):
        for arm in (Arm.COLD, Arm.WARM, Arm.AGAIN):
            text = "other" if arm is Arm.WARM and index < spoilt else "same"
            tokens = 400 if arm is Arm.WARM else 0
            item = f"c{index}"
            sure = -0.5 if text == "other" else -0.1
            one = Graded(item, "f", Outcome.RIGHT, WALL + index, arm=arm, digest=text, cached_tokens=tokens)
            graded.append(replace(one, first_logprob=sure))
    quality = Sample("quality:http://a", Source.QUALITY, WALL, 1.0, graded=tuple(graded))
    drive.poll(1.0, Sample("http://a", Source.SERVER, WALL, 1.0), quality)


@pytest.mark.parametrize(
    ("pairs", "spoilt", "state"), [(60, 12, "firing"), (60, 1, "not_observed"), (20, 8, "unknown")]
)
def test_a_cache_that_changes_answers_is_found_against_the_base_rate(
    drive: Callable[[], Drive], pairs: int, spoilt: int, state: str
) -> None:
    """12 of 60 warm answers differ where no two cold ones do; with 20 pairs it cannot be told."""
    driven = drive()
    compared(driven, pairs, spoilt)
    risk = driven.risk("cache_inconsistency")
    assert risk.state.value == state
    if state == "firing":
        assert risk.severity is Severity.CRITICAL
        shifted = risk.evidence[1]
        assert shifted.quantity == "first_token"
        assert shifted.value == pytest.approx(0.08)
        assert "off by 0.08 with a warm cache, by 0 without" in shifted.text
