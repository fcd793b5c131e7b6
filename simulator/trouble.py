"""What goes wrong within an engine: the faults of a scenario that its steps and its requests feel."""

from __future__ import annotations

from math import prod
from random import Random
from typing import TYPE_CHECKING

from simulator.faults import Aborts, BadRequests, Errors, Freeze, Slow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.faults import Fault


class Trouble:
    """The troubles of one engine; the same for the same seed."""

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._freezes = sorted((f.at, f.at + f.seconds) for f in faults if isinstance(f, Freeze))
        self._slow = [f for f in faults if isinstance(f, Slow)]
        self._errors = [f for f in faults if isinstance(f, Errors)]
        self._bad = [f for f in faults if isinstance(f, BadRequests)]
        self._aborts = [f for f in faults if isinstance(f, Aborts)]
        self._random = Random(f"trouble {seed}")

    def slowdown(self, now: float) -> float:
        """How many times as long a step takes that begins now."""
        return prod(f.factor for f in self._slow if f.there(now))

    def thaw(self, begin: float, end: float) -> float:
        """Put the end of a step off by as long as the engine is frozen meanwhile."""
        for frozen, thawed in self._freezes:
            if frozen < end and begin < thawed:
                end += thawed - max(begin, frozen)
        return end

    def is_bad(self, now: float) -> bool:
        """Tell whether a request that arrives now is one that no server would take."""
        return self._falls_on(self._bad, now)

    def gone_after(self, now: float) -> float | None:
        """Tell how long the client of a request that arrives now waits at most; None where it waits for all of it."""
        there = [f for f in self._aborts if f.there(now)]
        return min(f.after for f in there) if self._falls_on(there, now) else None

    def fails(self, now: float) -> bool:
        """Tell whether a request that gets its first token now ends with an error instead."""
        return self._falls_on(self._errors, now)

    def _falls_on(self, faults: Sequence[Errors | BadRequests | Aborts], now: float) -> bool:
        share = sum(f.share for f in faults if f.there(now))
        return share > 0 and self._random.random() < share
