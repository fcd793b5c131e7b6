from __future__ import annotations

import math
import random
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.histogram import Histogram, fraction_at_most, is_possible, merge, quantile

BOUNDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0)


def observe(values: list[float], bounds: tuple[float, ...] = BOUNDS) -> Histogram:
    counts = [0.0] * (len(bounds) + 1)
    for value in values:
        counts[bisect_left(bounds, value)] += 1
    return Histogram(bounds, tuple(counts), math.fsum(values))


@given(st.lists(st.floats(0.001, 50), min_size=20, max_size=300), st.sampled_from([0.5, 0.9, 0.95]))
def test_the_true_quantile_lies_within_the_bounds(values: list[float], q: float) -> None:
    """Whichever usual definition is taken, the quantile of what was observed lies in [lo, hi]."""
    found = quantile(observe(values), q)
    assert found is not None
    ordered = sorted(values)
    nearest = ordered[min(len(ordered) - 1, int(q * len(ordered)))]
    below = ordered[int(q * (len(ordered) - 1))]
    for truth in (nearest, below):
        assert found.lo <= truth
        assert found.hi is None or truth <= found.hi


@given(st.lists(st.floats(0.001, 9.9), min_size=20, max_size=200))
def test_the_estimate_lies_within_its_own_bounds(values: list[float]) -> None:
    """An interpolated estimate never leaves the interval that is printed beside it."""
    found = quantile(observe(values), 0.5)
    assert found is not None
    assert found.estimate is not None
    assert found.hi is not None
    assert found.lo <= found.estimate <= found.hi


@given(st.lists(st.floats(0.1, 40), min_size=7, max_size=7), st.sampled_from([0.5, 0.9, 0.95]))
def test_parts_of_an_observation_move_no_estimate_below_its_bounds(counts: list[float], q: float) -> None:
    """Counts that are no whole numbers, which a page may hold, still give an estimate within its interval."""
    found = quantile(Histogram(BOUNDS, tuple(counts), 1.0), q)
    assert found is None or found.estimate is None or found.hi is None or found.lo <= found.estimate <= found.hi


@pytest.mark.parametrize(
    "histogram",
    [
        Histogram((-1.0, 1.0), (1.0, 2.0, 3.0), 1.0),
        Histogram((1.0,), (1.0, 2.0), -1.0),
        Histogram((1.0,), (1e308, 1e308), 1.0),
        Histogram((1.0,), (1.0, 2.0, 3.0), 1.0),
        Histogram((1.0, 1.0), (1.0, 2.0, 3.0), 1.0),
        Histogram((), (math.nan,), 1.0),
    ],
)
def test_a_histogram_that_cannot_be_is_told(histogram: Histogram) -> None:
    """Nothing that is observed lies below 0, counts that overflow are damage, buckets and counts are a pair."""
    assert not is_possible(histogram)
    assert is_possible(Histogram((0.5, 1.0), (1.0, 2.0, 3.0), 1.0))
    assert is_possible(Histogram((), (7.0,), 1.0))


def test_a_rank_above_the_last_bound_has_no_estimate() -> None:
    """`>10 s` is all that can be said when the rank lies in the bucket without a bound."""
    found = quantile(observe([20.0] * 40), 0.95)
    assert found is not None
    assert (found.estimate, found.lo, found.hi) == (None, 10.0, None)


@pytest.mark.parametrize(("q", "enough"), [(0.5, 2), (0.9, 10), (0.95, 20), (0.99, 100)])
def test_a_quantile_needs_enough_observations(q: float, enough: int) -> None:
    """Below 1/(1-q) observations a quantile is the maximum under another name, so there is none."""
    assert quantile(observe([0.3] * (enough - 1)), q) is None
    assert quantile(observe([0.3] * enough), q) is not None


def test_the_estimate_is_that_of_histogram_quantile() -> None:
    """The estimate interpolates linearly within the bucket of rank q*n, the lowest bucket from 0."""
    histogram = Histogram((1.0, 2.0, 4.0), (10.0, 20.0, 10.0, 0.0), 70.0)
    assert quantile(histogram, 0.5).estimate == pytest.approx(1.5)  # type: ignore[union-attr] # rank 20: 10th of 20 in (1, 2]
    assert quantile(histogram, 0.1).estimate == pytest.approx(0.4)  # type: ignore[union-attr] # rank 4: 4th of 10 in (0, 1]


def test_a_fraction_is_exact_at_a_bound_and_an_interval_between_bounds() -> None:
    """An objective at a bucket bound is judged exactly, one between two bounds only from both sides."""
    histogram = Histogram((1.0, 2.0), (6.0, 2.0, 2.0), 20.0)
    assert fraction_at_most(histogram, 1.0) == (0.6, 0.6)
    assert fraction_at_most(histogram, 1.5) == (0.6, 0.8)
    assert fraction_at_most(histogram, 9.0) == (0.8, 1.0)
    assert fraction_at_most(Histogram((1.0,), (0.0, 0.0), 0.0), 1.0) is None


@given(st.lists(st.lists(st.floats(0.001, 50), max_size=30), min_size=1, max_size=5))
def test_merging_is_observing_all_of_it_at_once(groups: list[list[float]]) -> None:
    """Histograms of several engines add up to that of all their observations."""
    merged = merge([observe(group) for group in groups])
    whole = observe([value for group in groups for value in group])
    assert merged is not None
    assert merged.counts == whole.counts
    assert merged.sum == pytest.approx(whole.sum)


def test_histograms_with_other_buckets_are_not_added() -> None:
    """There is no honest sum of histograms whose buckets differ."""
    assert merge([observe([1.0]), observe([1.0], (1.0, 2.0))]) is None
    assert merge([]) is None


def test_a_sum_that_fell_has_no_mean() -> None:
    """A page whose sum is lower than before while more was counted tells no mean, and none below 0."""
    assert Histogram(BOUNDS, (1.0,) * 7, -0.004).mean is None
    assert Histogram((), (5e-324,), 7.0).mean is None


def test_the_mean_is_exact() -> None:
    """The mean comes from the sum, not from the buckets."""
    values = [random.Random(3).uniform(0, 20) for _ in range(50)]
    assert observe(values).mean == pytest.approx(math.fsum(values) / 50)
    assert observe([]).mean is None
