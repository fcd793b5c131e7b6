"""Whether two measurements differ by more than noise.

What a server counts in one second hangs together with what it counts in the next: a burst fills the batch for as long
as its answers take. So requests are no independent observations (fifty thousand tokens of one burst are one burst), and
the noise of a mean is taken from how spells of time differ (batch means: Schmeiser 1982, who finds 10 to 30 batches
right). That is what a block bootstrap of the same spells converges to for a mean, and the same at every call. What
neighbouring batches still have in common widens the error.
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.quality.statistics import wilson
from metrics.histogram import Histogram, Quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_BATCHES, FEWEST_BATCHES = 20, 6
"""An error from fewer batches is itself known too badly: Student's t is 2.6 at five degrees of freedom, 12.7 at one."""
MOST_SHARED = 0.8
"""Neighbouring batches have no more in common than this: their correlation is itself an estimate."""
CONFIDENCE = 0.95


class Estimate(Struct, frozen=True):
    """A number with what chance leaves open of it."""

    value: float
    error: float
    """Standard error."""
    freedom: float
    """Degrees of freedom of the error."""


class Span(Struct, frozen=True):
    """How far two numbers are apart, and between what it certainly lies."""

    mid: float
    lo: float
    hi: float

    @property
    def certain(self) -> bool:
        """No change at all lies outside."""
        return self.lo > 0 or self.hi < 0


def student(confidence: float, freedom: float) -> float:
    """Give the two-sided quantile of Student's t (expansion of Cornish and Fisher): 2 % off at five degrees."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def together(count: int) -> float:
    """Give the confidence of each of so many intervals that hold together at 95 % (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / max(1, count)


def batches(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Add neighbours up to at most `MOST_BATCHES` batches of equally many."""
    size = min(MOST_BATCHES, len(pairs))
    edges = [index * len(pairs) // size for index in range(size + 1)] if size else []
    return [
        (math.fsum(top for top, _ in pairs[begin:end]), math.fsum(bottom for _, bottom in pairs[begin:end]))
        for begin, end in pairwise(edges)
    ]


def ratio(pairs: Sequence[tuple[float, float]]) -> Estimate | None:
    """Estimate sum(tops) / sum(bottoms) over spells of time, oldest first: seconds and tokens, errors and requests.

    Of twenty spells whose noise half lasts to the next, 90 of 100 intervals at 95 % hold the truth; of others 94.

    None with fewer than `FEWEST_BATCHES` spells in which there is anything to divide by.
    """
    summed = [each for each in batches([each for each in pairs if each[1] > 0]) if each[1] > 0]
    count = len(summed)
    if count < FEWEST_BATCHES:
        return None
    bottoms = math.fsum(bottom for _, bottom in summed)
    value = math.fsum(top for top, _ in summed) / bottoms
    return Estimate(value, _error([(top - value * bottom) / bottoms for top, bottom in summed]), count - 1)


def _error(residuals: Sequence[float]) -> float:
    """Give the standard error of a sum from the parts that batches have in it, oldest first."""
    count = len(residuals)
    squares = math.fsum(each * each for each in residuals)
    if squares <= 0:
        return 0.0
    neighbours = math.fsum(one * other for one, other in pairwise(residuals)) / squares
    # An estimated correlation r of neighbours is (1 + 3 r) / n too low on average (Kendall 1954), and noise that fades
    # by r from batch to batch makes a sum's variance (1 + r) / (1 - r) times that of batches without it.
    shared = min(MOST_SHARED, max(0.0, neighbours + (1 + 3 * neighbours) / count))
    return math.sqrt(squares * count / (count - 1) * (1 + shared) / (1 - shared))


def jackknife(value: float, without: Sequence[float]) -> Estimate | None:
    """Estimate any statistic from what it is without each batch of time in turn, oldest first (Kuensch 1989)."""
    count = len(without)
    if count < FEWEST_BATCHES:
        return None
    mean = math.fsum(without) / count
    # What a batch has in the statistic is (n - 1) / n of what leaving it out changes.
    return Estimate(value, _error([(mean - each) * (count - 1) / count for each in without]), count - 1)


def relative(before: Estimate, after: Estimate, confidence: float) -> Span | None:
    """Give after / before - 1, by the logarithm of the ratio; None where one of them is not above 0."""
    if before.value <= 0 or after.value <= 0:
        return None
    one = Estimate(math.log(before.value), before.error / before.value, before.freedom)
    other = Estimate(math.log(after.value), after.error / after.value, after.freedom)
    span = absolute(one, other, confidence)
    return Span(*(math.expm1(min(each, 700.0)) for each in (span.mid, span.lo, span.hi)))


def absolute(before: Estimate, after: Estimate, confidence: float) -> Span:
    """Give after - before (Welch 1947)."""
    mid = after.value - before.value
    one, other = before.error**2, after.error**2
    if one + other <= 0:
        return Span(mid, mid, mid)
    freedom = (one + other) ** 2 / (one**2 / before.freedom + other**2 / after.freedom)
    half = student(confidence, freedom) * math.sqrt(one + other)
    return Span(mid, mid - half, mid + half)


def interval(estimate: Estimate, confidence: float) -> tuple[float, float]:
    """Give the interval of one estimate."""
    half = student(confidence, estimate.freedom) * estimate.error
    return estimate.value - half, estimate.value + half


def share_change(before: tuple[float, float], after: tuple[float, float], confidence: float) -> Span | None:
    """Give how much a share of (hits, n) grew, of independent observations (Newcombe 1998, method 10)."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    one, other = (wilson(round(hits), round(n), z) for hits, n in (before, after))
    if one is None or other is None:
        return None
    mid = other.value - one.value
    below = math.hypot(other.value - other.lo, one.hi - one.value)
    above = math.hypot(other.hi - other.value, one.value - one.lo)
    return Span(mid, mid - below, mid + above)


def quantile_bounds(spells: Sequence[Histogram], q: float, confidence: float) -> Quantile | None:
    """Tell between which bucket bounds a quantile lies, what chance leaves open included; None where nothing is told.

    A bound is certainly below the quantile where the share of observations up to it, with its error, is below `q`. That
    error is the larger of the one that spells of time show and the one that so few observations have (Wilson).
    """
    if not spells or any(each.bounds != spells[0].bounds for each in spells):
        return None
    bounds = spells[0].bounds
    lo, hi = 0.0, None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    for index, bound in enumerate(bounds):
        pairs = [(math.fsum(each.counts[: index + 1]), each.count) for each in spells]
        share = ratio(pairs)
        alone = wilson(round(sum(hits for hits, _ in pairs)), round(sum(n for _, n in pairs)), z)
        if share is None or alone is None:
            return None
        low, high = interval(share, confidence)
        if max(high, alone.hi) < q:
            lo = bound
        elif hi is None and min(low, alone.lo) >= q:
            hi = bound
    return Quantile(None, lo, hi)
