"""E15: whether the requests of now are distributed as those of a reference, corrected for how many there were.

PSI's folklore limits of 0.1 and 0.25 know no sample size, but with no drift at all PSI is distributed about as
(1/n + 1/m) * chi^2 with B - 1 degrees of freedom: with ten bins and 50 requests it is above 0.1 in 87 % of windows. So
it counts only above both.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.effects import unknown
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.histogram import Histogram

MODERATE, MAJOR = 0.1, 0.25
FEWEST_EXPECTED = 5.0
"""Observations that a bin should hold in the smaller sample; smaller bins are merged with their neighbours."""
Z99 = 2.3263478740408408


class Drift(Struct, frozen=True):
    """How far a sample is from its reference."""

    psi: float
    """Population stability index: sum((p - q) * ln(p / q))."""
    chance: float
    """PSI that chance alone exceeds in one of a hundred windows of this size."""
    js: float
    """Jensen-Shannon divergence in bits, 0 to 1: for display."""
    n: float
    """Observations now."""
    m: float
    """Observations in the reference."""
    bins: int
    mean: float | None
    reference_mean: float | None

    @property
    def level(self) -> str:
        """Tell the size of the drift: `none`, `moderate` or `major`."""
        if self.psi > max(MAJOR, self.chance):
            return "major"
        return "moderate" if self.psi > max(MODERATE, self.chance) else "none"


def drift(now: Histogram, reference: Histogram) -> Drift | None:
    """Compare what two windows observed, by the increases of their buckets.

    None where the bounds differ, or the smaller window has not 5 observations in each of two bins.
    """
    if now.bounds != reference.bounds:
        return None
    n, m = now.count, reference.count
    bins = _merged(now.counts, reference.counts) if n > 0 and m > 0 else []
    if len(bins) < 2:
        return None
    # Half an observation more in each bin: an empty one would make the logarithm infinite.
    size = len(bins)
    shares = [((a + 0.5) / (n + 0.5 * size), (b + 0.5) / (m + 0.5 * size)) for a, b in bins]
    psi = math.fsum((p - q) * math.log(p / q) for p, q in shares)
    chance = (1 / n + 1 / m) * chi_squared_99(size - 1)
    return Drift(psi, chance, _js(shares), n, m, size, now.mean, reference.mean)


def capacity_effect(before: float | None, after: float | None, n: float, window_seconds: float) -> Effect:
    """Tell what the drift means for the capacity (requests/s): from `before` to `after`, both by one fit.

    They are the fit's capacity for the lengths of the reference and of now. This needs no statistic of the drift: where
    lengths moved by little, it is little.
    """
    if not before or after is None:
        return unknown("requests_finished", "1/s", "a fit of the step time for both kinds of requests", before)
    ratio = after / before
    # A fit tells prefill from decoding only by chance, and a change of the mix leans on that: up to 15 % of the change.
    off = 0.3 * abs(ratio - 1)
    return Effect(
        "requests_finished",
        now=before,
        lo=before * max(0.0, ratio - off),
        mid=after,
        hi=before * (ratio + off),
        unit="1/s",
        basis="model",
        grade=Grade.B if 0.8 <= ratio <= 1.25 else Grade.C,
        assumptions=("outputs up to 25 % longer than those of the fit",),
        n=n,
        window_seconds=window_seconds,
    )


def chi_squared_99(freedom: int) -> float:
    """Give the 99th percentile of chi squared (Wilson and Hilferty 1931), 1 % off at one degree and less above."""
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + Z99 * math.sqrt(spread)) ** 3


def _merged(now: Sequence[float], reference: Sequence[float]) -> list[tuple[float, float]]:
    """Merge neighbours until each bin should hold five of the smaller sample, by the shares of both together."""
    n, m = math.fsum(now), math.fsum(reference)
    smaller = min(n, m) / (n + m)
    bins: list[tuple[float, float]] = []
    a = b = 0.0
    for one, other in zip(now, reference, strict=True):
        a, b = a + one, b + other
        if (a + b) * smaller >= FEWEST_EXPECTED:
            bins.append((a, b))
            a = b = 0.0
    if (a or b) and bins:
        last = bins.pop()
        bins.append((last[0] + a, last[1] + b))
    return bins


def _js(shares: Sequence[tuple[float, float]]) -> float:
    parts = ((p * math.log2(2 * p / (p + q)) + q * math.log2(2 * q / (p + q))) / 2 for p, q in shares)
    return min(1.0, max(0.0, math.fsum(parts)))
