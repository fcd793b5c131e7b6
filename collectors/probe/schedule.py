"""When to probe, and when not: the budget, the queue, and the first requests after a start. Pure: time comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from collectors.probe.reply import Limits
from metrics.sample import State
from metrics.series import split_series

if TYPE_CHECKING:
    from metrics.sample import Sample

TOKENS_PER_HOUR = 60_000.0
"""Default budget: what the default of a request every 10 s needs, about 150 tokens each, and a little more."""
PATIENCE = 30.0
"""Seconds for which requests may wait in the server before the probe stops adding to them."""
WARM_UP = 2
"""Requests after a start of the server that say nothing of it: they load, compile and fill caches."""
_HOUR = 3600.0
_BURST = 1 / 30
"""Part of an hour's budget that may be spent at once, so that a small budget is spread over the hour."""


class Plan(Struct, frozen=True):
    """What the user asked for."""

    interval: float = 10.0
    """Seconds from request to request; cold and warm take turns."""
    tokens_per_hour: float = TOKENS_PER_HOUR
    model: str | None = None
    """None: the first that the server names."""
    force: bool = False
    """Go on while requests wait in the server."""
    price: float | None = None
    """Dollars for a million tokens."""
    limits: Limits = Limits()


class Budget:
    """Tokens that may be spent: never more than `per_hour` in any hour.

    A bucket of tokens that fills as time goes by; what it holds at most and what flows in within an hour are together
    the budget. `request` is what one request may cost.
    """

    def __init__(self, per_hour: float, request: float) -> None:
        self.per_hour = per_hour
        self.spent = 0.0
        """Tokens so far."""
        self.estimated = False
        """Whether a part of them is not known, and counted as the most that it can have been."""
        self._most = min(per_hour, max(per_hour * _BURST, 2 * request))
        self._flow = (per_hour - self._most) / _HOUR
        self._held = self._most
        self._then: float | None = None

    def allows(self, tokens: float, now: float) -> bool:
        """Tell whether so many tokens may be spent now."""
        if self._then is not None:
            self._held = min(self._most, self._held + (now - self._then) * self._flow)
        self._then = now
        return self._held >= tokens

    def spend(self, tokens: float, *, estimated: bool = False) -> None:
        """Note that so many tokens were spent, or at most so many."""
        self.estimated = self.estimated or estimated
        self._held -= tokens
        self.spent += tokens


class Heard:
    """What the server's own metrics say that a probe should know: a queue, a restart, the engine.

    `hear` is called in the thread that polls the server, the rest in the thread that probes.
    """

    def __init__(self) -> None:
        self.engine: str | None = None
        self.model: str | None = None
        self.restarts = 0
        self.queue_since: float | None = None
        """Since when requests have been waiting without a break, by the monotonic clock."""
        self.waiting = 0.0
        self._before: Sample | None = None

    def hear(self, sample: Sample) -> None:
        """Take in what a poll of the server saw."""
        if sample.state is not State.OK:
            return
        self.engine = sample.facts.get("engine", self.engine)
        self.model = sample.facts.get("model", self.model)
        self.waiting = sum(each for name, each in sample.gauges.items() if split_series(name)[0] == "requests_waiting")
        if self.waiting <= 0:
            self.queue_since = None
        elif self.queue_since is None:
            self.queue_since = sample.mono
        if self._before is not None and _began_anew(self._before, sample):
            self.restarts += 1
        self._before = sample

    def crowded(self, now: float) -> bool:
        """Tell whether requests have been waiting for longer than `PATIENCE`."""
        since = self.queue_since
        return since is not None and now - since > PATIENCE


def _began_anew(before: Sample, now: Sample) -> bool:
    """Tell whether the server, or one of its processes, was restarted: another start time, or a counter that fell."""
    started = (name for name in now.gauges.keys() & before.gauges.keys() if name.startswith("start_time_seconds"))
    if any(abs(now.gauges[name] - before.gauges[name]) > 1.0 for name in started):
        return True
    return any(value < before.counters.get(name, value) for name, value in now.counters.items())
