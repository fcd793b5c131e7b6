"""E3: what the KV cache can carry, by Little's law on tokens.

A request occupies T = mean(usage) * M / rate token-seconds of a cache of M tokens, so the cache is full at the rate
M * u / T. A request stays longer where tokens come slower, so T grows with the ITL that a higher rate brings: that is
solved for, or the result is an upper bound. When it is full is not told: usage settles where that law has it, and a
line through its growth promised a full cache within three minutes in simulations in which it never was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.estimators.effects import bound, unknown
from insight.estimators.extrapolation import FAR_SHARE, NEAR, NEAR_SHARE
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Forecast = Callable[[float], float | None]
    """Mean ITL in seconds at so many requests/s; None where the server is saturated."""

FULL = 0.9
"""Up to here the cache is filled without a preemption, by default."""
FEWEST_RUNNING = 1.0
"""Below one running request the resident tokens of a request are mostly those of none."""
_HALVINGS = 20


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
    n: float | None = None,
    window_seconds: float | None = None,
) -> Effect:
    """Predict the rate (requests/s) at which the cache is full, at the `rate` and mean `usage` of now, seen `n` times.

    Without a forecast of the ITL it is the upper bound rate * 0.9 / usage.
    """
    if rate <= 0 or usage <= 0:
        return unknown(_RATE, "1/s", "the KV cache in use while requests run", rate)
    most = rate * FULL / usage
    if forecast is None:
        longer = ("a higher rate makes requests stay longer: the bound is upper",)
        return bound(_RATE, "1/s", rate, None, most, longer, n, window_seconds)
    mid = _solve(rate, usage, forecast)
    if mid is None:
        return unknown(_RATE, "1/s", "a fit of the step time that holds at the load of now", rate)
    near = mid <= NEAR * rate
    share = NEAR_SHARE if near else FAR_SHARE
    return Effect(
        _RATE,
        now=rate,
        lo=mid * (1 - share),
        mid=mid,
        hi=mid * (1 + share),
        unit="1/s",
        basis="model",
        grade=Grade.B if near else Grade.C,
        assumptions=(f"the cache counts as full at {FULL:.0%}", "the time that a request stays goes with the ITL"),
        n=n,
        window_seconds=window_seconds,
        valid_if=("prompts and outputs stay as long as they are",),
    )


def binding(limits: Mapping[str, float | None]) -> str | None:
    """Name what limits the rate first among `slots`, `kv_cache`, `objective`, ...: its remedy comes first."""
    known = {name: limit for name, limit in limits.items() if limit is not None}
    return min(known, key=known.__getitem__) if known else None


_RATE = "requests_finished"


def _solve(rate: float, usage: float, forecast: Forecast) -> float | None:
    """Find by bisection the x at which usage * (x / rate) * (ITL(x) / ITL(rate)) is `FULL`."""
    now = forecast(rate)
    if not now:
        return None

    def over(x: float) -> bool:
        itl = forecast(x)
        return itl is None or usage * (x / rate) * (itl / now) > FULL

    low, high = 0.0, rate * FULL / usage
    if high > rate and not over(high):
        return high
    high = max(high, rate)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if over(middle) else (middle, high)
    return low
