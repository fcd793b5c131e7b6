"""E3: what the KV cache can carry, by Little's law on tokens.

A request occupies T = mean(usage) * M / rate token-seconds of a cache of M tokens, so the cache is full at the rate
M * u / T. A request stays longer where tokens come slower, so T grows with the ITL that a higher rate brings: that is
solved for, or the result is an upper bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.estimators.effects import around, bound, unknown
from insight.estimators.trend import time_to, trend
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Forecast = Callable[[float], float | None]
    """Mean ITL in seconds at so many requests/s; None where the server is saturated."""

FULL = 0.9
"""Up to here the cache is filled without a preemption, by default."""
FEWEST_RUNNING = 1.0
"""Below one running request the resident tokens of a request are mostly those of none."""
_HALVINGS = 50


def token_seconds(usage: float, capacity_tokens: float, rate: float) -> float | None:
    """Give the token-seconds of cache that a request occupies: mean usage * M / (requests/s); None at no rate."""
    return usage * capacity_tokens / rate if rate > 0 else None


def resident_tokens(usage: float, capacity_tokens: float, running: float) -> float | None:
    """Give the tokens that a running request holds in the mean: usage * M / running."""
    return usage * capacity_tokens / running if running >= FEWEST_RUNNING else None


def largest_batch(slots: float | None, capacity_tokens: float | None, resident: float | None) -> float | None:
    """Give the requests that can run at once: the lesser of the slots and M / resident tokens, as far as known.

    Prefix caching shares blocks between requests, so that more may fit.
    """
    by_cache = capacity_tokens / resident if capacity_tokens is not None and resident else None
    known = [each for each in (slots, by_cache) if each is not None]
    return min(known) if known else None


def capacity(
    rate: float,
    usage: float,
    forecast: Forecast | None = None,
    replicates: Sequence[Forecast] = (),
    growth: float = 1.0,
    full: float = FULL,
) -> Effect:
    """Predict the rate (requests/s) at which the cache is `full`, at the `rate` and mean `usage` of now.

    `growth` is the size of the cache against today's: 2 for fp8 in place of 16 bits. Without a forecast of the ITL it
    is the upper bound rate * full * growth / usage.
    """
    if rate <= 0 or usage <= 0:
        return unknown(_RATE, "1/s", "the KV cache in use while requests run", rate)
    most = rate * full * growth / usage
    if forecast is None:
        return bound(_RATE, "1/s", rate, None, most, ("a higher rate makes requests stay longer: the bound is upper",))
    mid = _solve(rate, usage, forecast, growth, full)
    if mid is None:
        return unknown(_RATE, "1/s", "a fit of the step time that holds at the load of now", rate)
    drawn = [_solve(rate, usage, each, growth, full) for each in replicates]
    lo, hi = around(mid, [each for each in drawn if each is not None])
    return Effect(
        _RATE,
        now=rate,
        lo=lo,
        mid=mid,
        hi=min(hi, max(most, mid)),
        unit="1/s",
        basis="model",
        grade=Grade.B if mid <= 2 * rate else Grade.C,
        assumptions=(f"the cache counts as full at {full:.0%}", "the time that a request stays goes with the ITL"),
        valid_if=("prompts and outputs stay as long as they are",),
    )


def time_to_full(times: Sequence[float], usage: Sequence[float], full: float = 1.0) -> Effect:
    """Tell in how many seconds the cache is full if the trend of its usage holds; `unknown` where there is no trend."""
    return time_to(trend(times, usage), full, "kv_cache_usage")


def binding(limits: Mapping[str, float | None]) -> str | None:
    """Name what limits the rate first among `slots`, `kv_cache`, `objective`, ...: its remedy comes first."""
    known = {name: limit for name, limit in limits.items() if limit is not None}
    return min(known, key=known.__getitem__) if known else None


_RATE = "requests_finished"


def _solve(rate: float, usage: float, forecast: Forecast, growth: float, full: float) -> float | None:
    """Find by bisection the x at which usage * (x / rate) * (ITL(x) / ITL(rate)) is full * growth."""
    now = forecast(rate)
    if not now:
        return None

    def over(x: float) -> bool:
        itl = forecast(x)
        return itl is None or usage * (x / rate) * (itl / now) > full * growth

    low, high = 0.0, rate * full * growth / usage
    if high > rate and not over(high):
        return high
    high = max(high, rate)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if over(middle) else (middle, high)
    return low
