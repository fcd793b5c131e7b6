"""E4: what a better prefix cache would bring to ITL, capacity and TTFT.

A hit takes prompt tokens out of the work: P = P_total * (1 - h) computed tokens a request, so h -> h' takes away
dP = (h' - h) * P_total. What is predicted is the *ratio* of two forecasts of one model, times what was measured:
against a real vLLM (cache off, then on at h = 0.53) that was within -4 to +2 % for ITL, whichever fit it came from,
where the forecast itself was up to 19 % off. Capacities come out 5-15 % too high, because windows of traffic tell the
cost of prefill from that of decoding only by chance; hence the interval below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from insight.estimators.effects import around, bound, unknown
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Forecast = Callable[[float], float | None]
    """Mean ITL in seconds, or requests/s, at so many computed prompt tokens a request; None where it is saturated."""

UNCERTAIN_HITS = 0.1
"""So much lower may the hit rate be than it was: the first to ask, and prefixes that are evicted."""
ITL_ERROR = 0.04
"""The measured ITL times the modelled ratio missed by at most so much on a real vLLM (-4 to +2 %, five fits)."""
CERTAIN_GAIN = 0.7
"""Of a predicted gain x - 1 in capacity at least so much came true (0.87 and 0.70-0.83 of it on a real vLLM)."""
LIKELY_GAIN = 0.85
"""The middle of that interval."""
SCENARIOS = (0.1, 0.3, 0.6)
"""Hit rates of the table where nobody knows what the prompts share."""


class HitRate(Struct, frozen=True):
    """The hit rate that is expected, as a ratio of prompt tokens, and how that is known."""

    lo: float
    hi: float
    """Also the likeliest: block-floored lengths gave 0.527 where a real server then had 0.53."""
    source: str
    """`the hit rate of before`, `scenario`."""


class Load(Struct, frozen=True):
    """What the server did over the window that the forecast starts from."""

    prompt_tokens: float
    """Mean length of a prompt, cached tokens included."""
    hit_rate: float
    """Prompt tokens taken from the cache / prompt tokens, 0 with caching off."""
    requests: float
    """Requests behind the means."""
    window_seconds: float

    def computed(self, hit_rate: float) -> float:
        """Prompt tokens a request that are computed at a hit rate."""
        return self.prompt_tokens * (1 - hit_rate)


class Scenario(Struct, frozen=True):
    """One row of the table: at this hit rate, that ITL and that capacity."""

    hit_rate: float
    itl: Effect
    capacity: Effect


def itl(now: float, load: Load, expected: HitRate, forecast: Forecast, replicates: Sequence[Forecast] = ()) -> Effect:
    """Predict the mean ITL (s): the measured one times forecast(P') / forecast(P).

    The interval spans both ends of the expected hit rate over the replicates of the fit.
    """
    likely = _ratio(forecast, load, expected.hi)
    if likely is None:
        return unknown("itl_seconds", "s", "a fit of the step time that holds at the load of now", now)
    drawn = [_ratio(each, load, hits) for each in (forecast, *replicates) for hits in (expected.lo, expected.hi)]
    lo, hi = around(likely, [each for each in drawn if each is not None])
    return Effect(
        "itl_seconds",
        now=now,
        lo=now * lo * (1 - ITL_ERROR),
        mid=now * likely,
        hi=now * hi * (1 + ITL_ERROR),
        unit="s",
        basis="model",
        grade=Grade.B,
        assumptions=(_expected(load, expected), "the ratio of two forecasts times the ITL that was measured"),
        n=load.requests,
        window_seconds=load.window_seconds,
        valid_if=_VALID_IF,
    )


def capacity(now: float | None, load: Load, expected: HitRate, forecast: Forecast) -> Effect:
    """Predict the capacity (requests/s); `now` is the measured one, or None to start from the forecast's own.

    With x = forecast(P') / forecast(P) the interval is [1 + 0.7 (x(lo) - 1), x(hi)] times the capacity now.
    """
    least, most = _ratio(forecast, load, expected.lo), _ratio(forecast, load, expected.hi)
    start = forecast(load.computed(load.hit_rate)) if now is None else now
    if least is None or most is None or start is None:
        return unknown("requests_finished", "1/s", "a fit of the step time that holds at the load of now", now)
    ends = (1 + CERTAIN_GAIN * (least - 1), least, most)
    return Effect(
        "requests_finished",
        now=start,
        lo=start * min(ends),
        mid=start * (1 + LIKELY_GAIN * (most - 1)),
        hi=start * max(ends),
        unit="1/s",
        basis="model",
        grade=Grade.B if now is not None else Grade.C,
        assumptions=(_expected(load, expected), f"of the modelled gain at least {CERTAIN_GAIN:.0%} comes true"),
        n=load.requests,
        window_seconds=load.window_seconds,
        valid_if=_VALID_IF,
    )


def ttft(now: float, load: Load, expected: HitRate, gamma: float) -> Effect:
    """Bound the mean TTFT (s) from above: at least gamma * dP is saved, the rest is less queueing and shorter steps.

    `gamma` is seconds a computed prompt token. On a real vLLM 59 and 90 ms were saved where this said at least 39-45
    and 34-39.
    """
    saved = gamma * load.prompt_tokens * (expected.lo - load.hit_rate)
    if saved <= 0:
        return bound("ttft_seconds", "s", now, None, now, ("the expected hit rate is not above that of now",))
    most = max(0.0, now - saved)
    assumptions = (_expected(load, expected), "at least gamma * dP is saved")
    found = bound("ttft_seconds", "s", now, 0.0, most, assumptions, load.requests, load.window_seconds)
    return replace(found, valid_if=_VALID_IF)


def scenarios(
    now: float, load: Load, itl_at: Forecast, capacity_at: Forecast, replicates: Sequence[Forecast] = ()
) -> tuple[Scenario, ...]:
    """Work out the table for caching that is off: nobody knows what the prompts share, so no row is the prediction."""
    rows = [(share, HitRate(share, share, "scenario")) for share in SCENARIOS if share > load.hit_rate]
    return tuple(
        Scenario(share, itl(now, load, rate, itl_at, replicates), capacity(None, load, rate, capacity_at))
        for share, rate in rows
    )


_VALID_IF = (
    "prompts and rate stay as they are",
    "disproved if the hit rate rises and computed prompt tokens a request do not fall",
)


def _ratio(forecast: Forecast, load: Load, hits: float) -> float | None:
    then, before = forecast(load.computed(hits)), forecast(load.computed(load.hit_rate))
    return None if then is None or not before else then / before


def _expected(load: Load, expected: HitRate) -> str:
    ends = [f"{each:.0%}" for each in (expected.lo, expected.hi)]
    span = ends[0] if ends[0] == ends[1] else " to ".join(ends)
    return f"hit rate {load.hit_rate:.0%} -> {span} by {expected.source}"
