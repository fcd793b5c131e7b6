"""How late the event loop is: what the monitor itself adds to a time that it measures.

A heartbeat that should come every 50 ms comes late when something holds the loop, the interpreter or the CPU; a latency
that was measured meanwhile is ours in part, not the server's.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from collectors.clock import Clock

BEAT = 0.05
"""Seconds from beat to beat."""
_KEPT = 4096
"""Beats that are kept: 3.4 min, longer than any request may take."""
_LEAST = 0.010
"""Lag that always taints, in seconds: the schedule delay that inference-perf allows its load generator."""
_SHARE = 0.1
"""Lag that is a smaller part of the latency than this does not matter."""


class Lag:
    """How late each of the last beats came."""

    def __init__(self) -> None:
        self._beats: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        """When a beat came, and how late."""

    def beat(self, due: float, now: float) -> None:
        """Note a beat that was due at one moment and came at another."""
        self._beats.append((now, max(0.0, now - due)))

    def p99(self, begin: float, end: float) -> float:
        """Tell the 99th percentile (nearest rank) of the lag between two moments; 0 where no beat spans any of it."""
        late = sorted(lag for came, lag in self._beats if came >= begin and came - lag - BEAT <= end)
        return late[math.ceil(0.99 * len(late)) - 1] if late else 0.0

    def taints(self, begin: float, end: float, latency: float) -> bool:
        """Tell whether the lag in the life of a request is too large a part of its latency."""
        return self.p99(begin, end) > max(_LEAST, _SHARE * latency)


async def keep_beat(lag: Lag, clock: Clock, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Beat until cancelled."""
    while True:
        due = clock.mono() + BEAT
        await sleep(BEAT)
        lag.beat(due, clock.mono())
