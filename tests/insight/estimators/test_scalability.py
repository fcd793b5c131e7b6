from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators.scalability import Scalability, capacity, fit, oversaturated
from metrics.effect import Grade

LAW = Scalability(30.0, 0.03, 0.97 / 111**2)
"""Its maximum lies at 111."""


def measured(seed: int, furthest: float, noise: float = 0.05) -> list[tuple[float, float]]:
    draw = random.Random(seed)
    return [
        (n, LAW.throughput(n) * (1 + draw.gauss(0, noise))) for n in (draw.uniform(1, furthest) for _ in range(120))
    ]


@given(st.floats(1, 100), st.floats(0.001, 0.5), st.floats(1e-6, 1e-2))
def test_an_exact_law_is_found(rate: float, contention: float, coherency: float) -> None:
    """Points of a law without noise give it back."""
    law = Scalability(rate, contention, coherency)
    found = fit([(float(n), law.throughput(n)) for n in range(1, 61)])
    assert found is not None
    assert found.rate == pytest.approx(rate, rel=1e-4)
    assert found.contention == pytest.approx(contention, rel=1e-3)
    assert found.coherency == pytest.approx(coherency, rel=1e-2)


def test_no_coefficient_is_negative() -> None:
    """More than linear growth is fitted as linear, with no maximum."""
    found = fit([(float(n), n**1.2) for n in range(1, 41)])
    assert found is not None
    assert found.contention >= 0
    assert found.coherency >= 0


@pytest.mark.parametrize("seed", range(5))
def test_data_that_end_early_say_only_what_was_seen(seed: int) -> None:
    """Up to 20 or 50 of 111 at once: at least the highest throughput seen, no number above it."""
    for furthest in (20, 50):
        points = measured(seed, furthest)
        found = capacity(points)
        assert (found.basis, found.mid, found.hi, found.grade) == ("bound", None, None, Grade.C)
        assert found.lo == max(x for _, x in points)


def test_data_that_reach_the_maximum_give_it() -> None:
    """Up to 140 at once: the true maximum inside the interval in 85 % of 40 runs or more, within 5 %."""
    most, held, told = LAW.throughput(LAW.peak), 0, 0
    for seed in range(40):
        found = capacity(measured(seed, 140))
        if found.mid is None or found.lo is None or found.hi is None:
            continue
        told += 1
        held += found.lo <= most <= found.hi
        assert found.mid == pytest.approx(most, rel=0.05)
    assert told >= 35
    assert held >= 0.85 * told


def test_few_points_say_what_is_missing() -> None:
    """Below 20 there is no law."""
    found = capacity(measured(1, 100)[:19])
    assert (found.basis, found.mid) == ("unknown", None)
    assert found.needs


def test_past_the_knee_both_grow() -> None:
    """A queue and a TTFT that grow by a tenth each 10 s, with noise; one alone is not enough, nor is a short look."""
    draw = random.Random(2)
    times = [10.0 * place for place in range(12)]
    grows, stays = ([(1 + up * t / 100) * (1 + draw.gauss(0, 0.05)) for t in times] for up in (1.0, 0.0))
    assert oversaturated(times, grows, grows) is True
    assert oversaturated(times, grows, stays) is False
    assert oversaturated(times, stays, grows) is False
    assert oversaturated(times[:4], grows[:4], grows[:4]) is None
    assert oversaturated([0.0, 5.0, 10.0, 15.0, 20.0], grows[:5], grows[:5]) is None


def test_a_steady_load_is_rarely_past_its_knee() -> None:
    """Of 300 steady windows at most 3 % are called so, though each of the two would be in 5 %."""
    times, called = [10.0 * place for place in range(12)], 0
    for seed in range(300):
        draw = random.Random(seed)
        called += bool(oversaturated(times, [draw.gauss(8, 1) for _ in times], [draw.gauss(0.1, 0.01) for _ in times]))
    assert called <= 9
