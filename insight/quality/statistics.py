"""What few observations allow to say: intervals of shares and means, and exact tests. Everything is deterministic."""

from __future__ import annotations

import math
import random
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")

Z95 = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""
RESAMPLES = 2000
_SEED = 20_240_229


class Interval(Struct, frozen=True):
    """A value, and the 95 % interval that it is known in."""

    value: float
    lo: float
    hi: float
    n: int
    """Observations behind it."""


def wilson(hits: int, n: int, z: float = Z95) -> Interval | None:
    """Give a share with its score interval (Wilson 1927); None where there is no observation.

    It never leaves [0, 1], and has a width also at 0 and n hits, where the textbook interval has none.
    """
    if n <= 0:
        return None
    share, spread = hits / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # At the ends the bound is exact; the formula leaves rounding behind.
    lo = 0.0 if hits == 0 else max(0.0, middle - half)
    hi = 1.0 if hits == n else min(1.0, middle + half)
    return Interval(share, lo, hi, n)


def paired_difference(worse: int, better: int, n: int) -> Interval | None:
    """Give the change of a share over `n` pairs, of which so many got worse and better (Bonett and Price 2012).

    It has a width also where nothing changed; None where there is no pair.
    """
    if n <= 0:
        return None
    down, up = (worse + 1) / (n + 2), (better + 1) / (n + 2)
    half = Z95 * math.sqrt(max(0.0, down + up - (up - down) ** 2) / (n + 2))
    return Interval((better - worse) / n, max(-1.0, up - down - half), min(1.0, up - down + half), n)


def paired_ratio(kept: int, worse: int, better: int) -> Interval | None:
    """Give a share after over the same share before, over pairs of which `kept` were hits both times.

    The interval is that of its logarithm by the delta method, half a pair added to each cell so that it has a width
    where nothing changed; None where there was no hit before. `n` is the pairs that were a hit at least once.
    """
    if kept + worse == 0:
        return None
    both, down, up = kept + 0.5, worse + 0.5, better + 0.5
    middle = math.log((both + up) / (both + down))
    half = Z95 * math.sqrt((down + up) / ((both + up) * (both + down)))
    value = (kept + better) / (kept + worse)
    lo, hi = min(value, math.exp(middle - half)), max(value, math.exp(middle + half))
    return Interval(value, lo, hi, kept + worse + better)


def rule_of_three(n: int) -> float | None:
    """Bound from above, at 95 %, the share of what happened in none of `n` observations: 3/n (Hanley 1983)."""
    return min(1.0, 3 / n) if n > 0 else None


def bootstrap_mean(values: Sequence[float], lowest: float = 0.0) -> Interval | None:
    """Give the mean of values from `lowest` to 1 with its percentile bootstrap interval (Efron 1979).

    The same values in any order give the same interval.
    """
    return _bootstrap(tuple(sorted(values)), _mean, lowest) if values else None


def bootstrap_difference(pairs: Sequence[tuple[float, float]]) -> Interval | None:
    """Give the mean of after less before over pairs (before, after), with its percentile bootstrap interval.

    Where all changed alike, or not at all, drawing them again tells nothing: of the pairs there may be, no more than
    3/n change otherwise, each by 1 at most.
    """
    return _bootstrap_differences(tuple(sorted(after - before for before, after in pairs))) if pairs else None


@lru_cache(maxsize=256)
def _bootstrap_differences(changes: tuple[float, ...]) -> Interval:
    value, low, high = _resampled(changes, _mean)
    if low == high:
        others = rule_of_three(len(changes)) or 1.0
        low, high = value - others, value + others
    return Interval(value, min(low, value), max(high, value), len(changes))


def bootstrap_macro_f1(pairs: Sequence[tuple[str, str]]) -> Interval | None:
    """Give macro F1 over pairs (expected, said) with its percentile bootstrap interval."""
    return _bootstrap(tuple(sorted(pairs)), _macro_f1, 0.0) if pairs else None


@lru_cache(maxsize=256)
def _bootstrap(rows: tuple[T, ...], statistic: Callable[[Sequence[T]], float], lowest: float) -> Interval:
    # Remembered, because a Snapshot is made each second and the answers change once in a while: 2000 means of 100
    # values take 14 ms.
    n = len(rows)
    value, low, high = _resampled(rows, statistic)
    if low == high:
        # All alike: drawing from them again and again tells nothing of the others there may be. At 95 % those are no
        # more than 3/n, and each lies between `lowest` and 1.
        others = rule_of_three(n) or 1.0
        low, high = value - others * (value - lowest), value + others * (1 - value)
    return Interval(value, min(low, value), max(high, value), n)


def _resampled(rows: tuple[T, ...], statistic: Callable[[Sequence[T]], float]) -> tuple[float, float, float]:
    draw = random.Random(_SEED)
    drawn = sorted(statistic(draw.choices(rows, k=len(rows))) for _ in range(RESAMPLES))
    return statistic(rows), drawn[math.floor(0.025 * RESAMPLES)], drawn[math.ceil(0.975 * RESAMPLES) - 1]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _macro_f1(pairs: Sequence[tuple[str, str]]) -> float:
    return macro_f1(pairs) or 0.0


def mcnemar(worse: int, better: int) -> float:
    """Give the exact one-sided p that as many pairs got worse by chance: P(X >= worse), X ~ B(worse + better, 1/2).

    Only the pairs that changed are counted (McNemar 1947); 1 where none did.
    """
    n = worse + better
    return sum(math.comb(n, k) for k in range(worse, n + 1)) / (1 << n)


def fisher(one_hits: int, one_misses: int, other_hits: int, other_misses: int) -> float:
    """Give the exact one-sided p that the first group has so many hits by chance (Fisher 1935): the greater tail."""
    one, other = one_hits + one_misses, other_hits + other_misses
    hits = one_hits + other_hits
    ways = sum(math.comb(one, k) * math.comb(other, hits - k) for k in range(one_hits, min(one, hits) + 1))
    return ways / math.comb(one + other, hits)


def macro_f1(pairs: Iterable[tuple[str, str]]) -> float | None:
    """Give the mean over the expected classes of 2TP/(2TP+FP+FN) for pairs (expected, said); None without a pair.

    What was said but never expected is no class; it counts against the class that was expected.
    """
    seen = list(pairs)
    classes = sorted({expected for expected, _ in seen})
    if not classes:
        return None
    scores = []
    for each in classes:
        true = sum(expected == each == said for expected, said in seen)
        missed = sum(expected == each != said for expected, said in seen)
        wrongly = sum(said == each != expected for expected, said in seen)
        scores.append(2 * true / (2 * true + missed + wrongly))
    return math.fsum(scores) / len(scores)
