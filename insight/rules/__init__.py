"""The rules, in the order in which one of them explains the others."""

from __future__ import annotations

from insight.rules import latency, queue, server
from insight.rules.rule import Condition, Rule

RULES: tuple[Rule, ...] = (
    server.UNREACHABLE,
    server.STUCK,
    server.UNAUTHORISED,
    queue.OVERLOADING,
    latency.TTFT,
    latency.ITL,
    latency.TPOT,
    latency.E2E,
    server.STARTING,
    server.RESTARTED,
)

__all__ = ["RULES", "Condition", "Rule"]
