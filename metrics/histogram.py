"""A histogram as one poll saw it, the difference of two, and what can be said of its quantiles.

A histogram gives a quantile only up to the width of a bucket, so a quantile here is three numbers: the bounds between
which it certainly lies, and an estimate within them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate
from operator import lt

from msgspec import Struct

from metrics.quantity import MOST


class Histogram(Struct, frozen=True, array_like=True):
    """Observations per bucket."""

    bounds: tuple[float, ...]
    """Upper bounds of the finite buckets, ascending; above the last lies one more bucket without a bound."""
    counts: tuple[float, ...]
    """Observations in each bucket (not cumulative): one more than there are bounds."""
    sum: float
    """Sum of all observations."""

    @property
    def count(self) -> float:
        """All observations."""
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        """Exact mean of the observations; None where there is none, and where their sum fell while more came."""
        count = self.count
        mean = self.sum / count if count > 0 and self.sum >= 0 else math.nan
        return mean if mean <= MOST else None  # parts of an observation can make it infinite


class Quantile(Struct, frozen=True):
    """A quantile, as far as buckets can tell it."""

    estimate: float | None
    """By interpolation within the bucket; None where the rank lies above the last finite bound."""
    lo: float
    """The quantile is not below this."""
    hi: float | None
    """The quantile is not above this; None where the rank lies above the last finite bound."""


def is_possible(histogram: Histogram) -> bool:
    """Tell whether there can be such a histogram: a count for each bucket, bounds that rise, and nothing below 0."""
    bounds, counts = histogram.bounds, histogram.counts
    numbers = (*bounds, *counts, histogram.sum)
    return (
        len(counts) == len(bounds) + 1
        and min(numbers) >= 0
        and max(numbers) <= MOST
        and not math.isnan(sum(numbers))
        and all(map(lt, bounds, bounds[1:]))
    )


def merge(histograms: list[Histogram]) -> Histogram | None:
    """Add histograms bucket by bucket; None where there is none, their bounds differ, or their sum is no number."""
    if not histograms:
        return None
    first = histograms[0]
    if len(histograms) == 1:
        return first if math.isfinite(first.sum) else None
    if any(other.bounds != first.bounds for other in histograms[1:]):
        return None
    counts = tuple(map(sum, zip(*(each.counts for each in histograms), strict=True)))
    total = sum(each.sum for each in histograms)
    return Histogram(first.bounds, counts, total) if math.isfinite(total) else None


def merge_common(parts: list[Histogram]) -> Histogram | None:
    """Add histograms up. Where their bounds differ (models of different length), only the bounds of all of them stay.

    What lies below a bound that all have is exact then, and so are the count and the mean.
    """
    whole = merge(parts)
    if whole is not None or not parts:
        return whole
    common = sorted(set.intersection(*(set(each.bounds) for each in parts)))
    return merge([_coarsened(each, common) for each in parts])


def _coarsened(histogram: Histogram, bounds: list[float]) -> Histogram:
    """Leave out the bounds that are not among `bounds`."""
    counts = [0.0] * (len(bounds) + 1)
    for bound, count in zip((*histogram.bounds, math.inf), histogram.counts, strict=True):
        counts[bisect_left(bounds, bound)] += count
    return Histogram(tuple(bounds), tuple(counts), histogram.sum)


def quantile(histogram: Histogram, q: float) -> Quantile | None:
    """Find the `q`-quantile (0 < q < 1) of what was observed; None where the observations do not suffice.

    Fewer than 1/(1-q) observations cannot tell the quantile from the maximum, so then there is no answer: 2 for the
    median, 20 for p95, 100 for p99. [lo, hi] spans the buckets of every order statistic that a usual definition calls
    the `q`-quantile (ranks floor(q(n-1))+1 to floor(qn)+1); the estimate interpolates linearly within the bucket of
    rank q*n, as Prometheus' `histogram_quantile` does, and the lowest bucket begins at 0.
    """
    n = histogram.count
    if n * (1 - q) < 1 - 1e-9:
        return None
    cumulative = list(accumulate(histogram.counts))
    first = bisect_left(cumulative, math.floor(q * (n - 1) + 1e-9) + 1)
    last = bisect_left(cumulative, min(n, math.floor(q * n + 1e-9) + 1))
    middle = bisect_left(cumulative, q * n)
    bounds = histogram.bounds
    lo = bounds[first - 1] if first else min(0.0, bounds[0] if bounds else 0.0)
    hi = bounds[last] if last < len(bounds) else None
    if middle >= len(bounds):
        return Quantile(None, lo, hi)
    lower = bounds[middle - 1] if middle else min(0.0, bounds[0])
    before = cumulative[middle - 1] if middle else 0.0
    share = (q * n - before) / histogram.counts[middle]
    # Parts of an observation, which no server should count, may place it outside the bounds.
    return Quantile(max(lo, lower + (bounds[middle] - lower) * share), lo, hi)


def fraction_at_most(histogram: Histogram, limit: float) -> tuple[float, float] | None:
    """Bound the share of observations that are <= `limit`; None where there is no observation.

    The two are equal where `limit` is a bucket bound; elsewhere they are the shares at the bounds around it.
    """
    n = histogram.count
    if n <= 0:
        return None
    cumulative = list(accumulate(histogram.counts))
    index = bisect_left(histogram.bounds, limit)
    exact = index < len(histogram.bounds) and histogram.bounds[index] == limit
    below = cumulative[index] if exact else (cumulative[index - 1] if index else 0.0)
    return below / n, cumulative[index] / n
