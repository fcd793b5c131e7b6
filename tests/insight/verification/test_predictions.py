"""What was foretold, held against what a simulated server then did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from insight.report.text import text
from insight.verification.blocks import prediction_blocks, score_text
from insight.verification.followed import unknown_ids
from insight.verification.forecast import STEP_TIME
from insight.verification.predictions import score, verify
from metrics.effect import Effect, Grade
from metrics.finding import Change, Recommendation
from tests.compared import side

if TYPE_CHECKING:
    from insight.verification.prediction import Prediction
    from insight.verification.side import Side

SECONDS = 420


def advice(effect: Effect | None, *changes: Change) -> Recommendation:
    return Recommendation("prefix_caching", "Turn the prefix cache on", (), effect, (), changes=changes)


def itl(lo: float | None, mid: float | None, hi: float | None, quantity: str = "itl_seconds") -> Effect:
    return Effect(quantity, 0.0202, lo, mid, hi, "s", "model", Grade.B)


CACHE_ON = Change("--enable-prefix-caching", "False", "True", restart=True)


def held(effect: Effect, *changes: Change, after: Side | None = None, **how: str | tuple[str, ...]) -> Prediction:
    """Hold an effect on a server whose prefix cache is turned on against what came; the model's own is left out."""
    before = replace(side(1, SECONDS, caching=False), recommendations=(advice(effect, *(changes or (CACHE_ON,))),))
    found = verify(before, after or side(2, SECONDS), **how)  # type: ignore[arg-type] # either keyword
    return next(each for each in found if each.id != STEP_TIME)


def test_what_came_lies_in_the_interval() -> None:
    """ITL falls from 20 to 16 ms when the cache is turned on: foretold, measured and covered."""
    found = held(itl(0.0150, 0.0160, 0.0170))
    assert found.covered is True
    assert found.measured == pytest.approx(0.016, rel=0.05)
    assert found.why == "--enable-prefix-caching False -> True"
    assert found.least is not None
    assert found.most is not None
    assert found.least < 0.0150
    assert found.most > 0.0170


def test_what_did_not_come_is_not_covered() -> None:
    """Half of it was foretold, and it did not come."""
    assert held(itl(0.0090, 0.0100, 0.0110)).covered is False


def test_the_luck_of_arrivals_is_no_miss() -> None:
    """An interval that what came misses by less than chance moves it is covered; an end that is not there is kept."""
    measured = held(itl(0.015, 0.016, 0.017)).measured
    assert measured is not None
    assert held(itl(measured * 0.97, measured * 0.985, measured * 0.995)).covered is True
    assert held(itl(None, None, 0.017)).covered is True
    assert held(itl(0.018, None, None)).covered is False


def test_a_quantile_is_held_by_its_bounds() -> None:
    """Of a p95 only the bucket is known, and that is enough for what lies in it."""
    assert held(itl(0.026, 0.030, 0.040, "itl_p95")).covered is True


@pytest.mark.parametrize(
    ("effect", "changes", "words"),
    [
        (itl(1.0, 2.0, 3.0, "sm_clock_hertz"), (), "sm clock hertz became is not measured"),
        (Effect("requests_finished", 12.0, 14.0, 15.0, 16.0, "1/s", "model", Grade.B), (), "no queue stood"),
    ],
)
def test_what_cannot_be_told_says_why(effect: Effect, changes: tuple[Change, ...], words: str) -> None:
    """Neither a yes nor a no where what came was not seen."""
    found = held(effect, *changes)
    assert found.covered is None
    assert words in found.why


def test_a_setting_that_became_another_is_no_test_of_the_advice() -> None:
    """The effect is foretold for the value that was proposed."""
    limit = Change("--max-num-seqs", "128", "256", restart=True)
    before = replace(side(1, SECONDS), recommendations=(advice(itl(0.01, 0.02, 0.03), limit),))
    other = replace(side(2, SECONDS), settings={**side(2, SECONDS).settings, "flag_max_num_seqs": "64"})
    found = next(each for each in verify(before, other) if each.id != STEP_TIME)
    assert found.covered is None
    assert found.why == "--max-num-seqs was set to 64, and the effect is foretold for 256"


def test_another_load_and_a_short_time_tell_nothing() -> None:
    """What came is only held against what was foretold for the same load, over five minutes and more."""
    assert "the load is not the same: requests" in held(itl(0.01, 0.016, 0.02), after=side(2, SECONDS, 9.0)).why
    assert held(itl(0.01, 0.016, 0.02), after=side(2, SECONDS, 9.0)).covered is None
    assert "too short: it takes 5 min" in held(itl(0.01, 0.016, 0.02), after=side(2, 240)).why


def test_advice_that_nobody_followed_is_not_held() -> None:
    """Nothing was changed and nothing named: nothing is foretold; named by its id or by the mark it is."""
    before = replace(side(1, SECONDS), recommendations=(advice(itl(0.01, 0.016, 0.02), CACHE_ON),))
    after = side(2, SECONDS)
    assert verify(before, after) == ()
    assert verify(before, after, applied=["prefix_caching"])[0].why == "named by --applied"
    assert verify(before, after, mark="--enable-prefix-caching now")[0].why.startswith("the mark says")
    assert verify(before, after, mark="lunch") == ()
    assert verify(replace(before, recommendations=(advice(None, CACHE_ON),)), after, ["prefix_caching"]) == ()
    assert unknown_ids(before, ["prefix_caching", "nonsense"]) == ["nonsense"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lambda: side(1, SECONDS), lambda: side(2, SECONDS, caching=False)),
        (lambda: side(1, SECONDS, caching=False), lambda: side(2, SECONDS)),
        (lambda: side(1, SECONDS), lambda: side(3, SECONDS, slots=56)),
    ],
    ids=["cache off", "cache on", "fewer slots"],
)
def test_the_step_time_model_foretells_what_the_scheduler_makes_of_it(before: object, after: object) -> None:
    """Fitted before, asked for the load and limits of after, it holds ITL within 10 % (20 of 20 offline)."""
    assert callable(before)
    assert callable(after)
    (found,) = verify(before(), after())
    assert found.id == STEP_TIME
    assert found.covered is True
    assert found.mid is not None
    assert found.measured == pytest.approx(found.mid, rel=0.05)


def test_the_model_says_where_it_cannot_foretell() -> None:
    """Where windows make no model, that is said in place of a number."""
    (found,) = verify(side(1, SECONDS, 3.0), side(2, SECONDS, 3.0, caching=False))
    assert found.covered is None
    assert found.mid is None
    assert found.why.startswith("there is no step-time model of seed 1: ")


def test_the_score_counts_what_could_be_told() -> None:
    """Covered and not covered with the interval that so few leave; what could not be told does not count."""
    yes, no = held(itl(0.015, 0.016, 0.017)), held(itl(0.009, 0.01, 0.011))
    told = score([yes, yes, no, replace(yes, covered=None)])
    assert told is not None
    assert told.value == pytest.approx(2 / 3)
    assert told.n == 3
    assert told.lo < 0.3
    assert score([replace(yes, covered=None)]) is None
    assert score_text(told).startswith("Of all predictions so far 2 of 3 came within")


def test_it_can_be_read() -> None:
    """Foretold, expected with the luck of arrivals, measured, and whether it is covered stand side by side."""
    written = text(prediction_blocks([held(itl(0.015, 0.016, 0.017))], None))
    for word in ("16 ms", "15-17 ms", "yes", "--enable-prefix-caching False -> True", "No prediction could be held"):
        assert word in written
    assert prediction_blocks([], None) == []
