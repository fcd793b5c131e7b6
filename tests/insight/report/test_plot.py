"""Charts as SVG: every value where it belongs, gaps as gaps, axes with round values."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.report.document import Chart, Line, Moment
from insight.report.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, plot, ticks
from metrics.observed import Track

if TYPE_CHECKING:
    from collections.abc import Iterator

END = 1_790_000_400.0
UNITS = ("s", "ratio", "bytes", "Hz", "celsius", "W", "1", "1/s", "tokens/s")
VALUES = st.lists(st.one_of(st.none(), st.floats(0, 1e12), st.just(0.0)), min_size=1, max_size=40)


def chart(*values: float | None, unit: str = "s", limit: float | None = None) -> Chart:
    return Chart("t", unit, (Line("p95", Track(unit, END, 2.0, values)),), limit=limit)


def drawn(svg: str, kind: str) -> list[ET.Element]:
    root = ET.fromstring(svg)  # noqa: S314 -- our own
    return [each for each in root.iter("path") if (each.get("class") or "").split()[:1] == [kind]]


def points(path: str) -> Iterator[list[tuple[int, int]]]:
    """The runs of points that a path draws."""
    for run in path.split("M")[1:]:
        begin, *steps = re.findall(r"^-?\d+ -?\d+|[hl]-?\d+(?: -?\d+)?", run)
        x, y = map(int, begin.split())
        found = [(x, y)]
        for step in steps:
            numbers = [int(each) for each in step[1:].split()]
            x, y = x + numbers[0], y + (numbers[1] if step[0] == "l" else 0)
            found.append((x, y))
        yield found


@given(VALUES, st.sampled_from(UNITS), st.one_of(st.none(), st.floats(0, 1e12)))
def test_nothing_is_drawn_outside_of_the_axes(values: list[float | None], unit: str, limit: float | None) -> None:
    """Whatever the values, every point lies between the axes, and times never go back."""
    svg = plot(chart(*values, unit=unit, limit=limit), 1)
    if all(value is None for value in values):
        assert svg == ""
        return
    for path in drawn(svg, "line"):
        for run in points(path.get("d") or ""):
            assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM for x, y in run)
            assert all(x <= later for (x, _), (later, _) in pairwise(run))


@given(st.floats(-1e3, 1e15), st.floats(0, 1e15), st.sampled_from(UNITS))
def test_ticks_hold_what_is_drawn(low: float, span: float, unit: str) -> None:
    """An axis begins at or below the lowest value, ends at or above the highest, and has a few equal steps."""
    found = ticks(low, low + span, unit)
    slack = 1e-6 * max(abs(low), span, 1.0)
    assert found[0] <= low + slack
    assert found[-1] >= low + span - slack
    assert 2 <= len(found) <= 7
    steps = [after - before for before, after in pairwise(found)]
    assert max(steps) <= min(steps) * (1 + 1e-6) + slack


@pytest.mark.parametrize(
    ("high", "unit", "expected"),
    [
        (38.2, "s", [0, 10, 20, 30, 40]),
        (0.049, "s", [0, 0.02, 0.04, 0.06]),
        (0.96, "ratio", [0, 0.25, 0.5, 0.75, 1.0]),
        (70.3 * 2**30, "bytes", [each * 2**30 for each in (0, 20, 40, 60, 80)]),
        (2.0, "1", [0, 1, 2]),
    ],
)
def test_ticks_are_round_in_the_unit_that_is_read(high: float, unit: str, expected: list[float]) -> None:
    """Steps are 1, 2, 2.5 or 5 times a power of ten of what is shown: of GiB for bytes, whole for counts."""
    found = ticks(0.0, high, unit)
    assert len(found) == len(expected)
    assert all(math.isclose(a, b, abs_tol=1e-9) for a, b in zip(found, expected, strict=True))


def test_a_gap_breaks_the_line() -> None:
    """What was not seen is not drawn; a point alone is a dot."""
    (line,) = drawn(plot(chart(1.0, 2.0, None, 3.0, None, 2.0, 2.0, 2.0), 1), "line")
    assert [len(run) for run in points(line.get("d") or "")] == [2, 2, 2]
    assert "h0" in (line.get("d") or "")


def test_a_level_line_is_one_step() -> None:
    """A hundred points that are the same take one step, from the first to the last of them."""
    (line,) = drawn(plot(chart(*[5.0] * 100), 1), "line")
    (run,) = points(line.get("d") or "")
    assert len(run) == 2
    assert run[-1][0] == WIDTH - RIGHT


def test_the_limit_is_drawn_where_it_can_be_seen() -> None:
    """An objective near what was seen has its line; one far above would press the rest flat, and has none."""
    assert len(drawn(plot(chart(1.0, 2.0, limit=3.0), 1), "limit")) == 1
    assert drawn(plot(chart(1.0, 2.0, limit=30.0), 1), "limit") == []
    assert drawn(plot(chart(1.0, 2.0), 1), "limit") == []


def test_what_is_above_the_limit_is_above_its_line() -> None:
    """Heights are to scale: half of the axis is half of the height, and more is higher."""
    svg = plot(chart(0.0, 5.0, 10.0), 1)
    (run,) = points(drawn(svg, "line")[0].get("d") or "")
    heights = [y for _, y in run]
    assert heights == [HEIGHT - BOTTOM, (HEIGHT - BOTTOM + TOP) // 2, TOP]


@pytest.mark.parametrize(
    ("step", "expected"),
    [(1.0, "14:19:00"), (20.0, "14:00"), (1200.0, "12:00"), (86_400.0 / 4, "10 Sep")],
)
def test_times_are_round(step: float, expected: str) -> None:
    """The axis of time has at most six round moments, with seconds where the window is short, days where it is long."""
    track = Track("s", END, step, tuple(1.0 + index for index in range(150)))
    root = ET.fromstring(plot(Chart("t", "s", (Line("", track),)), 1))  # noqa: S314 -- our own
    shown = [each.text for each in root.iter("text") if each.get("text-anchor") == "middle"]
    assert expected in shown
    assert 2 <= len(shown) <= 6


def test_events_say_what_they_are() -> None:
    """A vertical line stands at its moment, with the time of day and the text for who points at it."""
    with_event = Chart("t", "s", chart(1.0, 2.0, 3.0, 4.0).lines, (Moment(END - 4.0, "mark: <v2>"),))
    (moment,) = drawn(plot(with_event, 1), "moment")
    assert moment.findtext("title") == "14:19:56 mark: <v2>"
    assert (moment.get("d") or "").startswith(f"M{LEFT + (WIDTH - LEFT - RIGHT) // 2} ")
