"""E8: what the host costs, by Amdahl's law.

g is the share of time in which no kernel ran while requests did (NVML's `utilization.gpu` is the share in which any
ran, which is all that it is good for). Without those gaps the server is at most 1 / (1 - g) as fast: asynchronous
scheduling and CUDA graphs take away some of them, never all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.estimators.effects import bound, percentile, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.effect import Effect

FEWEST = 30
"""Polls of the utilisation while requests ran."""
REACHED_BANDWIDTH = 0.8
"""Of the peak bandwidth, what reading weights reaches at best."""


def idle_share(utilisation: Sequence[float], running: Sequence[float]) -> float | None:
    """Give g: the mean of 1 - utilisation over the polls in which something ran; None with fewer than 30 of them.

    Of several GPUs of one server take the busiest at each poll: the others wait for it.
    """
    gaps = [1 - busy for busy, requests in zip(utilisation, running, strict=True) if requests > 0]
    return sum(gaps) / len(gaps) if len(gaps) >= FEWEST else None


def without_gaps(now: float, idle: float | None, window_seconds: float | None = None) -> Effect:
    """Bound the mean ITL (s) without gaps on the GPU: from now * (1 - g) to now."""
    if idle is None:
        return unknown("itl_seconds", "s", f"the utilisation of the GPU in {FEWEST} polls while requests run", now)
    assumption = f"no kernel runs for {idle:.0%} of the time in which requests do"
    return bound("itl_seconds", "s", now, now * (1 - idle), now, (assumption,), window_seconds=window_seconds)


def overhead(
    alphas: Sequence[float], step: float, weight_bytes: float, bandwidth: float
) -> tuple[float, float, float] | None:
    """Give lo, mid and hi of the share of a step that is neither reading weights nor work on tokens.

    (alpha - alpha_floor) / s with alpha_floor = weight bytes of one GPU / (0.8 * its bandwidth in bytes/s), for the
    replicates of alpha (s) and the mean step time (s). None where nothing is known.
    """
    if not alphas or step <= 0 or bandwidth <= 0:
        return None
    floor = weight_bytes / (REACHED_BANDWIDTH * bandwidth)
    shares = [max(0.0, alpha - floor) / step for alpha in alphas]
    return percentile(shares, 0.05), percentile(shares, 0.5), percentile(shares, 0.95)
