"""Which column of a row is which series of a source, and how many series a source may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from metrics.sample import Missing
from metrics.series import split_series

if TYPE_CHECKING:
    from metrics.histogram import Histogram
    from metrics.sample import Sample

    Labels = tuple[tuple[str, str], ...]

MAX_SERIES = 4000
"""Series that one source may have; further ones are left out, so that a page with endless labels cannot fill memory."""
MAX_COLUMNS = 12_000
"""Columns that one source may have: a vLLM takes about 320 for each of its ranks. With all of them taken for 48 h a
source costs 0.55 GiB."""
MAX_LAYOUTS = 8
"""So many sets of buckets one histogram may have in the life of a source. Each takes new columns."""
PART_LABELS = frozenset(("engine", "model"))
"""Labels that tell apart what runs by itself: a part that comes later may have counted for long."""


class Birth(Struct, frozen=True):
    """A cumulative series beside another of its kind: where that one was known, it was 0 before it appeared."""

    column: int
    columns: int
    elder: int
    """The first column of the other one."""


class Columns:
    """The columns of one source; shared by all tiers."""

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
        self.births: list[Birth] = []
        """In the order of the columns."""
        self.left_out = 0
        """Series of the newest page for which there was no room."""
        self._elders: dict[tuple[str, Labels, tuple[str, ...]], int] = {}
        """The first series of each quantity with the same part of the server and the same names of labels."""
        self._layouts: dict[str, int] = {}
        """Sets of buckets of each histogram so far."""

    def admit(self, sample: Sample) -> Sample:
        """Give every new series its columns. The answer is the Sample without those that found no room."""
        left_out = self._without_columns(sample)
        if left_out:
            self._enter_all(sample)
            left_out = self._without_columns(sample)
        self.left_out = len(left_out)
        return _without(left_out, sample) if left_out else sample

    def _without_columns(self, sample: Sample) -> set[str]:
        return {
            *(sample.counters.keys() - self.counters.keys()),
            *(sample.gauges.keys() - self.gauges.keys()),
            *(name for name, histogram in sample.histograms.items() if not self._holds(name, histogram)),
        }

    def _enter_all(self, sample: Sample) -> None:
        for name in sample.counters:
            if name not in self.counters and self._has_room(1):
                self.counters[name] = self._enter(name, 1, cumulative=True)
        for name in sample.gauges:
            if name not in self.gauges and self._has_room(2):
                self.gauges[name] = self._enter(name, 2, cumulative=False)
        for name, histogram in sample.histograms.items():
            if not self._holds(name, histogram):
                self._enter_histogram(name, histogram)

    def _enter_histogram(self, name: str, histogram: Histogram) -> None:
        columns, layouts = len(histogram.counts) + 1, self._layouts.get(name, 0)
        if not layouts and self._has_room(columns):
            self.histograms[name] = (self._enter(name, columns, cumulative=True), histogram.bounds)
        elif 0 < layouts < MAX_LAYOUTS and self.width + columns <= MAX_COLUMNS:
            # Buckets that changed are new columns: their counts cannot be compared with those before.
            self.histograms[name] = (self._take(columns), histogram.bounds)
        else:
            return
        self._layouts[name] = layouts + 1

    def _holds(self, name: str, histogram: Histogram) -> bool:
        known = self.histograms.get(name)
        return known is not None and known[1] == histogram.bounds

    def _has_room(self, columns: int) -> bool:
        series = len(self.counters) + len(self.gauges) + len(self.histograms)
        return series < MAX_SERIES and self.width + columns <= MAX_COLUMNS

    def _enter(self, name: str, columns: int, *, cumulative: bool) -> int:
        """Enter a new series under its quantity, and give it columns."""
        first = self._take(columns)
        quantity, labels = split_series(name)
        self.by_quantity.setdefault(quantity, []).append(name)
        part = tuple(pair for pair in labels if pair[0] in PART_LABELS)
        if cumulative and len(part) < len(labels):
            kind = (quantity, part, tuple(label for label, _ in labels))
            elder = self._elders.setdefault(kind, first)
            if elder != first:
                self.births.append(Birth(first, columns, elder))
        return first

    def _take(self, columns: int) -> int:
        first = self.width
        self.width += columns
        return first


def _without(left_out: set[str], sample: Sample) -> Sample:
    why = (
        f"{len(left_out):,} were left out: a source may have {MAX_SERIES:,} series over time and {MAX_COLUMNS:,} "
        f"numbers, and a histogram {MAX_LAYOUTS} sets of buckets"
    )
    return replace(
        sample,
        counters={name: value for name, value in sample.counters.items() if name not in left_out},
        gauges={name: value for name, value in sample.gauges.items() if name not in left_out},
        histograms={name: value for name, value in sample.histograms.items() if name not in left_out},
        missing=(*sample.missing, Missing("some series", why, "what they count is not seen")),
    )
