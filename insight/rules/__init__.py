"""The rules, in the order in which one of them explains the others."""

from __future__ import annotations

from insight.rules import cache, gpu, latency, queue, server
from insight.rules.rule import Condition, Rule

RULES: tuple[Rule, ...] = (
    server.UNREACHABLE,
    server.STUCK,
    gpu.DRIVER,
    gpu.LOST,
    server.UNAUTHORISED,
    cache.SATURATION,
    queue.OVERLOADING,
    latency.TTFT,
    latency.ITL,
    latency.TPOT,
    latency.E2E,
    gpu.THROTTLE,
    server.STARTING,
    server.RESTARTED,
)

__all__ = ["RULES", "Condition", "Rule"]
