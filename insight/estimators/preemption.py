"""E10: what preemptions cost, and what more KV cache would bring.

A preempted request is prefilled again: recomputed tokens/s * gamma is the share phi of the engine's time that is lost,
and without it the capacity is 1 / (1 - phi) of what it is. No server tested exports the recomputed tokens
(`prompt_tokens_recomputed_total` is not on vLLM 0.32's page), and preemptions/s * resident tokens * gamma is too much:
the victims are the newest and shortest, and a prefix cache gives half of them back without showing it. Measured at
equal batch: x1.213 where the proxy says x1.26, with caching x1.104 where it says x1.27.

The larger part of what more cache brings is that more requests run at once (x1.58 in all, there), so it is told apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.estimators.effects import bound, unknown
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Callable

CACHE_OFF = (0.3, 0.7, 1.0)
"""lo, mid and hi of what is really lost, as parts of the proxy, without prefix caching."""
CACHE_ON = (0.2, 0.35, 1.0)
"""The same with it."""
SATURATED = 0.95
"""A proxy that says more than this contradicts itself: a server that recomputes all the time finishes nothing."""


def proxy(preemptions_per_second: float, resident_tokens: float, gamma: float) -> float:
    """Bound from above the share of time lost: preemptions/s * mean resident tokens of a request * gamma (s/token)."""
    return preemptions_per_second * resident_tokens * gamma


def loss(upper: float, prefix_caching: bool | None, n: float, window_seconds: float) -> Effect:
    """Estimate the share of the engine's time that preemptions cost, from the proxy; `n` is the preemptions seen.

    Where it is not known whether a prefix cache is on, the interval is that of both.
    """
    if upper > SATURATED:
        return unknown(_LOSS, "ratio", "the recomputed tokens: the count of preemptions contradicts the fit")
    off, on = CACHE_OFF, CACHE_ON
    parts = on if prefix_caching else off if prefix_caching is False else (on[0], (on[1] + off[1]) / 2, off[2])
    lo, mid, hi = (each * upper for each in parts)
    return _lost(lo, mid, hi, n, window_seconds, Grade.C, "victims are newer and shorter than the mean request")


def loss_recomputed(recomputed_per_second: float, gamma: float, n: float, window_seconds: float) -> Effect:
    """Estimate the share from the recomputed tokens/s where a server counts them; gamma (s/token) is good to 8 %."""
    share = recomputed_per_second * gamma
    if share > SATURATED:
        return unknown(_LOSS, "ratio", "a fit of the cost of a prompt token that agrees with the recomputed tokens")
    return _lost(share * 0.92, share, share * 1.08, n, window_seconds, Grade.B, "a recomputed token costs like any")


def loss_compared(step_predicted: float, step_observed: float, n: float, window_seconds: float) -> Effect:
    """Estimate the share by comparison: 1 - s_predicted / s_observed, at the same batch and output length.

    The prediction comes from a fit on windows without a preemption. The better way where there is such a fit; it is
    good to 10 % of the step time (0.17 on a real vLLM, where 0.176 was true).
    """
    if step_observed <= 0:
        return unknown(_LOSS, "ratio", "the time of a step while requests are preempted")
    share = 1 - step_predicted / step_observed
    spread = 0.1 * step_predicted / step_observed
    lo, mid, hi = (max(0.0, each) for each in (share - spread, share, share + spread))
    return _lost(lo, mid, hi, n, window_seconds, Grade.B, "the same batch and output length as in the fit")


def gain(lost: Effect, capacity: float) -> Effect:
    """Tell what the capacity (requests/s) would be with no preemption and the same batch: capacity / (1 - phi)."""
    if lost.lo is None or lost.mid is None or lost.hi is None or lost.hi >= 1:
        return unknown("requests_finished", "1/s", lost.needs or "the recomputed tokens", capacity)
    lo, mid, hi = (capacity / (1 - share) for share in (lost.lo, lost.mid, lost.hi))
    return Effect(
        "requests_finished",
        now=capacity,
        lo=lo,
        mid=mid,
        hi=hi,
        unit="1/s",
        basis="model",
        grade=lost.grade,
        assumptions=(*lost.assumptions, "the same batch: what a larger one brings is told apart"),
        n=lost.n,
        window_seconds=lost.window_seconds,
        valid_if=("disproved if preemptions stop and the rate at this batch does not rise",),
    )


def batch_limit(
    capacity: float, batch_now: float, batch_then: float, forecast: Callable[[float], float | None]
) -> Effect:
    """Tell what a batch that the cache does not limit would bring: `forecast` gives requests/s at a batch size.

    The ratio of the two forecasts times the measured capacity. Above twice the batch seen it is an extrapolation.
    """
    before, then = forecast(batch_now), forecast(batch_then)
    if not before or then is None or batch_now <= 0:
        return unknown("requests_finished", "1/s", "a fit of the step time that holds at both batches", capacity)
    ratio, near = then / before, batch_then <= 2 * batch_now
    spread = 0.1 if near else 0.2
    return Effect(
        "requests_finished",
        now=capacity,
        lo=capacity * max(min(1.0, ratio), ratio * (1 - spread)),
        mid=capacity * ratio,
        hi=capacity * ratio * (1 + spread),
        unit="1/s",
        basis="model",
        grade=Grade.B if near else Grade.C,
        assumptions=(f"batch {batch_now:.3g} -> {batch_then:.3g}", "preemptions are told apart"),
        valid_if=("requests enough wait to fill the batch",),
    )


def victim_gap(resident_tokens: float, gamma: float) -> Effect:
    """Bound from below the gap (s) that a preempted request shows its reader: gamma * resident tokens, then the queue.

    The queue is nearly all of it: 0.93 s in the mean and 3.05 s at most, where gamma * tokens was 0.11 s.
    """
    return bound("itl_seconds", "s", None, gamma * resident_tokens, None, ("the wait to be scheduled again is added",))


_LOSS = "preemption_loss"


def _lost(lo: float, mid: float, hi: float, n: float, window_seconds: float, grade: Grade, assumption: str) -> Effect:
    return Effect(_LOSS, None, lo, mid, hi, "ratio", "model", grade, (assumption,), n=n, window_seconds=window_seconds)
