from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators.trend import time_to, trend
from metrics.effect import Grade


def level(seed: int, count: int, slope: float, alike: float, noise: float = 0.02) -> tuple[list[float], list[float]]:
    """Draw a level at each second: a line from 0.3 with autocorrelated noise."""
    draw, left = random.Random(seed), 0.0
    values = []
    for second in range(count):
        left = alike * left + draw.gauss(0, noise * (1 - alike**2) ** 0.5)
        values.append(0.3 + slope * second + left)
    return [float(second) for second in range(count)], values


@pytest.mark.parametrize(("count", "slope", "alike"), [(900, 2e-4, 0.0), (900, 2e-4, 0.9), (20, 5e-3, 0.0)])
def test_the_interval_holds_the_slope(count: int, slope: float, alike: float) -> None:
    """In 85 % of 200 runs or more, also where neighbours are alike."""
    held = found = 0
    for seed in range(200):
        line = trend(*level(seed, count, slope, alike))
        assert line is not None
        if line.certain:
            found += 1
            held += line.lo <= slope <= line.hi
    assert found > 180
    assert held >= 0.85 * found


@pytest.mark.parametrize("alike", [0.0, 0.9])
def test_noise_is_no_trend(alike: float) -> None:
    """A level that only wanders about is not called a trend in more than 1 of 100 windows."""
    lines = [trend(*level(seed, 900, 0.0, alike)) for seed in range(100)]
    assert sum(each is not None and each.certain for each in lines) <= 1


def test_one_burst_does_not_turn_it() -> None:
    """A tenth of the window at another level moves the slope by less than a tenth."""
    times = [float(second) for second in range(300)]
    values = [0.3 + 0.001 * time + (0.5 if 200 <= time < 230 else 0.0) for time in times]
    found = trend(times, values)
    assert found is not None
    assert found.slope == pytest.approx(0.001, rel=0.1)


@given(st.floats(-1, 1), st.floats(-10, 10), st.integers(8, 200), st.floats(0.5, 60))
def test_a_line_is_found_exactly(slope: float, start: float, count: int, step: float) -> None:
    """Points on a line give its slope and its end."""
    times = [step * i for i in range(count)]
    found = trend(times, [start + slope * time for time in times])
    assert found is not None
    assert found.slope == pytest.approx(slope, abs=1e-9)
    assert found.level == pytest.approx(start + slope * times[-1], abs=1e-6)


def test_too_little_is_no_line() -> None:
    """Seven points, or eight at one moment."""
    assert trend([float(i) for i in range(7)], [float(i) for i in range(7)]) is None
    assert trend([1.0] * 8, [float(i) for i in range(8)]) is None


def test_time_to_a_threshold() -> None:
    """A level of 0.6 that rises by 0.001 a second reaches 0.9 in 300 s, as long as was watched; 1.0 is further: C."""
    times, values = level(1, 301, 0.001, 0.0, noise=0.002)
    line = trend(times, values)
    near, far = time_to(line, 0.9, "kv_cache_usage"), time_to(line, 1.0, "kv_cache_usage")
    assert near.mid == pytest.approx(300, rel=0.02)
    assert near.lo is not None
    assert near.hi is not None
    assert near.lo < near.mid < near.hi  # type: ignore[operator] # it is a number, see above
    assert far.grade is Grade.C
    assert near.quantity == "time_to_kv_cache_usage"


def test_a_later_threshold_is_reached_later() -> None:
    """The time grows with the threshold."""
    line = trend(*level(1, 301, 0.001, 0.0))
    times = [time_to(line, threshold, "x").mid or 0.0 for threshold in (0.7, 0.8, 0.9)]
    assert all(one < other for one, other in pairwise(times))


def test_there_already_away_from_it_or_no_trend() -> None:
    """Beyond the threshold it is 0 s; away from it, without a trend or without points there is no time, but why."""
    rising = trend(*level(1, 301, 0.001, 0.0))
    assert time_to(rising, 0.5, "x").mid == 0.0
    assert time_to(rising, 0.7, "x", rising=False).mid == 0.0
    away = time_to(rising, 0.1, "x", rising=False)
    flat = time_to(trend(*level(1, 301, 0.0, 0.0)), 0.9, "x")
    for found in (away, flat, time_to(None, 0.9, "x")):
        assert (found.basis, found.mid) == ("unknown", None)
        assert found.needs
