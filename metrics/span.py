"""The two polls that bound a window, and what lies between them.

A window of T seconds ends at the newest poll that succeeded and begins at the newest poll at or before T seconds before
its end, so differences are divided by the time that really passed between two polls and nothing is extrapolated. The
two may lie in different tiers of the Store: the newest is in the finest, a day ago is in the coarsest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from metrics.histogram import Histogram
from metrics.store import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST_REACH = 0.1
"""A window may begin by so large a part of itself earlier than asked for, to begin at a poll that succeeded; ..."""
REACH_POLLS = 3
"""... or so many intervals, where that is more. After a longer outage it begins at the first poll after it."""


class Row(Struct, frozen=True):
    """One row of one tier."""

    table: Table
    index: int

    @property
    def time(self) -> float:
        """When it was seen, by the monotonic clock."""
        return self.table.ring.time(self.index)


class Span(Struct, frozen=True):
    """The two polls that bound a window. They may lie in different tiers: the newest is in the finest."""

    first: Row
    last: Row

    @property
    def seconds(self) -> float:
        """Real time between them."""
        return self.last.time - self.first.time


def find_span(tables: tuple[Table, ...], start: float, stop: float, interval: float) -> Span | None:
    """Find the two polls that bound the window from `start` to `stop`; None where no poll succeeded by then."""
    last = next((row for table in tables if (row := last_ok(table, stop))), None)
    if last is None:
        return None
    first: Row | None = None
    for table in tables:
        row = _first_of(table, start, last.time, REACH_POLLS * max(interval, table.step))
        # A coarser tier is worth a look only as far as it reaches back further.
        if row is not None and (first is None or row.time < first.time - table.step):
            first = row
        if len(table.ring) and table.ring.time(0) <= start:
            break
    return None if first is None or first.time > last.time else Span(first, last)


def _first_of(table: Table, start: float, last: float, reach: float) -> Row | None:
    """Find the row of a tier at which a window begins that ends at `last`.

    It is the last one before the window, however far where the window holds but one poll; or else, after an outage, the
    first one in it.
    """
    ring = table.ring
    before = last_ok(table, start)
    if before is not None and before.time >= start - max(reach, LONGEST_REACH * (last - start)):
        return before
    after = _seek(ring.last_at(start) + 1, len(ring), 1, lambda row: ring.cell(row, 1) == 1.0)
    return Row(table, after) if after < len(ring) and (before is None or ring.time(after) < last) else before


def last_ok(table: Table, moment: float) -> Row | None:
    """Find the last poll at or before a moment that succeeded."""
    ring = table.ring
    row = ring.last_at(moment)
    if row >= 0 and ring.cell(row, 1) != 1.0:
        row = _seek(row, -1, -1, lambda row: ring.cell(row, 1) == 1.0)
    return Row(table, row) if row >= 0 else None


def known_values(between: Span, column: int) -> Sequence[float]:
    """List the known numbers of a column over a span: its own tier's rows, and the newest of the finest tier."""
    ring = between.first.table.ring
    values: Sequence[float] = ()
    if column < ring.width:
        values = ring.column(column, between.first.index, ring.last_at(between.last.time))
    newest = between.last.table.ring
    if between.last.table is not between.first.table and column < newest.width:
        values = [*values, newest.cell(between.last.index, column)]
    # Nearly always all are known, and to ask each would take ten times as long as to add them up.
    return [value for value in values if not math.isnan(value)] if math.isnan(sum(values)) else values


class Growth(Struct, frozen=True):
    """How much a cumulative number grew."""

    value: float
    since: float
    """From when, by the monotonic clock: later than the begin of the span where the series was not known then."""


def difference(between: Span, column: int) -> Growth | None:
    """Tell how much a cumulative number grew over a span; None where it is not known in it."""
    ends = _known_rows(between, column)
    if ends is None:
        return None
    first, last = ends
    grown = last.table.ring.cell(last.index, column) - first.table.ring.cell(first.index, column)
    return Growth(max(0.0, grown), first.time)  # what was carried over a restart may fall by the last bit of a float


def histogram_difference(between: Span, column: int, bounds: tuple[float, ...]) -> Histogram | None:
    """Collect what a histogram observed over a span; its buckets' counts and its sum lie in neighbouring columns."""
    ends = _known_rows(between, column)
    if ends is None:
        return None
    begin, end = (row.table.ring.cells(row.index, column, len(bounds) + 2) for row in ends)
    counts = [max(0.0, new - old) for new, old in zip(end, begin, strict=True)]
    return Histogram(bounds, tuple(counts[:-1]), end[-1] - begin[-1])


def _known_rows(between: Span, column: int) -> tuple[Row, Row] | None:
    """Find the first and the last row of a span in which a cumulative number is known; None where it is in none.

    What a series counted before it was first seen is not known, and is never taken for growth. One that the last page
    lacks is read where it was last known.
    """
    if _tells(between.first, column) and _tells(between.last, column):  # as nearly all do
        return between.first, between.last
    tables = [between.first.table]
    if between.last.table is not between.first.table:
        tables.append(between.last.table)
    first = next((row for table in tables if (row := _known(table, column, between, 1))), None)
    last = next((row for table in reversed(tables) if (row := _known(table, column, between, -1))), None)
    return None if first is None or last is None or last.time < first.time else (first, last)


def _tells(row: Row, column: int) -> bool:
    ring = row.table.ring
    return column < ring.width and not math.isnan(ring.cell(row.index, column))


def _known(table: Table, column: int, between: Span, step: int) -> Row | None:
    """Find the first (`step` 1) or the last (-1) row of one tier within a span in which a number is known."""
    ring = table.ring
    low = between.first.index if table is between.first.table else ring.last_at(between.first.time) + 1
    high = between.last.index if table is between.last.table else ring.last_at(between.last.time)
    if column >= ring.width or low > high:
        return None
    nearest = low if step == 1 else high
    if not math.isnan(ring.cell(nearest, column)):
        return Row(table, nearest)
    values = ring.column(column, low, high)[::step]
    known = next((index for index, value in enumerate(values) if not math.isnan(value)), None)
    return None if known is None else Row(table, nearest + step * known)


def _seek(row: int, stop: int, step: int, wanted: Callable[[int], bool]) -> int:
    """Go from `row` by `step` to the first row that is wanted, at most to before `stop`, which stands for none."""
    while row != stop:
        if wanted(row):
            return row
        row += step
    return stop
