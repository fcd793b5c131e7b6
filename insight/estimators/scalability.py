"""E9: the Universal Scalability Law, for servers without a latency histogram.

X(N) = l N / (1 + s (N - 1) + k N (N - 1)). Its maximum lies at N* = sqrt((1 - s) / k), and is not to be had from data
that do not nearly reach it: with 5 % of noise and N up to 20 the interval of a true N* of 111 was 41 to 31 322. So what
is said is "at least what was seen", unless the data reach 0.8 of N*.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.effects import HIGH, around, bound, percentile, student90, unknown
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Sequence

REACH = 0.8
"""Of the upper end of N*, so far the data must reach for a maximum to be told."""
FEWEST = 20
KNEE_SECONDS, KNEE_POINTS = 30.0, 5
"""Of so long and so many points at least a growth is judged, for over-saturation (guidellm)."""
_RESAMPLES, _SEED = 200, 20_240_229
_SINGULAR = 1e-12


class Scalability(Struct, frozen=True):
    """A fitted law."""

    rate: float
    """l: throughput of one."""
    contention: float
    """s."""
    coherency: float
    """k."""

    @property
    def peak(self) -> float:
        """N*: the concurrency at which throughput is highest; infinite where it only levels off."""
        return math.sqrt((1 - self.contention) / self.coherency) if self.coherency > 0 else math.inf

    def throughput(self, n: float) -> float:
        """X(N)."""
        return self.rate * n / (1 + self.contention * (n - 1) + self.coherency * n * (n - 1))


def fit(points: Sequence[tuple[float, float]]) -> Scalability | None:
    """Fit (concurrency, throughput) by least squares on N / X = a + b (N - 1) + c N (N - 1), with b, c >= 0.

    Weighted for noise that goes with the throughput. None with fewer than 20 points, or where it cannot be solved.
    """
    rows = [((1.0, n - 1, n * (n - 1)), n / x) for n, x in points if n >= 1 and x > 0]
    if len(rows) < FEWEST:
        return None
    found = [each for free in _FREE if (each := _least_squares(rows, free))]
    if not found:
        return None
    _, (a, b, c) = min(found)
    return Scalability(1 / a, b / a, c / a)


def capacity(points: Sequence[tuple[float, float]], quantity: str = "requests_finished", unit: str = "1/s") -> Effect:
    """Tell the highest throughput: at least the highest that was seen, or the law's own where the data reach so far.

    `points` are (concurrency, throughput) of windows; "so far" is 0.8 of the 95th percentile of N* over a bootstrap.
    """
    found = fit(points)
    if found is None:
        return unknown(quantity, unit, f"throughput at {FEWEST} concurrencies or more")
    seen, furthest = max(x for _, x in points), max(n for n, _ in points)
    draw = random.Random(_SEED)
    drawn = [each for _ in range(_RESAMPLES) if (each := fit(draw.choices(points, k=len(points))))]
    if not drawn or furthest < REACH * percentile([each.peak for each in drawn], HIGH):
        note = f"the data end at {furthest:.3g} at once, before the law tells where throughput is highest"
        return bound(quantity, unit, None, seen, None, (note,), n=len(points))
    most = found.throughput(found.peak)
    lo, hi = around(most, [each.throughput(each.peak) for each in drawn])
    return Effect(
        quantity,
        now=None,
        lo=lo,
        mid=most,
        hi=hi,
        unit=unit,
        basis="model",
        grade=Grade.B,
        assumptions=(f"highest at {found.peak:.3g} at once",),
        n=len(points),
    )


def oversaturated(times: Sequence[float], in_server: Sequence[float], ttft: Sequence[float]) -> bool | None:
    """Tell whether a server is past its knee: requests in it and their TTFT both grow, at 95 % each (one-sided t).

    The points are means over the last 120 s or so, at ascending times (s), far enough apart to be independent: 10 s.
    None with fewer than five points or 30 s.
    """
    if len(times) < KNEE_POINTS or times[-1] - times[0] < KNEE_SECONDS:
        return None
    return _grows(times, in_server) and _grows(times, ttft)


def _grows(times: Sequence[float], values: Sequence[float]) -> bool:
    """Tell whether the slope of the least squares line is above 0 by its standard error times t."""
    n = len(times)
    middle, mean = math.fsum(times) / n, math.fsum(values) / n
    spread = math.fsum((time - middle) ** 2 for time in times)
    slope = math.fsum((time - middle) * (value - mean) for time, value in zip(times, values, strict=True)) / spread
    left = math.fsum((v - mean - slope * (t - middle)) ** 2 for t, v in zip(times, values, strict=True))
    return slope > student90(n - 2) * math.sqrt(left / (n - 2) / spread)


_FREE = ((0, 1, 2), (0, 1), (0, 2), (0,))
"""Which coefficients are not 0: where the free fit is negative, the best of those at the edge is taken."""


def _least_squares(
    rows: Sequence[tuple[tuple[float, float, float], float]], free: tuple[int, ...]
) -> tuple[float, tuple[float, float, float]] | None:
    """Solve the normal equations for the free coefficients: (error, coefficients); None if singular or negative."""
    size = len(free)
    table = [
        [math.fsum(x[i] * x[j] / y**2 for x, y in rows) for j in free] + [math.fsum(x[i] / y for x, y in rows)]
        for i in free
    ]
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(table[row][column]))
        if abs(table[pivot][column]) < _SINGULAR * max(map(abs, table[pivot])):
            return None
        table[column], table[pivot] = table[pivot], table[column]
        for row in range(size):
            if row != column:
                factor = table[row][column] / table[column][column]
                table[row] = [one - factor * other for one, other in zip(table[row], table[column], strict=True)]
    solved = {place: table[k][size] / table[k][k] for k, place in enumerate(free)}
    a, b, c = (solved.get(place, 0.0) for place in range(3))
    if a <= 0 or b < 0 or c < 0:
        return None
    return math.fsum(((a + b * x[1] + c * x[2]) / y - 1) ** 2 for x, y in rows), (a, b, c)
