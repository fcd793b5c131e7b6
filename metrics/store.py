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
from typing import TYPE_CHECKING

from msgspec import Struct

from metrics.continuity import Continuity
from metrics.ring import NAN, Ring
from metrics.sample import Event, Sample, State
from metrics.series import split_series

if TYPE_CHECKING:
    from metrics.histogram import Histogram
    from metrics.quality import Graded


class Tier(Struct, frozen=True):
    """One resolution of the Store."""

    step: float
    """Seconds that a row stands for; 0 is a row for each poll."""
    rows: int


TIERS = (Tier(0.0, 900), Tier(10.0, 2160), Tier(60.0, 2880))
MAX_EVENTS = 500
MAX_GRADED = 2000
"""Graded answers that are kept of one server: some twenty passes over a set of a hundred."""
MAX_SERIES = 4000
"""Series that one source may have; further ones are left out, so that a page with endless labels cannot fill memory."""


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
        self.newest = first
        """The last Sample, whatever its state."""
        self.newest_ok: Sample | None = None
        self.first_mono = first.mono
        self.state_since = first.mono
        """When the source came into the state that it is in."""
        self.failed_polls = 0
        """How many polls have failed since the last that succeeded."""
        self.restarted_mono: float | None = None
        self.away_seconds: float | None = None
        """How long nobody had an answer from it when it came back from its last restart."""
        self.columns = Columns()
        self.tables = tuple(Table(tier, self.columns) for tier in tiers)
        self.events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self.graded: deque[Graded] = deque(maxlen=MAX_GRADED)
        self.moved: dict[str, float] = {}
        """When each counter was last seen to grow, by the monotonic clock."""
        self.held: dict[str, float] = {}
        """Since when each gauge has been above 0 without a break, by the monotonic clock."""
        self._carried: dict[str, float] = {}
        self._continuity = Continuity()

    def add(self, sample: Sample) -> None:
        """Take in the next Sample of this source."""
        if sample.mono < self.newest.mono:
            return
        if sample.state is not self.newest.state:
            self.state_since = sample.mono
        self.newest = sample
        self.events.extend(sample.events)
        self.graded.extend(sample.graded)
        if sample.state is not State.OK:
            self.failed_polls += 1
            for table in self.tables:
                table.add_gap(sample.mono)
            return
        self.failed_polls = 0
        counters, histograms, noticed = self._continuity.carry(sample)
        if noticed:
            self.restarted_mono = sample.mono
            self.away_seconds = sample.mono - self.newest_ok.mono if self.newest_ok else None
            self.events.append(Event(sample.wall, noticed, _RESTART_TEXT[noticed]))
        for name, value in counters.items():
            if value > self._carried.get(name, value):
                self.moved[name] = sample.mono
            self.moved.setdefault(name, sample.mono)
        self._carried = counters
        self._follow_gauges(sample)
        self.columns.admit(counters, sample.gauges, histograms)
        for table in self.tables:
            table.add(sample.mono, counters, sample.gauges, histograms)
        self.newest_ok = sample

    def _follow_gauges(self, sample: Sample) -> None:
        for name, value in sample.gauges.items():
            if value > 0:
                self.held.setdefault(name, sample.mono)
            else:
                self.held.pop(name, None)


_RESTART_TEXT = {
    "restart": "restarted: its counters began anew",
    "replaced": "another server answers in its place",
}


