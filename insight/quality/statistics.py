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


def rule_of_three(n: int) -> float | None:
    """Bound from above, at 95 %, the share of what happened in none of `n` observations: 3/n (Hanley 1983)."""
    return min(1.0, 3 / n) if n > 0 else None


def bootstrap_mean(values: Sequence[float], lowest: float = 0.0) -> Interval | None:
    """Give the mean of values from `lowest` to 1 with its percentile bootstrap interval (Efron 1979).

    The same values in any order give the same interval.
    """
    return _bootstrap(tuple(sorted(values)), _mean, lowest) if values else None


def bootstrap_macro_f1(pairs: Sequence[tuple[str, str]]) -> Interval | None:
    """Give macro F1 over pairs (expected, said) with its percentile bootstrap interval."""
    return _bootstrap(tuple(sorted(pairs)), _macro_f1, 0.0) if pairs else None


@lru_cache(maxsize=256)
def _bootstrap(rows: tuple[T, ...], statistic: Callable[[Sequence[T]], float], lowest: float) -> Interval:
    # Remembered, because a Snapshot is made each second and the answers change once in a while: 2000 means of 100
    # values take 14 ms.
    n, value = len(rows), statistic(rows)
    draw = random.Random(_SEED)
    drawn = sorted(statistic(draw.choices(rows, k=n)) for _ in range(RESAMPLES))
    low, high = drawn[math.floor(0.025 * RESAMPLES)], drawn[math.ceil(0.975 * RESAMPLES) - 1]
    if low == high:
        # All alike: drawing from them again and again tells nothing of the others there may be. At 95 % those are no
        # more than 3/n, and each lies between `lowest` and 1.
        others = rule_of_three(n) or 1.0
        low, high = value - others * (value - lowest), value + others * (1 - value)
    return Interval(value, min(low, value), max(high, value), n)


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
