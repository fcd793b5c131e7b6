from __future__ import annotations

from insight.quality.batches import batches, before, finished
from metrics.quality import Arm, Graded, Outcome
from metrics.sample import Sample, Source
from metrics.store import Store
from metrics.view import SourceView, View

NAME = "quality:http://127.0.0.1:8000"


def asked(number: int, *items: str, outcome: Outcome = Outcome.RIGHT, arm: Arm = Arm.ONLY) -> list[Graded]:
    return [
        Graded(each, "f", outcome, wall=1e9 + 100 * number + n, round=number, arm=arm) for n, each in enumerate(items)
    ]


def source(passes: int | None, *graded: Graded) -> SourceView:
    store = Store()
    facts = {} if passes is None else {"passes": str(passes)}
    store.add(Sample(NAME, Source.QUALITY, 1e9, 1.0, graded=graded, facts=facts))
    return View(store, 1.0, 1e9).of(NAME)


def test_passes_in_order() -> None:
    """Each with what was answered in it, and when."""
    one, two = batches([*asked(0, "a", "b"), *asked(1, "a")])
    assert (one.number, sorted(one.answers), one.ended - one.began) == (0, ["a", "b"], 1.0)
    assert (two.number, sorted(two.answers)) == (1, ["a"])
    assert batches([]) == []


def test_a_program_that_was_started_anew() -> None:
    """Its numbers begin at 0 again: another pass begins where a question comes twice, and arms are no such thing."""
    arms = [*asked(0, "a", arm=Arm.COLD), *asked(0, "a", arm=Arm.WARM), *asked(0, "a", arm=Arm.AGAIN)]
    found = batches([*arms, *asked(0, "b"), *arms, *asked(0, "b"), *asked(1, "b"), *asked(0, "b")])
    assert [(each.number, len(each.graded)) for each in found] == [(0, 4), (0, 4), (1, 1), (0, 1)]


def test_only_what_is_over_and_was_answered() -> None:
    """The pass under way is left out, and so is one in which nothing was answered."""
    rows = [*asked(0, "a"), *asked(1, "a", outcome=Outcome.FAILED), *asked(2, "a")]
    assert [each.number for each in finished(source(2, *rows))] == [0]
    assert [each.number for each in finished(source(3, *rows))] == [0, 2]
    assert [each.number for each in finished(source(None, *rows))] == [0]
    assert finished(source(0)) == []


def test_the_last_before_a_change() -> None:
    """The newest pass that had ended by then."""
    passes = batches([*asked(0, "a"), *asked(1, "a"), *asked(2, "a")])
    found = before(passes, 1e9 + 150)
    assert found is not None
    assert found.number == 1
    assert before(passes, 1e9 - 1) is None
