"""E1: Little's law, L = rate * W.

It checks the counters, and gives the time that a backlog takes to drain.

A request that waits or runs adds one second of TTFT or ITL a second, so (increase of ITL sum + of TTFT sum) / T *is*
the mean number in the server: within 1 % of the truth in 15 phases on a real vLLM. The gauges read 2-18 % low (once
26 % high): they are set after a step and are blind to what arrives within it.
"""

from __future__ import annotations

from insight.estimators.effects import unknown
from metrics import units
from metrics.effect import Effect, Grade

SHORTEST = 50.0
"""Seconds; in shorter windows the requests at the edges weigh too much (33 % off in 15 s, 17 % in 60 s, by gauges). A
minute of whole windows of 3 s is up to 6 s shorter."""
REQUESTS_LIMIT, GAUGES_LIMIT = 0.15, 0.25
"""|L - rate * W| / L, and |L - gauges| / L, above which the load was not steady, or the counters contradict each other:
requests finished a second times their mean time in the server, and the time means of those that run and wait."""
STANDING_QUEUE = 5.0
"""With fewer waiting, or in the server, in the mean a gauge misreads what comes in bursts: a wait of 130 ms where 52
were true."""


def in_server(itl_seconds: float, ttft_seconds: float, window_seconds: float) -> float | None:
    """Count the mean number of requests in the server by what the ITL and TTFT sums grew by (s); good to 2 %."""
    return (itl_seconds + ttft_seconds) / window_seconds if window_seconds > 0 else None


def doubt(held: float, by_requests: float | None, by_gauges: float | None, window_seconds: float) -> str:
    """Say by how much the number in the server by its sums (`held`) and by other counts disagree; '' where it does not.

    `by_requests` is requests/s times their mean E2E, `by_gauges` the mean of those that run and wait; None: not known.
    A load that changes makes them disagree as well: either way what is fitted on this window is worth less.
    """
    if held <= 0 or window_seconds < SHORTEST:
        return ""
    others = (
        ("rate times time in it gives", by_requests, REQUESTS_LIMIT, 0.0),
        ("its gauges show", by_gauges, GAUGES_LIMIT, STANDING_QUEUE),
    )
    for how, other, limit, least in others:
        if other is not None and held >= least and abs(held - other) > limit * held:
            share = units.value(abs(held - other) / held, "ratio")
            by_latencies = f"{units.digits(held)} requests in the server by its latencies"
            return f"{by_latencies}, {how} {units.digits(other)}: {share} apart"
    return ""


def drain(waiting: float, arrivals: float, capacity: Effect) -> Effect:
    """Tell how long (s) a backlog takes to drain at arrivals/s, with a capacity (requests/s) and its interval.

    waiting / (capacity - arrivals). Where even the highest capacity is not above the arrivals it never drains.
    """
    if waiting <= 0:
        return Effect("drain_seconds", 0.0, 0.0, 0.0, 0.0, "s", "measured", Grade.A)
    if capacity.lo is None or capacity.mid is None or capacity.hi is None:
        return unknown("drain_seconds", "s", capacity.needs or "the capacity")
    if capacity.hi <= arrivals:
        return unknown("drain_seconds", "s", "a capacity above the arrivals: at this rate the queue never drains")
    ends = capacity.hi, capacity.mid, capacity.lo
    soonest, likely, latest = (waiting / (each - arrivals) if each > arrivals else None for each in ends)
    return Effect(
        "drain_seconds",
        now=None,
        lo=soonest,
        mid=likely,
        hi=latest,
        unit="s",
        basis="model",
        grade=Grade.B if latest is not None else Grade.C,
        assumptions=("arrivals stay as they are", *(() if latest is not None else ("it may never drain",))),
        n=capacity.n,
        window_seconds=capacity.window_seconds,
    )
