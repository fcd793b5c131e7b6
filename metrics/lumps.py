"""The rate of a counter that moves only when a request ends (llama.cpp's generated tokens, SGLang's before 0.5.7).

While a request runs such a counter stands still and then jumps by all that the request generated, so that its increase
over a second is 0 or far too much: of 183 seconds in which a llama.cpp generated, 58 saw 0. It is right at two kinds of
moment: when it has just moved, and when nothing runs. So a rate ends at the last such moment, and begins on the line
between two of them. Where the last moment is too long ago, or nothing has ended of what runs, the rate is not known.

Held against the tokens that a client of a llama.cpp saw come, that takes the zeros away and is as near as a plain
difference (15 % off over 10 s, 8 % over 30 s), so that from `PLAIN_SECONDS` on (4 %) the plain one is taken. Where
the server tells what its running requests have generated (`collectors.engines.llamacpp_slots`), none of this is needed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from metrics.ring import Ring
    from metrics.store import History, Table

PLAIN_SECONDS = 60.0
"""Over so long the lumps are small beside the sum, and a plain difference is nearest."""
HELD_SECONDS = 30.0
"""The last rate that was known stands for so long, or for the length of the window, while requests run on."""
REACH_SECONDS = 300.0
"""So far before a window a moment is looked for at which the counter was right; longer requests are rare."""


class Pace(Struct, frozen=True):
    """A rate, and the time between the two moments that it is taken between."""

    rate: float
    seconds: float


def pace(history: History, counters: Sequence[str], running: Sequence[str], begin: float, end: float) -> Pace | None:
    """Tell how fast these counters grew together from about `begin` to about `end`; None where that is not known.

    `running` are the gauges of running requests.
    """
    table = _table(history, begin)
    if table is None:
        return None
    newest, window = table.ring.last_at(end), end - begin
    oldest = table.ring.last_at(begin - HELD_SECONDS - window - REACH_SECONDS)
    rows = _Rows(table, history, counters, running, max(0, oldest), newest)
    last = next(rows.settled(newest, end - max(HELD_SECONDS, window)), None)
    if last is None:
        return None
    stop = table.ring.time(last)
    start = rows.point(min(begin, stop - window / 2), last)
    if start is None:
        return None
    seconds, grown = stop - start[0], rows.total(last) - start[1]
    if seconds <= 0 or (grown <= 0 and rows.busy(newest)):
        return None  # nothing has ended yet of what runs: that is not 0
    return Pace(max(0.0, grown) / seconds, seconds)


def _table(history: History, begin: float) -> Table | None:
    """Choose the finest tier that reaches back to `begin`, or the one that reaches back furthest."""
    filled = [table for table in history.tables if len(table.ring)]
    reaching = (table for table in filled if table.ring.time(0) <= begin)
    return next(reaching, min(filled, key=lambda table: table.ring.time(0), default=None))


class _Rows:
    """The rows of one tier, as far as these series go."""

    def __init__(
        self, table: Table, history: History, counters: Sequence[str], running: Sequence[str], oldest: int, newest: int
    ) -> None:
        columns = history.columns
        self._ring: Ring = table.ring
        self._running = [column for name in running if (column := columns.gauges.get(name)) is not None]
        self._oldest = oldest
        known = [column for name in counters if (column := columns.counters.get(name)) is not None]
        grown = [_grown(self._ring.column(each, self._oldest, newest)) for each in known if each < self._ring.width]
        self._totals = [math.fsum(values) for values in zip(*grown, strict=True)]

    def settled(self, row: int, earliest: float) -> Iterator[int]:
        """List the rows from `row` back at which the counter was right, newest first, none before `earliest`."""
        while row >= self._oldest and self._ring.time(row) >= earliest:
            if self._is_settled(row):
                yield row
            row -= 1

    def point(self, moment: float, last: int) -> tuple[float, float] | None:
        """Read the straight line between the moments around this one at which the counter was right: time and value.

        Where it was not watched before, the line begins at the first such moment there is.
        """
        row = min(self._ring.last_at(moment), last - 1)
        before = next(self.settled(row, moment - REACH_SECONDS), None)
        after = next((each for each in range(row + 1, last + 1) if self._is_settled(each)), last)
        if before is None:
            return (self._ring.time(after), self.total(after)) if after < last else None
        begin, end = self._ring.time(before), self._ring.time(after)
        at = max(begin, moment)
        share = (at - begin) / (end - begin)
        return at, self.total(before) + (self.total(after) - self.total(before)) * share

    def total(self, row: int) -> float:
        """Tell how much the counters have grown together up to this row, each since it was first seen."""
        return self._totals[row - self._oldest] if self._totals else 0.0

    def busy(self, row: int) -> bool:
        """Tell whether requests run; where nobody knows, they may."""
        return not self._idle(row)

    def _is_settled(self, row: int) -> bool:
        return self._ring.cell(row, 1) == 1.0 and (self._moved(row) or self._idle(row))

    def _moved(self, row: int) -> bool:
        """Tell whether the poll before this one saw less. The first poll of all does not tell."""
        before = row - 1
        while before >= self._oldest and self._ring.cell(before, 1) != 1.0:
            before -= 1
        return before >= self._oldest and self.total(row) > self.total(before)

    def _idle(self, row: int) -> bool:
        """Tell whether no engine that the page has runs anything."""
        cells = (self._ring.cell(row, column) for column in self._running if column < self._ring.width)
        known = [value for value in cells if not math.isnan(value)]
        return bool(known) and not any(known)


def _grown(values: Sequence[float]) -> list[float]:
    """Tell how much a cumulative number had grown at each row: nothing before it was first seen, or since it was last.

    What it counted before it was seen is not known, and is never taken for growth.
    """
    grown: list[float] = []
    first = newest = math.nan
    for value in values:
        if not math.isnan(value):
            newest = value
            first = value if math.isnan(first) else first
        grown.append(0.0 if math.isnan(newest) else newest - first)
    return grown
