"""Whether two measurements differ by more than noise."""

from __future__ import annotations

import math
import random

import pytest

from insight.verification.noise import (
    FEWEST_BATCHES,
    MOST_BATCHES,
    Estimate,
    absolute,
    batches,
    interval,
    jackknife,
    quantile_bounds,
    ratio,
    relative,
    share_change,
    student,
)
from metrics.histogram import Histogram

STUDENT = {5: 2.571, 9: 2.262, 19: 2.093, 38: 2.024, 1000: 1.962}
"""Two-sided 95 % quantiles of Student's t, from the tables."""


@pytest.mark.parametrize(("freedom", "expected"), STUDENT.items())
def test_the_quantile_of_students_t_is_that_of_the_tables(freedom: int, expected: float) -> None:
    """Within 1 % from five degrees of freedom on."""
    assert student(0.95, freedom) == pytest.approx(expected, rel=0.01)


def test_batches_hold_everything_once() -> None:
    """Neighbours are added up, nothing is lost and nothing counted twice."""
    pairs = [(float(index), 1.0) for index in range(47)]
    summed = batches(pairs)
    assert len(summed) == MOST_BATCHES
    assert sum(top for top, _ in summed) == sum(top for top, _ in pairs)
    assert sum(bottom for _, bottom in summed) == 47


def test_a_ratio_of_too_few_spells_is_not_estimated() -> None:
    """Where the error would itself be unknown, nothing is said; spells without anything in them do not count."""
    assert ratio([(1.0, 2.0)] * (FEWEST_BATCHES - 1)) is None
    assert ratio([(1.0, 2.0)] * (FEWEST_BATCHES - 1) + [(0.0, 0.0)] * 10) is None
    assert ratio([(1.0, 2.0)] * FEWEST_BATCHES) == Estimate(0.5, 0.0, FEWEST_BATCHES - 1)


def _wave(draw: random.Random, count: int, keeps: float) -> list[tuple[float, float]]:
    """Draw spells whose noise lasts: each keeps a part of the one before."""
    level, found = 0.0, []
    for _ in range(count):
        level = keeps * level + math.sqrt(1 - keeps**2) * draw.gauss(0, 1)
        found.append((100.0 + 10.0 * level, 1.0))
    return found


@pytest.mark.parametrize(("keeps", "count"), [(0.0, 20), (0.5, 20), (0.5, 60), (0.8, 200)])
def test_the_interval_holds_the_truth_as_often_as_it_says(keeps: float, count: int) -> None:
    """Also where neighbouring spells have much in common: 90 of 100 intervals at 95 % hold the mean."""
    draw = random.Random(f"{keeps} {count}")
    held = 0
    for _ in range(1000):
        found = ratio(_wave(draw, count, keeps))
        assert found is not None
        lo, hi = interval(found, 0.95)
        held += lo <= 100.0 <= hi
    assert held >= 900


def test_the_interval_is_not_as_if_all_observations_were_independent() -> None:
    """Fifty thousand tokens in twenty bursts are twenty observations."""
    draw = random.Random(1)
    spells = [(2500 * draw.uniform(0.01, 0.03), 2500.0) for _ in range(20)]
    found = ratio(spells)
    assert found is not None
    assert 0.0008 < found.error < 0.003


def test_a_jackknife_of_a_mean_is_the_ratio() -> None:
    """Any statistic may be judged by leaving out batches; for a mean both ways agree."""
    draw = random.Random(2)
    values = [draw.gauss(10, 1) for _ in range(20)]
    mean = sum(values) / 20
    left = jackknife(mean, [(sum(values) - value) / 19 for value in values])
    plain = ratio([(value, 1.0) for value in values])
    assert left is not None
    assert plain is not None
    assert left.error == pytest.approx(plain.error, rel=1e-6)
    assert jackknife(1.0, [1.0] * (FEWEST_BATCHES - 1)) is None


def test_changes_are_relative_or_absolute() -> None:
    """A doubling is +100 %; what was 0 has no relative change; numbers without any noise have none in their change."""
    one, two = Estimate(1.0, 0.01, 19), Estimate(2.0, 0.02, 19)
    span = relative(one, two, 0.95)
    assert span is not None
    assert span.mid == pytest.approx(1.0)
    assert span.lo < 1.0 < span.hi
    assert span.certain
    assert relative(Estimate(0.0, 0.0, 19), two, 0.95) is None
    assert not absolute(one, one, 0.95).certain
    assert absolute(Estimate(1.0, 0.0, 5), Estimate(1.5, 0.0, 5), 0.95).lo == 0.5


def test_a_share_of_few_is_no_certainty() -> None:
    """None of ten against one of ten says nothing; none of a thousand against fifty does."""
    few, many = share_change((0, 10), (1, 10), 0.95), share_change((0, 1000), (50, 1000), 0.95)
    assert few is not None
    assert many is not None
    assert not few.certain
    assert many.lo > 0
    assert share_change((0, 0), (1, 10), 0.95) is None


def test_a_quantile_lies_between_bounds_that_chance_does_not_move() -> None:
    """In the middle of a bucket its bounds are told; near a bound both buckets are, for either may be true."""
    middle = [Histogram((1.0, 2.0, 5.0), (50.0, 47.0, 3.0, 0.0), 1.0)] * 20
    found = quantile_bounds(middle, 0.95, 0.95)
    assert found is not None
    assert (found.lo, found.hi) == (1.0, 2.0)
    near = [Histogram((1.0, 2.0, 5.0), (50.0, 45.0 + index % 3, 4.0, 1.0), 1.0) for index in range(20)]
    both = quantile_bounds(near, 0.95, 0.95)
    assert both is not None
    assert (both.lo, both.hi) == (1.0, 5.0)
    above = quantile_bounds([Histogram((1.0,), (0.0, 9.0), 1.0)] * 20, 0.95, 0.95)
    assert above is not None
    assert (above.lo, above.hi) == (1.0, None)
    assert quantile_bounds([], 0.95, 0.95) is None