class Columns:
    """Which column of a row is which series; shared by all tiers of a source."""

    def __init__(self) -> None:
        self.width = 2
        """The first column is the time, the second is 1 in the row of a poll that succeeded."""
        self.counters: dict[str, int] = {}
        self.gauges: dict[str, int] = {}
        """Two columns each: mean, then peak."""
        self.histograms: dict[str, tuple[int, tuple[float, ...]]] = {}
        """First column and bounds: the counts of the buckets, then the sum."""
        self.by_quantity: dict[str, list[str]] = {}
        """The series of each quantity, in the order in which they appeared."""
        self.left_out = 0

    def admit(self, counters: dict[str, float], gauges: dict[str, float], histograms: dict[str, Histogram]) -> None:
        """Give every series that has none its columns."""
        for name in counters:
            if name not in self.counters and self._has_room(name):
                self.counters[name] = self._take(1)
        for name in gauges:
            if name not in self.gauges and self._has_room(name):
                self.gauges[name] = self._take(2)
        for name, histogram in histograms.items():
            known = self.histograms.get(name)
            if (known is None or known[1] != histogram.bounds) and self._has_room(name):
                # Buckets that changed are new columns: their counts cannot be compared with those before.
                self.histograms[name] = (self._take(len(histogram.counts) + 1), histogram.bounds)

    def _has_room(self, name: str) -> bool:
        if len(self.counters) + len(self.gauges) + len(self.histograms) >= MAX_SERIES:
            self.left_out += 1
            return False
        names = self.by_quantity.setdefault(split_series(name)[0], [])
        if name not in names:
            names.append(name)
        return True

    def _take(self, columns: int) -> int:
        first = self.width
        self.width += columns
        return first


class Table:
    """One tier of one source."""

    def __init__(self, tier: Tier, columns: Columns) -> None:
        self.step = tier.step
        self.ring = Ring(tier.rows)
        self._columns = columns
        self._step_index: int | None = None
        self._time = NAN
        self._row: list[float] | None = None
        """The row of the step under way; None while no poll in it succeeded."""
        self._polls = 0

    def add(
        self,
        time: float,
        counters: dict[str, float],
        gauges: dict[str, float],
        histograms: dict[str, Histogram],
    ) -> None:
        """Take in a poll that succeeded."""
        self._begin(time)
        columns = self._columns
        row = [NAN] * (columns.width - 1)
        row[0] = 1.0
        before, polls = self._row, self._polls
        for name, value in counters.items():
            if (column := columns.counters.get(name)) is not None:
                row[column - 1] = value
        for name, value in gauges.items():
            if (column := columns.gauges.get(name)) is not None:
                mean = peak = value
                if before is not None and column < len(before) + 1 and not math.isnan(before[column - 1]):
                    mean = (before[column - 1] * polls + value) / (polls + 1)
                    peak = max(before[column], value)
                row[column - 1 : column + 1] = (mean, peak)
        for name, histogram in histograms.items():
            column, bounds = columns.histograms.get(name, (0, ()))
            if bounds == histogram.bounds and column:
                row[column - 1 : column + len(histogram.counts)] = (*histogram.counts, histogram.sum)
        self._row, self._time, self._polls = row, time, polls + 1
        self._flush_if_fine()

    def add_gap(self, time: float) -> None:
        """Take in a poll that failed."""
        self._begin(time)
        if self._row is None:
            self._time = time
        self._flush_if_fine()

    def _begin(self, time: float) -> None:
        """Close the step before that of `time`."""
        if self.step:
            index = int(time // self.step)
            if self._step_index is not None and index != self._step_index:
                self._flush()
            self._step_index = index

    def _flush_if_fine(self) -> None:
        if not self.step:
            self._flush()

    def _flush(self) -> None:
        width = self._columns.width
        if self.ring.width < width:
            self._widen(width)
        row = self._row or []
        self.ring.append(self._time, row + [NAN] * (width - 1 - len(row)))
        self._row, self._polls = None, 0

    def _widen(self, width: int) -> None:
        """Add columns for new series. A counter that appears late had counted nothing before: 0, not unknown."""
        first = self.ring.widen(width - self.ring.width)
        for index in range(len(self.ring)):
            if self.ring.cell(index, 1) == 1.0:
                self.ring.zero(index, [column for column in self._cumulative() if column >= first])

    def _cumulative(self) -> list[int]:
        columns = list(self._columns.counters.values())
        for first, bounds in self._columns.histograms.values():
            columns.extend(range(first, first + len(bounds) + 2))
        return columns
