"""Asks every collector on time, in one thread with one event loop, whatever any of them does.

Nothing is queued: a tick that finds its poll still under way is skipped and counted, and a poll that passes its
deadline is dropped and counted. So nothing is ever older than the deadline without saying so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
from collections import deque
from typing import TYPE_CHECKING

from collectors.clean import clean
from metrics.sample import Sample, Source, State
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from collectors.clock import Clock
    from collectors.collector import Collector

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())  # without a handler, Python would write over the screen

_CLOSING_SECONDS = 0.5
"""How long collectors may take to end when everything stops."""


def next_tick(start: float, interval: float, last: int, now: float) -> int:
    """Find the next tick to keep, where tick k lies at `start + k * interval` and `last` was the last one kept.

    It is the first one that lies not before `now`, and later than `last`; `next_tick(...) - last - 1` were missed.
    """
    return max(last + 1, math.ceil((now - start) / interval))


class _Lane:
    """One collector on its schedule, from a tick on."""

    def __init__(self, collector: Collector, interval: float, seconds: float = 0.0) -> None:
        self.collector = collector
        self.interval = collector.interval or interval
        self.tick = math.floor(seconds / self.interval)
        self.poll: asyncio.Task[None] | None = None
        self.missed = 0
        self.overrun = 0


class Poller:
    """Polls collectors every `interval` seconds, or every `collector.interval` where that is set.

    `on_samples` gets the Samples of each poll as it ends; `on_tick(mono, wall)` is called once every `interval`, after
    the polls of that tick, or a quarter of an interval later where one of them takes longer. Both are called in the
    poller's thread, must not block, and should not raise: then the `monitor` Sample says so. `deadline` ends a poll; by
    default it is 6 s, a second more than a GET may take so that the collector itself can say what failed, or three
    intervals where that is more.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        interval: float,
        clock: Clock,
        on_samples: Callable[[Sequence[Sample]], None],
        *,
        on_tick: Callable[[float, float], None] | None = None,
        deadline: float | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._lanes = [_Lane(collector, interval) for collector in collectors]
        self._joining: deque[Collector] = deque()
        self._interval = interval
        self._patience = min([interval, *(lane.interval for lane in self._lanes)]) / 4
        self._clock = clock
        self._on_samples = on_samples
        self._on_tick = on_tick
        self._deadline = max(6.0, 3 * interval) if deadline is None else deadline
        self._sleep = sleep
        self._trouble = ""
        self._late = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to poll, in a thread of its own. A poller starts once."""
        loop = asyncio.new_event_loop()
        self._loop, self._main = loop, loop.create_task(self.run())
        self._thread = threading.Thread(target=self._live, name="poller", daemon=True)
        self._thread.start()

    def add(self, collectors: Sequence[Collector]) -> None:
        """Poll more collectors, from the next time on that any is polled; may be called from any thread."""
        self._joining.extend(collectors)

    def stop(self, timeout: float = 2.0) -> bool:
        """End polling and close the collectors; False where the thread did not end within `timeout` seconds.

        Harmless before `start`, and when called again.
        """
        thread, loop, main = self._thread, self._loop, self._main
        if thread is None or loop is None or main is None:
            return True
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(main.cancel)
        thread.join(timeout)
        return not thread.is_alive()

    async def run(self) -> None:
        """Poll in the event loop that runs already, until cancelled; then close the collectors."""
        try:
            await self._keep_time()
        finally:
            await self._end()

    def _live(self) -> None:
        loop, main = self._loop, self._main
        if loop is None or main is None:
            return
        try:
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(main)
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    async def _keep_time(self) -> None:
        start = self._clock.mono()
        beat = 0
        while True:
            while self._joining:
                self._lanes.append(_Lane(self._joining.popleft(), self._interval, self._clock.mono() - start))
            begun = self._begin(start)
            if start + beat * self._interval <= self._clock.mono():
                if begun:
                    await asyncio.wait(begun, timeout=self._patience)
                self._beat()
                beat = next_tick(start, self._interval, beat, self._clock.mono())
            due = [start + lane.tick * lane.interval for lane in self._lanes]
            wake = max(self._clock.mono(), min([start + beat * self._interval, *due]))
            await self._sleep(wake - self._clock.mono())
            self._late = max(self._late, self._clock.mono() - wake)

    def _begin(self, start: float) -> list[asyncio.Task[None]]:
        """Begin what is due and not under way."""
        begun = []
        for lane in self._lanes:
            now = self._clock.mono()
            if start + lane.tick * lane.interval > now:
                continue
            if lane.poll is None or lane.poll.done():
                lane.poll = asyncio.create_task(self._poll(lane))
                begun.append(lane.poll)
            else:
                lane.missed += 1
            following = next_tick(start, lane.interval, lane.tick, now)
            lane.missed += following - lane.tick - 1
            lane.tick = following
        return begun

    async def _poll(self, lane: _Lane) -> None:
        collector = lane.collector
        began = self._clock.mono()
        limit = asyncio.timeout(self._deadline)
        try:
            async with limit:
                samples = await collector.collect()
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with one collector, the others live on
            if isinstance(error, TimeoutError) and limit.expired():
                lane.overrun += 1
                reason = f"no answer in {self._deadline:g} s; the poll was dropped"
            else:
                _log.exception("%s failed", collector.name)
                reason = f"internal error: {_name(error)}"
            samples = [self._failed(collector, began, reason)]
        self._deliver(samples)

    def _failed(self, collector: Collector, began: float, reason: str) -> Sample:
        taken = self._clock.mono() - began
        return Sample(
            collector.name,
            collector.kind,
            self._clock.wall() - taken / 2,
            began + taken / 2,
            taken,
            State.DOWN,
            reason,
        )

    def _deliver(self, samples: Sequence[Sample]) -> None:
        self._call(lambda: self._on_samples(samples))

    def _beat(self) -> None:
        """Tell what was missed so far, then let the caller draw its conclusions."""
        now, wall = self._clock.mono(), self._clock.wall()
        counters = {}
        for lane in self._lanes:
            counters[series("polls_missed", collector=lane.collector.name)] = float(lane.missed)
            counters[series("polls_overrun", collector=lane.collector.name)] = float(lane.overrun)
        gauges, self._late = {"loop_lag_seconds": max(0.0, self._late)}, 0.0
        state, self._trouble, trouble = State.DOWN if self._trouble else State.OK, "", self._trouble
        self._deliver([Sample("monitor", Source.MONITOR, wall, now, 0.0, state, trouble, counters, gauges)])
        if (on_tick := self._on_tick) is not None:
            self._call(lambda: on_tick(now, wall))

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001 -- a fault that shows only now and then must not end the polling
            _log.exception("what the poller calls failed")
            self._trouble = f"internal error: {_name(error)}"

    async def _end(self) -> None:
        polls = {lane.poll for lane in self._lanes if lane.poll is not None and not lane.poll.done()}
        for poll in polls:
            poll.cancel()
        await self._wait_for(polls)
        await self._wait_for({asyncio.ensure_future(_quietly(lane.collector.close())) for lane in self._lanes})

    async def _wait_for(self, tasks: set[asyncio.Task[None]]) -> None:
        """Wait a moment; what has not ended then never will, and is cancelled and left behind."""
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=_CLOSING_SECONDS)
            for task in pending:
                task.cancel()


async def _quietly(closing: Coroutine[None, None, None]) -> None:
    try:
        await closing
    except Exception:  # noqa: BLE001 -- the others are to be closed as well
        _log.exception("a collector could not be closed")


def _name(error: Exception) -> str:
    return clean(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
