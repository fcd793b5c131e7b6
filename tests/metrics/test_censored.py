"""Quantiles that hold what was not seen to its end."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.censored import describe_censored
from metrics.histogram import Histogram

BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0)


def histogram(*values: float) -> Histogram:
    counts = [0.0] * (len(BOUNDS) + 1)
    for value in values:
        counts[bisect_left(BOUNDS, value)] += 1
    return Histogram(BOUNDS, tuple(counts), sum(values))


@given(
    st.lists(st.floats(0.1, 30), max_size=40),
    st.lists(st.tuples(st.floats(0.1, 30), st.floats(0, 100)), min_size=1, max_size=20),
)
def test_the_true_quantile_lies_between(seen: list[float], unseen: list[tuple[float, float]]) -> None:
    """However much longer each censored observation really was, the quantile of the truth is within the bounds."""
    measure = describe_censored(histogram(*seen), histogram(*(least for least, _ in unseen)), "s", 60.0)
    assert measure is not None
    truth = sorted([*seen, *(least + more for least, more in unseen)])
    assert measure.count == len(truth)
    assert measure.mean is None
    for q, found in ((0.5, measure.p50), (0.9, measure.p90), (0.95, measure.p95), (0.99, measure.p99)):
        if found is not None:
            at = truth[min(len(truth) - 1, int(q * len(truth)))]
            assert found.lo <= at
            assert found.hi is None or at <= found.hi


def test_a_tail_that_was_given_up_has_no_upper_bound() -> None:
    """Ten of a hundred never ended: the median is known, the 95th percentile is only above."""
    measure = describe_censored(histogram(*[1.5] * 90), histogram(*[6.0] * 10), "s", 60.0)
    assert measure is not None
    assert measure.p50 is not None
    assert measure.p95 is not None
    assert (measure.p50.lo, measure.p50.hi) == (1.0, 2.0)
    assert measure.p50.estimate == pytest.approx(1.5556, abs=1e-3)
    assert (measure.p95.lo, measure.p95.hi, measure.p95.estimate) == (4.0, None, None)


def test_nothing_censored_is_as_ever() -> None:
    """Without a censored observation the mean is exact; without any there is nothing."""
    measure = describe_censored(histogram(1.0, 3.0), histogram(), "s", 60.0)
    assert measure is not None
    assert (measure.mean, measure.count) == (2.0, 2)
    assert describe_censored(None, None, "s", None) is None


def test_only_censored() -> None:
    """Where nothing ever ended, the count and the lower bounds are what is known."""
    measure = describe_censored(None, histogram(5.0, 5.0, 5.0), "s", 60.0)
    assert measure is not None
    assert measure.count == 3
    assert measure.p50 is not None
    assert (measure.p50.lo, measure.p50.hi) == (4.0, None)
