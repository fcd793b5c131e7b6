"""E12: what an even spread of the load over replicas would bring.

ITL is convex in the rate, so what the busy replica loses is more than what the idle one gains: the mean over tokens now
is sum(w_i * s(rate_i)), balanced it is s(mean rate), at any spread.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.effects import around, unknown
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Forecast = Callable[[float], float | None]
    """Mean ITL in seconds of one replica at so many requests/s; None where it is saturated."""

HIT_SPREAD = 0.1
"""Replicas whose cache hit rates differ by more may be uneven on purpose: the balancer follows the prefixes."""


class Imbalance(Struct, frozen=True):
    """How unevenly something (requests running) lies on replicas."""

    cv: float
    """Standard deviation / mean; 0 is even."""
    max_over_mean: float
    """1 is even; the number of replicas where all lies on one."""
    replicas: int


def imbalance(running: Sequence[float]) -> Imbalance | None:
    """Give the imbalance of time means, one a replica; None with fewer than two replicas, or nothing running."""
    if len(running) < 2 or sum(running) <= 0:
        return None
    mean = math.fsum(running) / len(running)
    variance = math.fsum((each - mean) ** 2 for each in running) / len(running)
    return Imbalance(math.sqrt(variance) / mean, max(running) / mean, len(running))


def balanced(
    rates: Sequence[float],
    forecast: Forecast,
    replicates: Sequence[Forecast] = (),
    now: float | None = None,
    hit_rates: Sequence[float] = (),
) -> Effect:
    """Predict the mean ITL (s) over all tokens if the rates (requests/s, one a replica) were even.

    With `now` (measured) the ratio of the two forecasts is applied to it. A cache that each replica keeps for its own
    prefixes is lost in part if requests are sent anywhere: where hit rates differ, the effect holds only for a balancer
    that looks at both, and is grade C.
    """
    if len(rates) < 2 or sum(rates) <= 0:
        return unknown("itl_seconds", "s", "two replicas or more, with requests on them", now)
    mid = _ratio(forecast, rates)
    if mid is None:
        return unknown("itl_seconds", "s", "a fit of the step time that holds for the busiest replica", now)
    apart = bool(hit_rates) and max(hit_rates) - min(hit_rates) > HIT_SPREAD
    start = now if now is not None else _uneven(forecast, rates)
    if start is None:
        return unknown("itl_seconds", "s", "a fit of the step time that holds for the busiest replica", now)
    drawn = [_ratio(each, rates) for each in replicates]
    lo, hi = around(mid, [each for each in drawn if each is not None])
    return Effect(
        "itl_seconds",
        now=start,
        lo=start * lo,
        mid=start * mid,
        hi=start * hi,
        unit="s",
        basis="model",
        grade=Grade.C if apart else Grade.B,
        assumptions=("replicas alike, with the same requests", f"{len(rates)} replicas at the mean of their rates"),
        valid_if=("the cache's hit rate does not fall: prefixes go where they are kept",) if apart else (),
    )


def _ratio(forecast: Forecast, rates: Sequence[float]) -> float | None:
    uneven, even = _uneven(forecast, rates), forecast(math.fsum(rates) / len(rates))
    return None if not uneven or even is None else even / uneven


def _uneven(forecast: Forecast, rates: Sequence[float]) -> float | None:
    parts = [(rate, forecast(rate)) for rate in rates if rate > 0]
    if any(itl is None for _, itl in parts):
        return None
    return math.fsum(rate * (itl or 0.0) for rate, itl in parts) / math.fsum(rates)
