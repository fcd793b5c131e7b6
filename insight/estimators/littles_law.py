"""E1: Little's law, L = rate * W.

It checks the counters, gives the wait of engines without a queue histogram, and the time that a backlog takes to drain.

A request that waits or runs adds one second of TTFT or ITL a second, so (increase of ITL sum + of TTFT sum) / T *is*
the mean number in the server: within 1 % of the truth in 15 phases on a real vLLM. The gauges read 2-18 % low (once
26 % high): they are set after a step and are blind to what arrives within it.
"""

from __future__ import annotations

from msgspec import Struct

from insight.estimators.effects import unknown
from metrics.effect import Effect, Grade

SHORTEST = 60.0
"""Seconds; in shorter windows the requests at the edges weigh too much (33 % off in 15 s, 17 % in 60 s, by gauges)."""
SUMS_LIMIT, GAUGES_LIMIT = 0.15, 0.25
"""|L - rate * W| / L above which the load was not steady, or the counters contradict each other."""
GAUGE_ERROR = 0.2
"""Gauges of requests running and waiting are good to so much."""
STANDING_QUEUE = 5.0
"""With fewer waiting in the mean a gauge misreads a queue that comes in bursts: 130 ms where 52 were true."""
SATURATED_ERROR = 0.05
"""The wait by the gauge came out 4-5 % high where a queue stood."""


class InServer(Struct, frozen=True):
    """The mean number of requests in the server."""

    lo: float
    value: float
    hi: float
    source: str
    """`sums` of the latency histograms, or `gauges`."""


class Consistency(Struct, frozen=True):
    """Whether the number in the server and the time that requests stay agree."""

    in_server: InServer
    by_requests: float
    """Requests finished a second times their mean time in the server."""
    difference: float
    """|L - rate * W| / L."""
    steady: bool | None
    """False: the load changed, or counters contradict each other, and a model of this window is worth less; None: the
    window is too short to tell."""


def by_sums(itl_seconds: float, ttft_seconds: float, window_seconds: float) -> InServer | None:
    """Count by what the ITL and TTFT sums grew by (s) over a window; good to 2 %."""
    if window_seconds <= 0:
        return None
    value = (itl_seconds + ttft_seconds) / window_seconds
    return InServer(value * 0.98, value, value * 1.02, "sums")


def by_gauges(running: float, waiting: float) -> InServer:
    """Count by the time means of the gauges; good to 20 %."""
    value = running + waiting
    return InServer(value * (1 - GAUGE_ERROR), value, value * (1 + GAUGE_ERROR), "gauges")


def consistency(in_server: InServer, rate: float, mean_e2e: float, window_seconds: float) -> Consistency | None:
    """Hold the number in the server against rate (requests/s) * mean E2E (s); None where nothing was in the server."""
    if in_server.value <= 0:
        return None
    by_requests = rate * mean_e2e
    difference = abs(in_server.value - by_requests) / in_server.value
    limit = SUMS_LIMIT if in_server.source == "sums" else GAUGES_LIMIT
    return Consistency(in_server, by_requests, difference, difference <= limit if window_seconds >= SHORTEST else None)


def queue_wait(
    waiting: float | None, rate: float, window_seconds: float, observed: tuple[float, float] | None = None
) -> Effect:
    """Tell how long a request waits (s): observed (mean, count) if the server has it, else mean waiting / rate.

    The gauge is believed only where a queue stands.
    """
    if observed is not None and observed[1] > 0:
        mean, n = observed
        return Effect(
            "queue_seconds", mean, mean, mean, mean, "s", "measured", Grade.A, n=n, window_seconds=window_seconds
        )
    if waiting is None or rate <= 0 or waiting < STANDING_QUEUE:
        return unknown(
            "queue_seconds", "s", "the queue time of each request: a gauge misses a queue that is not steady"
        )
    wait = waiting / rate
    return Effect(
        "queue_seconds",
        now=wait,
        lo=wait * (1 - SATURATED_ERROR),
        mid=wait,
        hi=wait * (1 + SATURATED_ERROR),
        unit="s",
        basis="model",
        grade=Grade.B,
        assumptions=("as many leave the queue as come in",),
        n=rate * window_seconds,
        window_seconds=window_seconds,
    )


def drain(waiting: float, arrivals: float, lo: float, mid: float, hi: float) -> Effect:
    """Tell how long (s) a backlog takes to drain at arrivals/s, with the capacity (requests/s) and its interval.

    waiting / (capacity - arrivals). Where even the highest capacity is not above the arrivals it never drains.
    """
    if waiting <= 0:
        return Effect("drain_seconds", 0.0, 0.0, 0.0, 0.0, "s", "measured", Grade.A)
    if hi <= arrivals:
        return unknown("drain_seconds", "s", "a capacity above the arrivals: at this rate the queue never drains")
    soonest, likely, latest = (waiting / (each - arrivals) if each > arrivals else None for each in (hi, mid, lo))
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
    )
