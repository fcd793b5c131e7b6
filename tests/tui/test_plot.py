"""Graphs: every value is seen, every gap is dark, nothing raises."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tui.reading import text_of
from tui.overlay import Threshold
from tui.plot import GUTTER, HEADROOM, Grid, Series, axis_label, choose_scale, nice_step, plot, sparkline
from tui.raster import rasterise
from tui.rows import row_width

if TYPE_CHECKING:
    from tui.rows import Charset

END = 1_763_647_351.0
VALUES = st.lists(
    st.one_of(st.none(), st.floats(), st.floats(0, 1e9), st.just(0.0), st.sampled_from([math.inf, -math.inf])),
    max_size=200,
)
CHARSETS = st.sampled_from(["braille", "block", "ascii"])


@given(
    st.lists(VALUES, max_size=4),
    st.integers(1, 250),
    st.integers(1, 80),
    CHARSETS,
    st.booleans(),
    st.one_of(st.none(), st.floats(0, 1e6)),
    st.sampled_from([0.5, 1.0, 10.0, 60.0]),
)
@settings(max_examples=200, deadline=None)
def test_any_data_at_any_size(
    data: list[list[float | None]],
    width: int,
    height: int,
    charset: Charset,
    log: bool,
    limit: float | None,
    step: float,
) -> None:
    """A graph has exactly the size asked for, whatever is drawn."""
    series = [Series(values, "series1") for values in data]
    threshold = None if limit is None else Threshold(limit, "objective 0.8 s")
    rows = plot(series, Grid(END, step, log=log), width, height, charset, threshold)
    assert len(rows) == height
    assert {row_width(row) for row in rows} <= {width}


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e6)), min_size=1, max_size=300), st.integers(1, 160))
@settings(max_examples=200, deadline=None)
def test_every_value_lights_a_dot_and_gaps_stay_dark(values: list[float | None], columns: int) -> None:
    """A column has a dot where, and only where, a value falls into it or two neighbours are joined across it."""
    dots = 16
    bits = rasterise(values, END, 1.0, columns, lambda value: min(dots - 1, int(value) % dots))
    width = len(values) / columns
    shift = columns - 1 - math.floor((END - 0.5) / width)
    seen: list[int | None] = []
    for index, value in enumerate(values):
        x = max(0, min(columns - 1, math.floor((END - (len(values) - index - 0.5)) / width) + shift))
        seen.append(None if value is None else x)
        if value is not None:
            assert bits[x] >> (int(value) % dots) & 1
    lit = {x for x in seen if x is not None}
    for before, after in pairwise(seen):
        if before is not None and after is not None:
            lit |= set(range(before, after + 1))
    assert {x for x, column in enumerate(bits) if column} == lit


def test_gap_is_a_gap() -> None:
    """Steps without a value leave blank cells between two lines."""
    values = [1.0] * 100 + [None] * 100 + [1.0] * 100
    row = text_of(plot([Series(values, "series1")], Grid(END, 1.0), 66, 6, "braille")).splitlines()[0]
    inner = row[GUTTER:]
    assert inner.strip()
    assert " " * 15 in inner


def test_graph_moves_by_whole_columns() -> None:
    """One column later every earlier column looks as before, shifted by one: nothing shimmers."""
    values = [float(i * i % 17) for i in range(240)]
    earlier = rasterise(values[:120], END, 1.0, 60, int)
    later = rasterise(values[2:122], END + 2.0, 1.0, 60, int)
    assert later[2:-2] == earlier[3:-1]  # the last column was not full yet


def test_threshold_is_named_and_at_its_height() -> None:
    """The limit's value stands at the value axis, its label on its line."""
    text = text_of(plot([Series([0.1] * 60, "series1")], Grid(END, 1.0), 60, 8, "braille", Threshold(0.3, "objective")))
    line = next(line for line in text.splitlines() if "objective" in line)
    assert line.lstrip().startswith("0.3┤")
    assert "┈" in line


def test_no_data_says_so() -> None:
    """An empty graph has a word in the middle and no invented scale."""
    text = text_of(plot([], Grid(END, 1.0, empty="no data yet"), 40, 8, "braille"))
    assert "no data yet" in text
    assert "┤" not in text


@given(st.floats(1e-9, 1e12), st.integers(1, 30))
def test_ticks_are_one_two_five(span: float, most: int) -> None:
    """The step is 1, 2 or 5 times a power of ten, and at most `most` of it cover the span."""
    step = nice_step(span, most)
    mantissa = step / 10.0 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - each) for each in (1, 2, 5)) < 1e-6
    assert span / step <= most * (1 + 1e-6)


def test_scale_holds_the_data() -> None:
    """The axis begins at 0 and reaches above the data and the limit, with little room to spare."""
    scale = choose_scale([Series([33.0], "series1")], Grid(END, 1.0), 5, 4, None)
    assert scale.ticks() == [0.0, 20.0, 40.0]
    assert 33.0 * HEADROOM <= scale.high < 50.0
    limited = choose_scale([Series([33.0], "series1")], Grid(END, 1.0), 5, 4, Threshold(60.0, "limit"))
    assert limited.high >= 60.0 * HEADROOM


@given(st.floats(1e-6, 1e9), st.integers(2, 40), st.sampled_from([1, 2, 4]))
def test_ticks_stand_at_equal_distances(highest: float, rows: int, down: int) -> None:
    """From one label of the value axis to the next there are as many rows everywhere, and the data is on it."""
    scale = choose_scale([Series([highest], "series1")], Grid(END, 1.0), rows, down, None)
    dot = scale.dots(rows * down)
    at = [dot(tick) // down for tick in scale.ticks()]
    assert len({after - before for before, after in pairwise(at)}) == 1
    assert highest < scale.high


def test_clocks_keep_their_digits() -> None:
    """A limit of 1584 MHz is not 1580 at its axis."""
    assert axis_label(1584.0) == "1584"


def test_axis_labels_fit() -> None:
    """Labels of everyday values take at most four characters."""
    assert [axis_label(x) for x in (0.05, 0.8, 150, 5000, 15_000, 2e6)] == ["0.05", "0.8", "150", "5000", "15k", "2M"]


def test_sparkline_has_its_width() -> None:
    """A history is one row of the width asked for, dark where nothing was known."""
    drawn = sparkline([0.0] * 30 + [None] * 30 + [1.0] * 30, Grid(END, 1.0), 18, "braille")
    assert len(drawn) == 18
    assert "    " in drawn
    assert drawn.rstrip().endswith("⣿")
