"""The Store: bounded rings of what every source showed, fine to coarse.

| tier   | a row for   | rows | reaches back |
| ------ | ----------- | ---- | ------------ |
| fine   | each poll   |  900 | 15 min at 1 s |
| middle | 10 s        | 2160 | 6 h          |
| coarse | 60 s        | 2880 | 48 h         |

Counters and histograms are kept cumulative (carried over restarts), so a coarse row loses nothing: any window is a
difference of two rows. A gauge keeps the mean and the peak of its step. A failed poll is a row of NaN: a gap.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import zip_longest
from typing import TYPE_CHECKING

from msgspec import Struct

from metrics.columns import Columns
from metrics.continuity import Continuity
from metrics.ring import NAN, Ring
from metrics.row import Writer
from metrics.sample import Event, Sample, State

if TYPE_CHECKING:
    from metrics.quality import Graded
    from metrics.row import Row


class Tier(Struct, frozen=True):
    """One resolution of the Store."""

    step: float
    """Seconds that a row stands for; 0 is a row for each poll."""
    rows: int


TIERS = (Tier(0.0, 900), Tier(10.0, 2160), Tier(60.0, 2880))
MAX_EVENTS = 500
MAX_GRADED = 2000
"""Graded answers that are kept of one server: some twenty passes over a set of a hundred."""
BREAK_POLLS = 3
"""After so many failed polls in a row nobody can say that a gauge stayed above 0: it begins anew."""


class Store:
    """Every source that was ever heard of."""

    def __init__(self, tiers: tuple[Tier, ...] = TIERS) -> None:
        self._tiers = tiers
        self.sources: dict[str, History] = {}

    def add(self, sample: Sample) -> None:
        """Take in a Sample. One that is older than the newest of its source is not taken in."""
        history = self.sources.get(sample.source)
        if history is None:
            history = self.sources[sample.source] = History(sample, self._tiers)
        history.add(sample)

    def nbytes(self) -> dict[str, int]:
        """Tell the memory that the rings of each source take."""
        return {source: sum(table.ring.nbytes for table in each.tables) for source, each in self.sources.items()}


class History:
    """What one source showed over time."""

    def __init__(self, first: Sample, tiers: tuple[Tier, ...]) -> None:
        self.kind = first.kind
        self.taken = 0
        """How many Samples were taken in."""
        self.newest = first
        """The last Sample, whatever its state."""
        self.newest_ok: Sample | None = None
        self.first_mono = first.mono
        self.state_since = first.mono
        """When the source came into the state that it is in."""
        self.failed_polls = 0
        """How many polls have failed since the last that succeeded."""
        self.failing_since: float | None = None
        """When the first of them was sent, by the monotonic clock; None while polls succeed."""
        self.restarted_mono: float | None = None
        self.away_seconds: float | None = None
        """How long nobody had an answer from it when it came back from its last restart."""
        self.columns = Columns()
        self.tables = tuple(Table(tier, self.columns) for tier in tiers)
        self.events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self.happened: deque[float] = deque(maxlen=MAX_EVENTS)
        """When each of them was, by the monotonic clock: the wall clock may be set at any time."""
        self.graded: deque[Graded] = deque(maxlen=MAX_GRADED)
        self.moved: dict[str, float] = {}
        """When each counter was last seen to grow, by the monotonic clock."""
        self.held: dict[str, float] = {}
        """Since when each gauge has been above 0 without a break, by the monotonic clock."""
        self._carried: dict[str, float] = {}
        """Each counter as it was last seen."""
        self._continuity = Continuity()
        self._writer = Writer(self.columns)

    def add(self, sample: Sample) -> None:
        """Take in the next Sample of this source."""
        if sample.mono < self.newest.mono:
            return
        self.taken += 1
        if sample.state is not self.newest.state:
            self.state_since = sample.mono
        self.newest = sample
        self.events.extend(sample.events)
        self.happened.extend(sample.mono + each.wall - sample.wall for each in sample.events)
        self.graded.extend(sample.graded)
        if sample.state is not State.OK:
            self.failed_polls += 1
            if self.failing_since is None:
                self.failing_since = sample.mono - sample.duration / 2
            for table in self.tables:
                table.add(sample.mono, None)
            return
        if self.failed_polls >= BREAK_POLLS:
            self.held.clear()
        self.failed_polls, self.failing_since = 0, None
        followed = self.columns.admit(sample)
        counters, histograms, noticed = self._continuity.carry(followed)
        if noticed:
            self.restarted_mono = sample.mono
            self.away_seconds = sample.mono - self.newest_ok.mono if self.newest_ok else None
            self.events.append(Event(sample.wall, noticed, _RESTART_TEXT[noticed]))
            self.happened.append(sample.mono)
        self._follow(sample.mono, counters, followed.gauges, anew=noticed is not None)
        row = self._writer.row(sample.mono, counters, followed.gauges, histograms)
        for table in self.tables:
            table.add(sample.mono, row)
        self.newest = self.newest_ok = followed

    def _follow(self, mono: float, counters: dict[str, float], gauges: dict[str, float], *, anew: bool) -> None:
        """Note which counters grew and which gauges are above 0; a server that began anew has only just begun."""
        if anew:
            self.moved = dict.fromkeys(self.moved, mono)
            self.held.clear()
        for name, value in counters.items():
            if name not in self._carried or value > self._carried[name]:
                self.moved[name] = mono
        self._carried.update(counters)
        self.held = {name: self.held.get(name, mono) for name, value in gauges.items() if value > 0}


_RESTART_TEXT = {
    "restart": "restarted: its counters began anew",
    "replaced": "another server answers in its place",
}


class Table:
    """One tier of one source."""

    def __init__(self, tier: Tier, columns: Columns) -> None:
        self.step = tier.step
        self.ring = Ring(tier.rows)
        self._columns = columns
        self._step_index: int | None = None
        self._time = NAN
        self._cells: tuple[float, ...] | None = None
        """Of the step under way, as it last knew each series; None while no poll in it succeeded."""
        self._gauges: list[tuple[float, ...]] = []
        """What each poll of the step under way showed of the gauges."""

    def add(self, time: float, row: Row | None) -> None:
        """Take in a poll; None for one that failed."""
        self._begin(time)
        if row is not None:
            self._cells = row.cells if row.whole or self._cells is None else _updated(self._cells, row.cells)
            self._gauges.append(row.gauges)
        if row is not None or self._cells is None:
            self._time = time
        if not self.step:
            self._flush()

    def _begin(self, time: float) -> None:
        """Close the step before that of `time`."""
        if self.step:
            index = int(time // self.step)
            if self._step_index is not None and index != self._step_index:
                self._flush()
            self._step_index = index

    def _flush(self) -> None:
        width = self._columns.width
        if self.ring.width < width:
            self._widen(width)
        cells = [*(self._cells or (self._time,))]
        if len(self._gauges) > 1:
            self._fold_gauges(cells)
        self.ring.append(cells + [NAN] * (width - len(cells)))
        self._cells = None
        self._gauges.clear()

    def _fold_gauges(self, cells: list[float]) -> None:
        """Put the mean and the peak of each gauge over the step in its two columns, of the polls that knew it."""
        for mean, polls in zip(self._columns.gauges.values(), zip_longest(*self._gauges, fillvalue=NAN), strict=False):
            total, known = sum(polls), polls
            if math.isnan(total):
                known = tuple([value for value in polls if not math.isnan(value)]) or (NAN,)
                total = sum(known)
            cells[mean : mean + 2] = total / len(known), max(known)

    def _widen(self, width: int) -> None:
        """Add columns for new series: not known before, but for those born beside others of their kind."""
        first = self.ring.widen(width - self.ring.width)
        for birth in reversed(self._columns.births):
            if birth.column < first:
                break
            self.ring.zero(birth.column, birth.columns, beside=birth.elder)


def _updated(before: tuple[float, ...], now: tuple[float, ...]) -> tuple[float, ...]:
    """Take what a poll knew, and what it did not as it was before; there are never fewer columns than before."""
    return tuple([one if math.isnan(new) else new for one, new in zip_longest(before, now, fillvalue=NAN)])
