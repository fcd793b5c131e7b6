"""Charts in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.report.document import Chart, Line
from insight.report.spoken import CELLS, sketched, sparkline, spoken
from metrics.observed import Track


def line(name: str, *values: float | None, unit: str = "s") -> Line:
    return Line(name, Track(unit, 1_790_000_000.0, 1.0, values))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.3, 8.1, 7.9), "p95: 300 ms to 8.1 s, now 7.9 s"),
        ((0.3, 8.1, None), "p95: 300 ms to 8.1 s, nothing seen now"),
        ((2.0, 2.0, 2.0), "p95: 2 s all the time"),
        ((2.0, 2.0, None), "p95: 2 s, nothing seen now"),
        ((None, None), "nothing was seen"),
    ],
)
def test_a_line_in_words(values: tuple[float | None, ...], said: str) -> None:
    """What was lowest, what was highest, what is now; what is not seen now says so."""
    assert spoken(Chart("TTFT", "s", (line("p95", *values),))) == [said]


def test_many_lines_are_told_together() -> None:
    """Of more than four lines it is said between what they were, and which is lowest and which highest now."""
    lines = tuple(line(f"GPU {i}", 1.98e9, 1.155e9 if i == 3 else 1.98e9, unit="Hz") for i in range(8))
    assert spoken(Chart("SM clock", "Hz", lines)) == [
        "GPU 0 to GPU 7: 1155 MHz to 1980 MHz, now 1155 MHz (GPU 3) to 1980 MHz (GPU 7)"
    ]
    still = tuple(line(f"GPU {i}", 1.98e9, 1.98e9, unit="Hz") for i in range(8))
    assert spoken(Chart("SM clock", "Hz", still)) == ["GPU 0 to GPU 7: 1980 MHz all the time"]
    gone = tuple(line(f"GPU {i}", 1.0e9 + i, None, unit="Hz") for i in range(8))
    assert spoken(Chart("SM clock", "Hz", gone)) == ["GPU 0 to GPU 7: 1000 MHz, nothing seen now"]


def test_a_sketch_has_the_shape() -> None:
    """In Markdown and text the shape stands before the words; gaps are dots, heights are to scale from 0."""
    said = sketched(Chart("queue", "1", (line("", 0.0, 4.0, None, 8.0, unit="1"),)))
    assert said == ["queue: ▁▅·█ 0 to 8, now 8"]


def test_lines_of_a_chart_share_a_scale() -> None:
    """Two lines of one chart can be compared: the lower one is drawn low."""
    low, high = sketched(Chart("TTFT", "s", (line("p50", 1.0, 1.0, 2.0), line("p95", 7.0, 8.0, 8.0))))
    assert low.split()[2] == "▂▂▃"
    assert high.split()[2] == "███"


def test_degrees_begin_where_they_are() -> None:
    """0 °C means nothing to a GPU: its curve is drawn from its own lowest."""
    (said,) = sketched(Chart("temperature", "celsius", (line("", 58.0, 70.0, 87.0, unit="celsius"),)))
    assert said.split()[1] == "▁▄█"


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e9)), min_size=1, max_size=200))
def test_a_sparkline_shows_every_peak(values: list[float | None]) -> None:
    """It is never wider than its cells, and the highest value is drawn as the highest, however short it was."""
    high = max((value for value in values if value is not None), default=0.0)
    drawn = sparkline(values, 0.0, high)
    assert len(drawn) == min(CELLS, len(values))
    if high > 0:
        assert "█" in drawn
    if all(value is None for value in values):
        assert set(drawn) == {"·"}
