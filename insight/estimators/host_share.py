"""E8: what the host costs, by Amdahl's law.

g is the share of time in which no kernel ran while requests did (NVML's `utilization.gpu` is the share in which any
ran, which is all that it is good for). Without those gaps the server is at most 1 / (1 - g) as fast: asynchronous
scheduling and CUDA graphs take away some of them, never all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.estimators.effects import bound

if TYPE_CHECKING:
    from metrics.effect import Effect


def without_gaps(now: float, idle: float, n: float | None = None, window_seconds: float | None = None) -> Effect:
    """Bound the mean ITL (s) without gaps on the GPU: from now * (1 - g) to now; `n` polls saw g."""
    assumption = f"no kernel runs for {idle:.0%} of the time in which requests do, and at best all of it is won"
    return bound("itl_seconds", "s", now, now * (1 - idle), now, (assumption,), n, window_seconds)
