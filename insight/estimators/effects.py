"""What the estimators share: an effect that cannot be told, one that is only bounded, and the middle of what was drawn.

Intervals are from the 5th to the 95th percentile throughout: nine of ten should hold the truth.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Sequence

LOW, HIGH = 0.05, 0.95
"""The percentiles that an interval lies between."""
Z90 = 1.6448536269514722
"""The normal quantile of a two-sided 90 % interval."""


def unknown(quantity: str, unit: str, needs: str, now: float | None = None) -> Effect:
    """Give the effect of which nothing can be said, with what would have to be measured to say it."""
    return Effect(quantity, now, None, None, None, unit, "unknown", Grade.D, needs=needs)


def bound(
    quantity: str,
    unit: str,
    now: float | None,
    lo: float | None,
    hi: float | None,
    assumptions: tuple[str, ...] = (),
    n: float | None = None,
    window_seconds: float | None = None,
) -> Effect:
    """Give an effect that lies between two bounds, of which nobody can say where between them."""
    return Effect(quantity, now, lo, None, hi, unit, "bound", Grade.C, assumptions, n=n, window_seconds=window_seconds)


def percentile(values: Sequence[float], q: float) -> float:
    """Give the `q`-quantile (0 to 1) of at least one value, linear between order statistics."""
    ranked = sorted(values)
    place = q * (len(ranked) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ranked) - 1)
    if ranked[below] == ranked[above]:
        # Between two infinite values there is no way to go.
        return ranked[below]
    return ranked[below] + (ranked[above] - ranked[below]) * (place - below)


def around(mid: float, drawn: Sequence[float]) -> tuple[float, float]:
    """Give the interval of what was drawn, stretched to hold `mid`; `mid` alone where nothing was drawn."""
    if not drawn:
        return mid, mid
    return min(mid, percentile(drawn, LOW)), max(mid, percentile(drawn, HIGH))


def student90(freedom: float) -> float:
    """Give the 95th percentile of Student's t by its expansion (Cornish and Fisher 1937): 1 % off at 3 degrees."""
    z = Z90
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
