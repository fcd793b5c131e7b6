"""E7: what a condition (throttling, CPU pressure, a neighbour on the GPU, a narrower link) costs, by residuals.

r = measured ITL / the ITL that the fit expects for that window's batch and prefill, less 1. The effect of a condition
is the mean of r with it less the mean without it. It is an observation, not an experiment: what came at the same time
is in it as well, and the words must not say "because".
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.effects import student90, unknown
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST = 10
"""Windows with the condition, and without it."""
MOST_ALIKE = 0.9


class Difference(Struct, frozen=True):
    """A difference of two means with its 90 % interval."""

    lo: float
    value: float
    hi: float

    @property
    def certain(self) -> bool:
        """Tell whether the interval leaves out 0."""
        return self.lo > 0 or self.hi < 0


class Attribution(Struct, frozen=True):
    """How much longer tokens take with a condition than without, and what ITL would be without it."""

    share: Difference | None
    """Of the ITL that is expected: 0.2 is 20 % longer. None where there were too few windows."""
    effect: Effect


def residual(measured: float, expected: float) -> float:
    """Give the residual of one window: measured / expected - 1."""
    return measured / expected - 1


def attribute(residuals: Sequence[float], holds: Sequence[bool], now: float, window_seconds: float) -> Attribution:
    """Compare the residuals of windows (in order of time) in which a condition held with those in which it did not.

    `now` is the mean ITL (s) with the condition; what it would be without is now / (1 + difference / (1 + r without)).
    """
    given = [each for each, condition in zip(residuals, holds, strict=True) if condition]
    free = [each for each, condition in zip(residuals, holds, strict=True) if not condition]
    if min(len(given), len(free)) < FEWEST:
        needs = f"{FEWEST} windows with the condition and {FEWEST} without: {len(given)} and {len(free)} were seen"
        return Attribution(None, unknown("itl_seconds", "s", needs, now))
    found = welch(given, free)
    base = 1 + math.fsum(free) / len(free)
    certain = "" if found.certain else "the interval holds no effect at all: it may be chance"
    effect = Effect(
        "itl_seconds",
        now=now,
        lo=_without(now, found.hi, base),
        mid=_without(now, found.value, base),
        hi=_without(now, found.lo, base),
        unit="s",
        basis="model",
        grade=Grade.B if found.certain else Grade.C,
        assumptions=tuple(filter(None, ("observed together, not shown to be the cause", certain))),
        n=len(given) + len(free),
        window_seconds=window_seconds,
        valid_if=("disproved if the condition ends and the ITL at this load stays",),
    )
    return Attribution(found, effect)


def welch(one: Sequence[float], other: Sequence[float]) -> Difference:
    """Give mean(one) - mean(other) with its 90 % interval by Welch's t (1947); two values or more in each.

    Neighbours in time that are alike count for less: n is taken as n (1 - r) / (1 + r), r their autocorrelation.
    """
    (mean, error, freedom), (other_mean, other_error, other_freedom) = _mean(one), _mean(other)
    error2 = error + other_error
    if error2 == 0:
        return Difference(mean - other_mean, mean - other_mean, mean - other_mean)
    # As shares, which do not underflow when squared.
    nu = 1 / ((error / error2) ** 2 / freedom + (other_error / error2) ** 2 / other_freedom)
    half = student90(max(1.0, nu)) * math.sqrt(error2)
    return Difference(mean - other_mean - half, mean - other_mean, mean - other_mean + half)


def _mean(values: Sequence[float]) -> tuple[float, float, float]:
    """Give a mean, its squared standard error, and the degrees of freedom."""
    n = len(values)
    mean = math.fsum(values) / n
    squares = math.fsum((each - mean) ** 2 for each in values)
    if squares == 0:
        return mean, 0.0, n - 1
    alike = math.fsum((a - mean) * (b - mean) for a, b in pairwise(values)) / squares
    # The estimate is low by about (1 + 4r) / n (Kendall 1954).
    r = min(MOST_ALIKE, max(0.0, alike + (1 + 4 * max(0.0, alike)) / n))
    effective = max(2.0, n * (1 - r) / (1 + r))
    return mean, squares / (n - 1) / effective, effective - 1


def _without(now: float, share: float, base: float) -> float:
    return now * base / max(base + share, 1e-9)
