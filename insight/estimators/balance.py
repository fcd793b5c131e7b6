"""E12: what an even spread of the load over replicas would bring.

ITL is convex in the rate, so what the busy replica loses is more than what the idle one gains: the mean over tokens now
is sum(w_i * s(rate_i)), balanced it is s(mean rate), at any spread.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.estimators.effects import around, unknown
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Forecast = Callable[[float], float | None]
    """Mean ITL in seconds of one replica at so many requests/s; None where it is saturated."""


def balanced(
    rates: Sequence[float],
    forecast: Forecast,
    replicates: Sequence[Forecast] = (),
    now: float | None = None,
) -> Effect:
    """Predict the mean ITL (s) over all tokens if the rates (requests/s, one a replica) were even.

    With `now` (measured) the ratio of the two forecasts is applied to it.
    """
    if len(rates) < 2 or sum(rates) <= 0:
        return unknown("itl_seconds", "s", "two replicas or more, with requests on them", now)
    mid = _ratio(forecast, rates)
    if mid is None:
        return unknown("itl_seconds", "s", "a fit of the step time that holds for the busiest replica", now)
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
        grade=Grade.B,
        assumptions=("replicas alike, with the same requests", f"{len(rates)} replicas at the mean of their rates"),
        valid_if=("the cache's hit rate does not fall: a router that minds no prefixes loses a part of it",),
    )


def _ratio(forecast: Forecast, rates: Sequence[float]) -> float | None:
    uneven, even = _uneven(forecast, rates), forecast(math.fsum(rates) / len(rates))
    return None if not uneven or even is None else even / uneven


def _uneven(forecast: Forecast, rates: Sequence[float]) -> float | None:
    parts = [(rate, forecast(rate)) for rate in rates if rate > 0]
    if any(itl is None for _, itl in parts):
        return None
    return math.fsum(rate * (itl or 0.0) for rate, itl in parts) / math.fsum(rates)
