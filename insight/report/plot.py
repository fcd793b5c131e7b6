"""A chart as SVG that stands in an HTML page: lines on two axes, no script, no style of its own.

Colours are classes of the page's style sheet; where that is not obeyed, everything is drawn in the colour of the text.
Coordinates are whole numbers and mostly relative: a graph of 180 points takes 1 kB.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from insight.report.document import one_line
from insight.report.markup import element, escape
from insight.report.spoken import base, known, spoken
from metrics import units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from insight.report.document import Chart, Line
    from metrics.observed import Track

WIDTH, HEIGHT = 800, 300
LEFT, RIGHT, TOP, BOTTOM = 128, 14, 16, 34
"""Margins; on the left stands `1980 MHz`."""
COLOURS = 8
_CLOCK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_MOST_CLOCKS = 5
_FLAT, _LEAST = 1e-9, 1e-12
"""A span smaller than this, as a share of the values or as it is, is none: floats have no round values in it."""
_BINARY = frozenset({"bytes", "bytes/s"})
_LONG = frozenset({"tokens/s", "tokens"})
"""Units too long to stand at every tick: they stand at the newest values above the chart."""


def plot(chart: Chart, number: int) -> str:
    """Draw a chart; `number` tells it from the others of its page. Where no line has a value, there is nothing."""
    lines = [line for line in chart.lines if known(line)]
    if not lines:
        return ""
    frame = _Frame(chart, lines)
    title, description = f"chart-{number}-title", f"chart-{number}-text"
    inside = [
        element("title", escape(chart.title), id=title),
        element("desc", escape("; ".join(map(one_line, spoken(chart)))), id=description),
        *frame.grid(),
        *frame.moments(),
        *frame.objective(),
        *(frame.line(line, index) for index, line in reversed(list(enumerate(lines)))),
    ]
    return element(
        "svg",
        "".join(inside),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{title} {description}",
        fill="none",
        stroke="currentColor",
        font_size=24,
    )


def ticks(low: float, high: float, unit: str, most: int = 5) -> list[float]:
    """Choose round values that span an axis, in the unit that a person reads; the first is <= low, the last >= high."""
    if high - low <= max(_FLAT * max(abs(low), abs(high)), _LEAST):
        high = low + (abs(low) if abs(low) > _LEAST else 1.0)
    factor = 1024.0 ** max(0, int(math.log(max(abs(high), 1.0), 1024))) if unit in _BINARY else 1.0
    step = _round_step((high - low) / factor / (most - 1)) * factor
    if unit == "1":
        step = max(1.0, step)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= least * (1 - 1e-9))


class _Frame:
    """The axes of a chart, and what is drawn within them."""

    def __init__(self, chart: Chart, lines: list[Line]) -> None:
        self.chart = chart
        self.begin = min(line.track.end - len(line.track.values) * line.track.step for line in lines)
        self.end = max(line.track.end for line in lines)
        top = max(max(known(line)) for line in lines)
        self.limit = chart.limit if chart.limit is not None and chart.limit <= 2 * top else None
        self.ticks = ticks(base(lines, chart.unit), max(top, self.limit or 0.0), chart.unit)
        self.low, self.high = self.ticks[0], self.ticks[-1]

    def x(self, wall: float) -> int:
        return LEFT + round((wall - self.begin) / (self.end - self.begin) * (WIDTH - LEFT - RIGHT))

    def y(self, value: float) -> int:
        share = (value - self.low) / (self.high - self.low)
        return TOP + round((1 - share) * (HEIGHT - TOP - BOTTOM))

    def grid(self) -> Iterator[str]:
        """Draw the axes with their values."""
        rules = "".join(f"M{LEFT} {self.y(value)}H{WIDTH - RIGHT}" for value in self.ticks)
        yield element("path", "", **{"class": "grid"}, d=rules, stroke_opacity=0.2)
        labels = [(LEFT - 10, self.y(value) + 8, "end", self._label(value)) for value in self.ticks]
        labels += [(self.x(wall), HEIGHT - 6, "middle", said) for wall, said in _clocks(self.begin, self.end)]
        for x, y, anchor, said in labels:
            yield element("text", escape(said), x=x, y=y, text_anchor=anchor)

    def _label(self, value: float) -> str:
        if self.chart.unit in _LONG:
            return units.count(value)
        return units.value(value, self.chart.unit)

    def moments(self) -> Iterator[str]:
        """Draw a vertical line for each event; who points at one is told what it was."""
        for each in self.chart.events:
            drawn = f"M{self.x(each.wall)} {TOP}V{HEIGHT - BOTTOM}"
            said = f"{units.rfc3339(each.wall)[11:19]} {one_line(each.text)}"
            inside = element("title", escape(said))
            yield element("path", inside, **{"class": "moment"}, d=drawn, stroke_width=2, stroke_dasharray="2 5")

    def objective(self) -> Iterator[str]:
        """Draw the limit, where it is near enough to what was seen."""
        if self.limit is not None:
            drawn = f"M{LEFT} {self.y(self.limit)}H{WIDTH - RIGHT}"
            inside = element("title", escape(f"objective: {units.value(self.limit, self.chart.unit)}"))
            yield element("path", inside, **{"class": "limit"}, d=drawn, stroke_width=2, stroke_dasharray="12 8")

    def line(self, line: Line, index: int) -> str:
        """Draw a line, broken where nothing was seen."""
        drawn = self._path(line.track)
        return element("path", "", **{"class": f"line c{index % COLOURS}"}, d=drawn, stroke_width=3)

    def _path(self, track: Track) -> str:
        first = track.end - (len(track.values) - 1) * track.step
        points = [
            None if value is None else (self.x(first + index * track.step), self.y(value))
            for index, value in enumerate(track.values)
        ]
        runs = (list(run) for seen, run in groupby(points, key=lambda point: point is not None) if seen)
        return "".join(_run([point for point in run if point is not None]) for run in runs)


def _run(points: list[tuple[int, int]]) -> str:
    """Draw points one after the other; those on one level in one step."""
    (first, *_) = points
    drawn = [f"M{first[0]} {first[1]}"]
    level = 0
    for before, point in pairwise(points):
        if point[1] == before[1]:
            level += point[0] - before[0]
            continue
        drawn.append(f"{f'h{level}' if level else ''}l{point[0] - before[0]} {point[1] - before[1]}")
        level = 0
    # A point alone is a line of no length: its round ends are a dot.
    return "".join(drawn) + (f"h{level}" if level or len(points) == 1 else "")


def _clocks(begin: float, end: float) -> list[tuple[float, str]]:
    """Choose round moments of an axis of time, and how they are written: `14:02`, `14:02:30`, `21 Sep`."""
    step = next((each for each in _CLOCK_STEPS if (end - begin) / each <= _MOST_CLOCKS), 7 * 86_400)
    form = "%d %b" if step >= 86_400 else "%H:%M" if step >= 60 else "%H:%M:%S"
    margin = 0.04 * (end - begin)
    first = math.ceil((begin + margin) / step)
    last = math.floor((end - margin) / step)
    moments = [float(index * step) for index in range(first, last + 1)]
    return [(each, datetime.fromtimestamp(each, UTC).strftime(form)) for each in moments]
