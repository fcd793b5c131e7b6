from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.ring import Ring


@given(st.integers(1, 20), st.lists(st.floats(-1e6, 1e6), max_size=60))
def test_a_ring_holds_the_newest_rows_in_order(capacity: int, values: list[float]) -> None:
    """However often it wraps, a ring is the last `capacity` rows of what was appended."""
    ring = Ring(capacity)
    ring.widen(1)
    for index, value in enumerate(values):
        ring.append([float(index), value])
    kept = list(enumerate(values))[-capacity:]
    assert [ring.time(row) for row in range(len(ring))] == [index for index, _ in kept]
    assert list(ring.column(1, 0, len(ring) - 1)) == [value for _, value in kept]


@given(st.integers(1, 20), st.integers(1, 60), st.floats(-5, 70))
def test_last_at_finds_the_newest_row_not_later(capacity: int, rows: int, moment: float) -> None:
    """`last_at` agrees with looking at every row."""
    ring = Ring(capacity)
    for index in range(rows):
        ring.append([float(index)])
    earlier = [row for row in range(len(ring)) if ring.time(row) <= moment]
    assert ring.last_at(moment) == (earlier[-1] if earlier else -1)


def test_new_columns_are_unknown_in_the_rows_that_were_there() -> None:
    """A series that appears later was not known before, which is not 0."""
    ring = Ring(4)
    ring.widen(1)
    for index in range(6):
        ring.append([float(index), float(index)])
    assert ring.widen(2) == 2
    ring.append([6.0, 6.0, 7.0, 8.0])
    assert list(ring.column(1, 0, 3)) == [3.0, 4.0, 5.0, 6.0]
    assert [math.isnan(value) for value in ring.column(3, 0, 3)] == [True, True, True, False]
    assert list(ring.cells(3, 1, 3)) == [6.0, 7.0, 8.0]


def test_new_columns_are_zero_where_their_like_was_known() -> None:
    """Also in a ring that has wrapped, a row gets its 0 by what the row itself knew."""
    ring = Ring(3)
    ring.widen(1)
    for index, value in enumerate((1.0, 2.0, math.nan, 4.0)):
        ring.append([float(index), value])
    ring.widen(2)
    ring.zero(2, 2, beside=1)
    rows = [list(ring.cells(row, 0, 4)) for row in range(3)]
    assert rows[0] == [1.0, 2.0, 0.0, 0.0]
    assert all(map(math.isnan, rows[1][1:]))
    assert rows[2] == [3.0, 4.0, 0.0, 0.0]


def test_a_full_ring_takes_no_more_memory() -> None:
    """Memory grows with the rows until the ring is full, and never after."""
    ring = Ring(100)
    ring.widen(9)
    sizes = []
    for index in range(1000):
        ring.append([float(index), *[0.0] * 9])
        sizes.append(ring.nbytes)
    assert sizes[99] == sizes[-1] == 100 * (10 + 1) * 8  # the times stand there twice


def test_a_row_of_the_wrong_width_is_refused() -> None:
    """A row that does not fit the columns would shift every number after it."""
    ring = Ring(4)
    with pytest.raises(ValueError, match="a row of 2 cells in a ring of 1 columns"):
        ring.append([0.0, 1.0])
