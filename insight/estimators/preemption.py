"""E10: what preemptions cost, and what more KV cache would bring.

A preempted request is prefilled again: recomputed tokens/s * gamma is the share phi of the engine's time that is lost,
and without it the capacity is 1 / (1 - phi) of what it is. No server tested exports the recomputed tokens
(`prompt_tokens_recomputed_total` is not on vLLM 0.32's page), and preemptions/s * resident tokens * gamma is too much:
the victims are the newest and shortest, and a prefix cache gives half of them back without showing it. Measured at
equal batch: x1.213 where the proxy says x1.26, with caching x1.104 where it says x1.27.

The larger part of what more cache brings is that more requests run at once (x1.58 in all, there), so it is told apart.
"""

from __future__ import annotations

from insight.estimators.effects import unknown
from metrics.effect import Effect, Grade

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


_LOSS = "preemption_loss"


def _lost(lo: float, mid: float, hi: float, n: float, window_seconds: float, grade: Grade, assumption: str) -> Effect:
    return Effect(_LOSS, None, lo, mid, hi, "ratio", "model", grade, (assumption,), n=n, window_seconds=window_seconds)
