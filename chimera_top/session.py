"""Collectors, Store and assessment as one running whole: Samples in at one end, Snapshots out at the other.

    collectors -> on_samples -> recorder, Store        (in the poller's thread)
    tick       -> View -> Assessor -> publish          (in the poller's thread)

Live hosts, the demo and replayed recordings all take this road.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from msgspec.structs import replace

from chimera_top import promised
from collectors.clean import clean
from collectors.poller import Poller
from metrics.sample import Event, Sample, Source
from metrics.store import TIERS, Store, Tier
from metrics.view import View

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chimera_top.recorder import Recorder
    from collectors.clock import Clock
    from collectors.collector import Collector
    from insight.assess import Assessor
    from metrics.snapshot import Snapshot

MOST_ROWS = 100_000
"""Polls that are kept one by one at most: 27 h at one a second."""


class Session:
    """Polls, keeps and assesses until it is stopped.

    `publish` is called with a Snapshot after each tick, in the poller's thread; without it the rules are followed all
    the same, and `snapshot` is asked for at the end. With `ends_after`, it ends by itself after the tick that lies so
    many seconds after the first, and what is seen later is not taken in: the window is exactly that long. `look` gives
    what is to be assessed at a tick where that is not here and now: a replay has a Store and a time of its own, and
    what the poller says of this program is no part of it.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        assessor: Assessor,
        *,
        interval: float,
        clock: Clock,
        publish: Callable[[Snapshot], None] | None = None,
        recorder: Recorder | None = None,
        ends_after: float | None = None,
        look: Callable[[], View] | None = None,
    ) -> None:
        self._clock = clock
        self._look = look
        self._interval = interval
        self._assessor = assessor
        self._publish = publish
        self._recorder = recorder
        self._promised = promised.facts(assessor.settings.objectives)
        self._window = assessor.settings.window
        self._ends_after = ends_after
        self._first_tick: float | None = None
        self._last_view: View | None = None
        self._fault = ""
        self.marks: deque[Event] = deque()
        """Marks that were set and have not entered the Store yet: they come with the next Sample of the monitor."""
        self._marked = 0
        self.ended = threading.Event()
        """Set when it has ended by itself; whoever sets it from outside wants it to end."""
        # Every poll of a watch with an end is kept, so that what is said speaks of its first second.
        polls = 0 if ends_after is None else round(ends_after / interval) + 10
        finest = Tier(0.0, min(MOST_ROWS, max(polls, TIERS[0].rows)))
        self.store = Store((finest, *TIERS[1:]))
        self._poller = Poller(collectors, interval, clock, self._take, on_tick=self._tick)

    def start(self) -> None:
        """Begin to poll, in a thread of its own."""
        self._poller.start()

    def add(self, collectors: Sequence[Collector]) -> None:
        """Poll more collectors from now on; may be called from any thread."""
        self._poller.add(collectors)

    def mark(self, text: str = "") -> str:
        """Mark this moment, by default as `mark 1`, `mark 2`, ...; returns its text. For any thread and signal handler.

        It is an event of the monitor, so that it goes the way of everything that is seen: recorded, shown, reported.
        """
        self._marked += 1
        text = text or f"mark {self._marked}"
        shown = self._last_view if self._look is not None else None  # a replay is not here and now
        self.marks.append(Event(self._clock.wall() if shown is None else shown.wall, "mark", text))
        return text

    def stop(self) -> None:
        """End polling and close the recording; harmless when called again."""
        self._poller.stop()
        if self._recorder is not None:
            if self.marks and self._look is None:  # set after the last tick
                self._recorder.write(
                    self._told_here(Sample("monitor", Source.MONITOR, self._clock.wall(), self._clock.mono()))
                )
            self._recorder.close()

    def set_window(self, seconds: float) -> None:
        """Let the next Snapshots speak of another window; may be called from any thread."""
        self._window = seconds

    @property
    def trouble(self) -> str | None:
        """One line, once the recording could not be gone on with, or a conclusion could not be drawn."""
        unrecorded = None if self._recorder is None else self._recorder.trouble
        return "; ".join(filter(None, (unrecorded, self._fault))) or None

    def snapshot(self) -> Snapshot:
        """Assess what was seen, after `stop`."""
        return self._assessor.snapshot(self._last_view or self._view())

    def _take(self, samples: Sequence[Sample]) -> None:
        if self.ended.is_set() or self._look is not None:
            return
        for seen in samples:
            sample = self._told_here(seen) if seen.kind is Source.MONITOR else seen
            if self._recorder is not None:
                self._recorder.write(sample)
            self.store.add(sample)

    def _told_here(self, sample: Sample) -> Sample:
        """Put the objectives, and the marks that were set since the last tick, into a Sample of the monitor."""
        if not self.marks and not self._promised:
            return sample
        set_since = [self.marks.popleft() for _ in range(len(self.marks))]
        return replace(sample, facts={**sample.facts, **self._promised}, events=(*sample.events, *set_since))

    def _tick(self, mono: float, _wall: float) -> None:
        if self.ended.is_set():
            return
        self._first_tick = mono if self._first_tick is None else self._first_tick
        try:
            self._assess()
        except Exception as error:  # the poller logs it, and what is not seen names it as soon as it is over
            said = clean(f"{type(error).__name__}: {error}")
            self._fault = f"internal error: {said}; --log-file FILE keeps where it came from"
            raise
        finally:
            if self._ends_after is not None and mono - self._first_tick >= self._ends_after - self._interval / 2:
                self.ended.set()

    def _assess(self) -> None:
        view = self._last_view = self._view()
        if self._publish is None:
            self._assessor.observe(view)
            return
        if self._window != self._assessor.settings.window:
            self._assessor.settings = replace(self._assessor.settings, window=self._window)
        self._publish(self._assessor.snapshot(view))

    def _view(self) -> View:
        if self._look is not None:
            return self._look()
        return View(self.store, self._clock.mono(), self._clock.wall(), self._interval)
