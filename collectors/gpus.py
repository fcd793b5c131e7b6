"""The GPUs of this host, polled in a thread that can be left behind.

A call into a sick driver may never return, and a thread inside it can neither be stopped nor be waited for. So NVML
lives in one daemon thread. A poll that does not come back by its deadline is left there, no other is started while it
hangs, and every poll meanwhile says since when and in which call; when it comes back, polling goes on.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from collectors.nvml_driver import SOURCE, Driver
from metrics.sample import Sample, Source, State
from metrics.units import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.clock import Clock
    from metrics.sample import Event

DEADLINE = 0.5
"""Seconds: ten times what a poll of eight GPUs takes."""
OPENING = 30.0
"""Seconds that the first poll may take: without nvidia-persistenced the driver wakes every GPU when it is opened."""


class Poll:
    """One poll of the driver, under way in the thread or done."""

    def __init__(self, now: float) -> None:
        self.begun = now
        self.loop = asyncio.get_running_loop()
        self.back = asyncio.Event()
        self.samples: tuple[Sample, ...] = ()
        self.error: Exception | None = None


class Gpus:
    """The collector of the GPUs: one Sample of the driver, one of each GPU and of each MIG instance."""

    def __init__(self, clock: Clock, driver: Driver | None = None, deadline: float = DEADLINE) -> None:
        self.name = SOURCE
        self.kind = Source.DRIVER
        self.interval: float | None = None
        self._clock = clock
        self._driver = driver or Driver(clock)
        self._deadline = deadline
        self._jobs: queue.SimpleQueue[Poll | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._poll: Poll | None = None
        self._has_answered = False
        self._unsaid: dict[str, tuple[Event, ...]] = {}
        """Events of a poll that came back too late for its numbers to be of use."""

    async def collect(self) -> Sequence[Sample]:
        """Poll the driver, or say how long it has not answered."""
        late = self._poll
        if late is not None:
            if not late.back.is_set():
                return (self._unresponsive(late),)
            self._keep_events(late)
        self._poll = poll = self._start()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._deadline):
                await poll.back.wait()
        if not poll.back.is_set():
            return (self._unresponsive(poll),)
        self._poll = None
        self._has_answered = True
        if poll.error is not None:
            return (self._down(State.DOWN, f"reading the NVIDIA driver failed: {poll.error!r}; please report this"),)
        return self._with_events(poll.samples)

    async def close(self) -> None:
        """Tell the thread to shut NVML down; nobody waits for it, because it may hang."""
        self._jobs.put(None)

    def _start(self) -> Poll:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="nvml", daemon=True)
            self._thread.start()
        poll = Poll(self._clock.mono())
        self._jobs.put(poll)
        return poll

    def _work(self) -> None:
        while (poll := self._jobs.get()) is not None:
            try:
                poll.samples = self._driver.poll()
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever one poll runs into
                poll.error = error
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody listens any more
                poll.loop.call_soon_threadsafe(poll.back.set)
        with suppress(Exception):
            self._driver.close()

    def _unresponsive(self, poll: Poll) -> Sample:
        """Say for how long. The GPUs get no Sample and so grow stale: only the driver is known to be sick."""
        waited = self._clock.mono() - poll.begun
        where = self._driver.nvml.where
        if waited < OPENING and not (self._has_answered and self._driver.is_open):
            return self._down(
                State.STARTING,
                f"NVML has been opening for {duration(waited)} (in {where}); without nvidia-persistenced it takes long",
            )
        return self._down(
            State.DOWN,
            f"NVIDIA driver unresponsive for {duration(waited)} (in {where}): see dmesg for Xid; if it stays, drain "
            "the node and reboot it",
        )

    def _down(self, state: State, reason: str) -> Sample:
        return Sample(SOURCE, Source.DRIVER, self._clock.wall(), self._clock.mono(), state=state, reason=reason)

    def _keep_events(self, late: Poll) -> None:
        for sample in late.samples:
            if sample.events:
                self._unsaid[sample.source] = self._unsaid.get(sample.source, ()) + sample.events

    def _with_events(self, samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
        if not self._unsaid:
            return samples
        return tuple(
            msgspec.structs.replace(sample, events=self._unsaid.pop(sample.source, ()) + sample.events)
            for sample in samples
        )
