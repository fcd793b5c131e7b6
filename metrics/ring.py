"""A bounded table of numbers over time: rows are moments, columns are series, the oldest row goes first.

All numbers lie in one flat `array('d')`, row after row, so that a full ring costs 8 bytes a cell and nothing more
(as Python objects it would be 32), a column is one strided slice, and the buckets of a histogram are one plain slice.
NaN is "not known".
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NAN = math.nan


class Ring:
    """At most `capacity` rows; it takes memory only as it fills. The first column is the time of the row."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.width = 1
        self._cells = array("d")
        self._times = array("d")
        """The first column once more, where a moment is looked for: that is done a thousand times a second."""
        self._rows = 0
        self._oldest = 0

    def __len__(self) -> int:
        return self._rows

    @property
    def nbytes(self) -> int:
        """Memory taken by the cells."""
        return (len(self._cells) + len(self._times)) * self._cells.itemsize

    def widen(self, columns: int) -> int:
        """Add columns, NaN in the rows that are there, and return the index of the first; O(size), so rare."""
        first, old = self.width, self._cells
        self.width += columns
        blank = array("d", [NAN]) * columns
        cells = array("d")
        for start in range(0, len(old), first):
            cells.extend(old[start : start + first])
            cells.extend(blank)
        self._cells = cells
        return first

    def append(self, cells: Sequence[float]) -> None:
        """Add a row of `width` cells, the first of them its time, which is not before that of the last."""
        row = array("d", cells)
        if len(row) != self.width:
            message = f"a row of {len(row)} cells in a ring of {self.width} columns"
            raise ValueError(message)
        time = row[0]
        if self._rows < self.capacity:
            self._cells.extend(row)
            self._times.append(time)
            self._rows += 1
        else:
            start = self._oldest * self.width
            self._cells[start : start + self.width] = row
            self._times[self._oldest] = time
            self._oldest = (self._oldest + 1) % self.capacity

    def zero(self, column: int, columns: int, *, beside: int) -> None:
        """Set neighbouring numbers to 0 in the rows in which the number in the column `beside` is known."""
        zeros = array("d", (0.0,)) * columns
        for start in range(0, len(self._cells), self.width):
            if not math.isnan(self._cells[start + beside]):
                self._cells[start + column : start + column + columns] = zeros

    def time(self, index: int) -> float:
        """Tell the time of the row at `index`, 0 being the oldest."""
        return self._times[self._physical(index)]

    def cell(self, index: int, column: int) -> float:
        """Read one number."""
        return self._cells[self._physical(index) * self.width + column]

    def cells(self, index: int, column: int, columns: int) -> array[float]:
        """Read neighbouring numbers of one row."""
        start = self._start(index) + column
        return self._cells[start : start + columns]

    def column(self, column: int, first: int, last: int) -> array[float]:
        """Read a column over the rows from `first` to `last`, both included."""
        if last < first:
            return array("d")
        low, high = self._physical(first), self._physical(last)
        if low <= high:
            return self._strided(column, low, high)
        return self._strided(column, low, self._rows - 1) + self._strided(column, 0, high)

    def last_at(self, time: float) -> int:
        """Index of the newest row at or before `time`; -1 where all are later."""
        times, oldest = self._times, self._oldest
        if oldest and time >= times[0]:  # the newest rows lie before the oldest one
            return bisect_right(times, time, 0, oldest) - 1 + self._rows - oldest
        return bisect_right(times, time, oldest) - 1 - oldest

    def _strided(self, column: int, low: int, high: int) -> array[float]:
        return self._cells[low * self.width + column : high * self.width + column + 1 : self.width]

    def _physical(self, index: int) -> int:
        if not 0 <= index < self._rows:
            message = f"row {index} of {self._rows}"
            raise IndexError(message)
        return (self._oldest + index) % self.capacity

    def _start(self, index: int) -> int:
        return self._physical(index) * self.width
