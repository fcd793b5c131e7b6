from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators import residual
from metrics.effect import Grade


def residuals(seed: int, count: int, effect: float, alike: float) -> tuple[list[float], list[bool]]:
    """Draw residuals of windows, the second half of them under a condition that costs so much."""
    draw, left = random.Random(seed), 0.0
    values = []
    for place in range(2 * count):
        left = alike * left + draw.gauss(0, 0.05 * (1 - alike**2) ** 0.5)
        values.append(left + (effect if place >= count else 0.0))
    return values, [place >= count for place in range(2 * count)]


@pytest.mark.parametrize(("count", "alike"), [(10, 0.0), (40, 0.0), (20, 0.5), (40, 0.8)])
def test_the_interval_holds_the_effect(count: int, alike: float) -> None:
    """In 85 % of 200 runs or more, also where neighbours are alike."""
    held = 0
    for seed in range(200):
        found = residual.attribute(*residuals(seed, count, 0.2, alike), now=0.012, window_seconds=3.0 * 2 * count)
        assert found.share is not None
        held += found.share.lo <= 0.2 <= found.share.hi
    assert held >= 170


def test_without_the_condition_itl_would_be_shorter() -> None:
    """20 % longer with it: of 12 ms now 10 ms would be left, grade B."""
    values, holds = residuals(1, 60, 0.2, 0.0)
    found = residual.attribute(values, holds, now=0.012, window_seconds=360).effect
    assert found.mid == pytest.approx(0.010, rel=0.03)
    assert found.lo is not None
    assert found.hi is not None
    assert found.lo < 0.0101 < found.hi < 0.0104
    assert found.grade is Grade.B
    assert any("not shown to be the cause" in each for each in found.assumptions)


def test_chance_is_called_chance() -> None:
    """No effect is found in 80 % of the runs without one, and then the grade is C."""
    found = [residual.attribute(*residuals(seed, 30, 0.0, 0.0), now=0.01, window_seconds=180) for seed in range(100)]
    by_chance = [each for each in found if each.share is not None and not each.share.certain]
    assert len(by_chance) >= 80
    assert all(each.effect.grade is Grade.C for each in by_chance)


def test_ten_windows_of_each_are_needed() -> None:
    """With nine there is no number, and the counts are said."""
    found = residual.attribute([0.1] * 19, [True] * 9 + [False] * 10, 0.01, 57)
    assert (found.share, found.effect.basis) == (None, "unknown")
    assert "9 and 10" in found.effect.needs


def test_welch_by_hand() -> None:
    """Values that differ from their neighbours and not otherwise: 1.9 to 2.1 around a difference of 2."""
    one, other = [3.1, 2.9] * 20, [1.1, 0.9] * 20
    found = residual.welch(one, other)
    assert found.value == pytest.approx(2.0)
    assert found.hi - found.value == pytest.approx(1.665 * (2 * 0.01 * 40 / 39 / 40) ** 0.5, rel=0.05)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40), st.lists(st.floats(-1, 1), min_size=2, max_size=40))
def test_welch_holds_its_value_and_mirrors(one: list[float], other: list[float]) -> None:
    """The difference lies within its interval, which mirrors when the two change places."""
    there, back = residual.welch(one, other), residual.welch(other, one)
    assert there.lo <= there.value <= there.hi
    assert there.lo == pytest.approx(-back.hi)


def test_a_residual_is_a_share() -> None:
    """12 ms where 10 were expected are 20 % more."""
    assert residual.residual(0.012, 0.010) == pytest.approx(0.2)
