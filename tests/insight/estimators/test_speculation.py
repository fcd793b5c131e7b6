from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators import speculation


def drafts(seed: int, count: int, rates: list[float]) -> list[float]:
    """Draw drafts that are accepted up to the first wrong token; count the accepted ones by position."""
    draw = random.Random(seed)
    accepted = [0.0] * len(rates)
    for _ in range(count):
        for position, rate in enumerate(rates):
            if draw.random() >= rate:
                break
            accepted[position] += 1
    return accepted


def test_the_interval_holds_the_accepted_length() -> None:
    """1 + 0.8 + 0.8 * 0.5 in 85 % of 200 runs or more, with the positions and, wider, without them."""
    held = wide = 0
    for seed in range(200):
        by_position = drafts(seed, 400, [0.8, 0.5])
        exact = speculation.accepted_length(400, sum(by_position), 800, by_position)
        without = speculation.accepted_length(400, sum(by_position), 800)
        assert exact is not None
        assert without is not None
        held += exact.lo <= 2.2 <= exact.hi
        wide += without.lo <= 2.2 <= without.hi
        assert without.hi - without.lo >= exact.hi - exact.lo - 1e-9
    assert held >= 170
    assert wide >= held


def test_few_drafts_say_nothing() -> None:
    """Below 100 drafts there is no accepted length, no best one, and no prediction."""
    assert speculation.accepted_length(99, 90) is None
    assert speculation.best_length(99, [50.0], lambda _: 0.01) is None
    assert speculation.switched_off(None, 0.01, None).basis == "unknown"


def test_waste() -> None:
    """Half of the drafted tokens thrown away."""
    found = speculation.accepted_length(100, 200, 400)
    assert found is not None
    assert (found.value, found.waste) == (3.0, 0.5)


def test_it_pays_from_the_break_even_on() -> None:
    """A step of 15 ms against 10 ms needs 1.5 tokens; with 2, switching off makes 7.5 ms into 10 ms."""
    assert speculation.break_even(0.015, 0.010) == pytest.approx(1.5)
    length = speculation.accepted_length(1000, 1000, 4000)
    found = speculation.switched_off(length, 0.015, (0.009, 0.010, 0.011))
    assert found.now == pytest.approx(0.0075)
    assert (found.lo, found.mid, found.hi) == (0.009, 0.010, 0.011)


def test_without_the_other_step_time_it_says_what_is_missing() -> None:
    """No number, and the step time up to which speculation loses."""
    found = speculation.switched_off(speculation.accepted_length(1000, 1000), 0.015, None)
    assert (found.basis, found.mid) == ("unknown", None)
    assert "7.5 ms" in found.needs


def test_the_best_length_by_position() -> None:
    """Acceptances of 0.8, 0.6 and 0.1 with 1 ms a drafted token on 10 ms: two tokens are best, by hand."""
    found = speculation.best_length(1000, [800, 600, 100], lambda k: 0.010 + 0.001 * k)
    assert found is not None
    assert found[0] == 2
    assert found[1] == pytest.approx(0.012 / 2.4)
    assert speculation.best_length(1000, [800], lambda _: None) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 0.01))
def test_no_length_is_better_than_the_best(rates: list[float], dear: float) -> None:
    """Of all lengths up to today's, none gives fewer seconds a token."""
    accepted = [1000 * rate for rate in sorted(rates, reverse=True)]
    found = speculation.best_length(1000, accepted, lambda k: 0.01 + dear * k)
    assert found is not None
    for k in range(len(accepted) + 1):
        assert found[1] <= (0.01 + dear * k) / (1 + sum(accepted[:k]) / 1000) + 1e-12
