"""A graph over time as rows: lines, a value axis with 1-2-5 ticks, a time axis, a limit; pure, in any charset."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from metrics.units import digits
from tui.overlay import limit_line, with_moments
from tui.raster import DOTS, Line, cells_of, column_of, fill, rasterise
from tui.rows import cells, fit, fit_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tui.overlay import Moment, Threshold
    from tui.palette import StyleName
    from tui.rows import Charset, Row, Span


class Series(NamedTuple):
    """Numbers on a grid of equal steps, the newest last; None is a gap."""

    values: Sequence[float | None]
    style: StyleName
    mark: str = "*"
    """What it is drawn with in ASCII, where colours do not tell lines apart."""


class Grid(NamedTuple):
    """When the values were, and how they are written."""

    end: float
    """Seconds since the epoch at the end of the last step."""
    step: float
    """Seconds from one value to the next."""
    scale: float = 1.0
    """What a value is divided by before it is written at its axis: 1e-3 writes seconds as ms."""
    high: float | None = None
    """What the value axis has to reach; None: what the data does, with some room above it."""
    log: bool = False
    empty: str = "no data"
    """What stands in the middle when there is nothing to draw."""


class Scale(NamedTuple):
    """The value axis."""

    low: float
    high: float
    step: float
    """From one tick to the next."""
    log: bool = False

    def dots(self, dots: int) -> Callable[[float], int]:
        """Make what says at which of `dots`, counted from below, a value stands; values outside stand at the edge."""
        low, high, top = self.low, self.high, dots - 1
        if self.log:
            bottom = math.log10(low)
            factor = top / (math.log10(high) - bottom)
            return lambda value: int((math.log10(min(max(value, low), high)) - bottom) * factor + 0.5)
        factor = top / (high - low)
        return lambda value: (
            0 if value <= low else top if value >= high else int((value - low) * factor + 0.5)  # faster than round
        )

    def ticks(self) -> list[float]:
        """List the values that are written at the axis."""
        if self.log:
            return [10.0**power for power in range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)]
        return [self.low + self.step * index for index in range(int((self.high - self.low) / self.step + 1e-9) + 1)]


GUTTER = 6
"""Cells left of the plot: a margin, a label of four, the axis."""
_INTERVALS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800)
ON_AXIS = 4.0
"""A limit of up to so many times the data stands on the axis; a higher one would crush the data, and is named above."""
HEADROOM = 1.1
"""The axis reaches so many times as high as the data and the limit, so that neither lies on its edge."""
_LEVELS = " .-=#"
"""Heights of an area in ASCII."""
_MOST = 1e15
_LEAST = 1e-12


def nice_step(span: float, most: float) -> float:
    """Find the smallest 1-2-5 step of which at most `most` cover `span`."""
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= raw * (1 - 1e-9)), 10 * power)


def choose_scale(series: Sequence[Series], grid: Grid, rows: int, down: int, threshold: Threshold | None) -> Scale:
    """Choose the value axis of `rows` rows of `down` dots: from 0, in steps of 1-2-5 that are whole rows.

    The threshold is on it unless that would crush the data. A step of whole rows is what makes the labels stand at
    equal distances; of the numbers of rows that it may have, the one is taken that leaves least room above the data.
    """
    values = [value for each in series for value in each.values if value is not None and math.isfinite(value)]
    top = grid.high if grid.high is not None else max(values, default=0.0)
    if threshold is not None and 0 < threshold.value <= ON_AXIS * top:
        top = max(top, threshold.value)
    top = min(_MOST, top)
    if grid.high is None or top > grid.high:
        top *= HEADROOM
    if grid.log:
        smallest = max(_LEAST, min((value for value in values if value > 0), default=grid.scale))
        low = 10.0 ** math.floor(math.log10(min(smallest, _MOST)))
        high = 10.0 ** math.ceil(math.log10(max(top, low)) - 1e-9)
        return Scale(low, max(high, low * 10), 1.0, log=True)
    if top < _LEAST:
        top = 1.0 * grid.scale
    dots = max(1, rows * down - 1)
    low = rows < 6  # then two labels may have to do, because a row more above the data would cost too much
    apart = range(1 if low else 2, max(1, rows - 1 if low else min((rows - 1) // 2, 5)) + 1)
    scales: list[tuple[float, int, Scale]] = []
    for each in apart:  # so many rows from tick to tick
        steps = dots / (each * down)
        step = nice_step(top, steps)
        scales.append((step * steps, abs(each - 2), Scale(0.0, step * steps, step)))
    return min(scales)[-1]


def axis_label(value: float) -> str:
    """Write a number for the value axis in at most four characters where that is possible."""
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= factor:
            return digits(value / (1e3 if suffix == "k" else factor)) + suffix
    return digits(value, 4 if value >= 1000 else 3)


def plot(
    series: Sequence[Series],
    grid: Grid,
    width: int,
    height: int,
    charset: Charset,
    threshold: Threshold | None = None,
    moments: Sequence[Moment] = (),
) -> list[Row]:
    """Draw lines over time into exactly `height` rows of `width` cells, axes included; the last series is on top."""
    if width <= GUTTER + 2 or height < 2:
        return [fit_row((), width) for _ in range(max(0, height))]
    rows, inner = height - 1, width - GUTTER
    across, down = DOTS[charset]
    scale = choose_scale(series, grid, rows, down, threshold)
    dot = scale.dots(rows * down)
    lines = [
        Line(
            rasterise(each.values, grid.end, grid.step, inner * across, dot),
            each.style,
            each.mark,
        )
        for each in series
    ]
    body = cells_of(lines, inner, rows, charset)
    labels: dict[int, Span] = {}
    for tick in reversed(scale.ticks()):
        labels[rows - 1 - dot(tick) // down] = (axis_label(tick / grid.scale), "dim")
    if not any(any(line.columns) for line in lines):
        labels.clear()
        body[rows // 2] = [(fit(grid.empty.center(inner), inner), "dim")]
    elif threshold is not None and threshold.value > 0:
        above = threshold.value > scale.high
        at = 0 if above else rows - 1 - dot(threshold.value) // down
        body[at] = limit_line(body[at], threshold, above=above)
        if not above:
            labels[at] = (axis_label(threshold.value / grid.scale), threshold.style)
    steps = max((len(each.values) for each in series), default=0)
    body = with_moments(body, _places(moments, grid, steps, inner, across))
    drawn = [_with_gutter(body[y], labels.get(y), width) for y in range(rows)]
    return [*drawn, fit_row((("     └", "dim"), (_time_axis(grid, steps, inner, across), "dim")), width)]


def _places(moments: Sequence[Moment], grid: Grid, steps: int, inner: int, across: int) -> list[tuple[int, str]]:
    """Find the cells in which moments lie, of those that lie on the time axis."""
    width = steps * grid.step / (inner * across)
    if width <= 0:
        return []
    found = [
        (column_of(each.wall, grid.end, grid.step, width, inner * across) // across, each.label)
        for each in moments
        if each.wall <= grid.end
    ]
    return [(cell, label) for cell, label in found if 0 <= cell < inner]


def _with_gutter(spans: list[Span], label: Span | None, width: int) -> Row:
    text, style = label or ("", "dim")
    if cells(text) > 4:
        text = ""
    gutter: Span = (fit(text, 5, ">"), style)
    return fit_row((gutter, ("┤" if text else "│", "dim"), *spans), width)


def _time_axis(grid: Grid, steps: int, inner: int, across: int) -> str:
    """Draw the time axis: a mark at round local times, the time behind it."""
    line = ["─"] * inner
    span = steps * grid.step
    if span <= 0:
        return "".join(line)
    width = span / (inner * across)
    begin = grid.end - span
    local = datetime.fromtimestamp(grid.end, UTC).astimezone()
    offset = local.utcoffset()
    shift = offset.total_seconds() if offset else 0.0
    room = 10  # cells from one mark to the next, so that `14:02:30` stands free
    interval = next((each for each in _INTERVALS if each * inner / span >= room), span)
    form = "%H:%M:%S" if interval < 60 else "%H:%M" if interval < 86_400 else "%d %b"
    tick = math.ceil((begin + shift) / interval) * interval - shift
    while tick <= grid.end:
        cell = column_of(tick, grid.end, grid.step, width, inner * across) // across
        label = "┴" + datetime.fromtimestamp(tick, UTC).astimezone(local.tzinfo).strftime(form)
        if cell >= 0 and cell + len(label) <= inner:
            line[cell : cell + len(label)] = label
        tick += interval
    return "".join(line)


def sparkline(values: Sequence[float | None], grid: Grid, width: int, charset: Charset, *, area: bool = True) -> str:
    """Draw a history one row high, as an area or as a line; gaps stay blank."""
    if width <= 0:
        return ""
    across, _ = DOTS[charset]
    top = grid.high or max((value for value in values if value is not None and math.isfinite(value)), default=0.0)
    levels = 2 if charset == "block" else 4
    scale = Scale(0.0, top if top > 0 else 1.0, 1.0)
    columns = rasterise(values, grid.end, grid.step, width * across, scale.dots(levels))
    if charset == "ascii":
        return "".join(_LEVELS[bits.bit_length()] for bits in columns)
    columns = fill(columns) if area else columns
    return "".join(text for text, _ in cells_of([Line(columns, "plain", "*")], width, 1, charset)[0])
