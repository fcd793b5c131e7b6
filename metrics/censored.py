"""Quantiles where some observations were not seen to their end: all that is known of them is that they were longer.

Leaving them out would leave out the slowest (survivorship); taking the moment at which one gave up for the value would
make a server look as fast as one's patience. So a quantile lies between two: what it would be had each of them ended
just then, and what it would be had none of them ever ended. Their buckets may be other ones than those of the rest.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from msgspec.structs import replace

from metrics.histogram import Histogram, Quantile, merge, quantile
from metrics.measure import describe

if TYPE_CHECKING:
    from metrics.observed import Measure


def describe_censored(
    observed: Histogram | None, censored: Histogram | None, unit: str, seconds: float | None
) -> Measure | None:
    """Describe observations together with lower bounds of others; None where there are neither.

    `count` is that of both. The mean is not known where anything is censored.
    """
    if censored is None or censored.count <= 0:
        return None if observed is None else describe(observed, unit, seconds)
    if observed is None:
        observed = Histogram(censored.bounds, (0.0,) * len(censored.counts), 0.0)
    shortest = merge([observed, _just_then(censored, observed.bounds)])
    longest = merge([observed, _endless(censored, observed.bounds)])
    if shortest is None or longest is None:
        return None
    return replace(
        describe(shortest, unit, seconds),
        mean=None,
        p50=_between(shortest, longest, 0.50),
        p90=_between(shortest, longest, 0.90),
        p95=_between(shortest, longest, 0.95),
        p99=_between(shortest, longest, 0.99),
    )


def _just_then(censored: Histogram, bounds: tuple[float, ...]) -> Histogram:
    """Write lower bounds in other buckets: each where its own bucket begins, which it certainly passed."""
    counts = [0.0] * (len(bounds) + 1)
    for begin, count in zip((0.0, *censored.bounds), censored.counts, strict=True):
        counts[bisect_right(bounds, begin)] += count
    return Histogram(bounds, tuple(counts), censored.sum)


def _endless(censored: Histogram, bounds: tuple[float, ...]) -> Histogram:
    return Histogram(bounds, (0.0,) * len(bounds) + (censored.count,), censored.sum)


def _between(shortest: Histogram, longest: Histogram, q: float) -> Quantile | None:
    """Find the bounds of a quantile; the estimate stands only where both histograms have it in the same bucket."""
    least, most = quantile(shortest, q), quantile(longest, q)
    if least is None or most is None:
        return None
    same = least.lo == most.lo and least.hi == most.hi
    return Quantile(least.estimate if same else None, least.lo, most.hi)
