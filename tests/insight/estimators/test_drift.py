from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators.drift import capacity_effect, chi_squared_99, drift
from metrics.effect import Grade
from metrics.histogram import Histogram

BOUNDS = tuple(float(edge) for edge in range(1, 10))


def observed(counts: list[float]) -> Histogram:
    return Histogram(BOUNDS, tuple(counts), sum((place + 0.5) * count for place, count in enumerate(counts)))


def drawn(draw: random.Random, count: int, shift: float = 0.0) -> Histogram:
    counts = [0.0] * 10
    for _ in range(count):
        counts[min(9, int(10 * draw.random() ** (1 + shift)))] += 1
    return observed(counts)


@pytest.mark.parametrize("count", [60, 200, 1000])
def test_no_drift_is_found_where_there_is_none(count: int) -> None:
    """At most 3 % of 400 windows from the reference's own distribution are called a drift, however small they are."""
    called = 0
    for seed in range(400):
        draw = random.Random(seed)
        found = drift(drawn(draw, count), drawn(draw, 5000))
        assert found is not None
        called += found.level != "none"
    assert called <= 12


def test_small_windows_pass_the_folklore_limit_by_chance() -> None:
    """60 requests have a PSI above 0.1 in more than half of the windows: what the correction is for."""
    above = 0
    for seed in range(200):
        draw = random.Random(seed)
        found = drift(drawn(draw, 60), drawn(draw, 5000))
        assert found is not None
        above += found.psi > 0.1
    assert above > 100


def test_a_drift_is_found() -> None:
    """200 requests of a clearly other distribution are a major drift in 95 % of the windows or more."""
    found = [drift(drawn(draw, 200, 1.0), drawn(draw, 5000)) for draw in map(random.Random, range(100))]
    assert sum(each is not None and each.level == "major" for each in found) >= 95


def test_psi_and_js_by_hand() -> None:
    """Two bins of 3:1 against 1:3: PSI is ln 3, and JS 1 less the entropy of 1/4."""
    one = Histogram((1.0,), (75_000.0, 25_000.0), 0.0)
    other = Histogram((1.0,), (25_000.0, 75_000.0), 0.0)
    found = drift(one, other)
    assert found is not None
    assert found.psi == pytest.approx(math.log(3), rel=1e-3)
    entropy = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    assert found.js == pytest.approx(1 - entropy, rel=1e-3)
    assert (found.n, found.m, found.bins) == (100_000, 100_000, 2)


@given(st.lists(st.integers(0, 60), min_size=10, max_size=10), st.lists(st.integers(0, 60), min_size=10, max_size=10))
def test_the_divergences_are_bounded_and_symmetric(one: list[int], other: list[int]) -> None:
    """PSI is 0 or more, JS lies in [0, 1], and neither depends on which is the reference."""
    there = drift(observed(list(map(float, one))), observed(list(map(float, other))))
    back = drift(observed(list(map(float, other))), observed(list(map(float, one))))
    if there is None or back is None:
        assert there is back
        return
    assert there.psi >= 0
    assert 0 <= there.js <= 1
    assert there.psi == pytest.approx(back.psi)
    assert there.chance == pytest.approx(back.chance)
    assert 2 <= there.bins <= 10


def test_windows_that_cannot_be_compared() -> None:
    """Other bounds, nothing seen, or too little for two bins: no drift is told."""
    some = observed([50.0] * 10)
    assert drift(some, Histogram((1.0, 2.0), (50.0, 50.0, 50.0), 0.0)) is None
    assert drift(observed([0.0] * 10), some) is None
    assert drift(observed([1.0] * 8 + [0.0] * 2), some) is None


@pytest.mark.parametrize(("freedom", "value"), [(1, 6.635), (4, 13.277), (9, 21.666), (20, 37.566)])
def test_chi_squared(freedom: int, value: float) -> None:
    """Within 1 % of the tables."""
    assert chi_squared_99(freedom) == pytest.approx(value, rel=0.01)


def test_the_effect_goes_by_the_fit_not_by_the_statistic() -> None:
    """From one forecast to the other, the interval wider the more the mix changes."""
    slight, strong = capacity_effect(10.0, 9.0, 300.0, 60.0), capacity_effect(10.0, 6.0, 300.0, 60.0)
    assert (slight.now, slight.mid, slight.n, slight.window_seconds) == (10.0, 9.0, 300.0, 60.0)
    assert slight.lo == pytest.approx(10 * (0.9 - 0.03))
    assert (slight.grade, strong.grade) == (Grade.B, Grade.C)
    assert capacity_effect(None, 9.0, 300.0, 60.0).basis == "unknown"
    assert capacity_effect(10.0, None, 300.0, 60.0).needs
