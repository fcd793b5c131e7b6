"""The series as CSV, read back by a reader of it."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from insight.report import render
from insight.report.series import HEADER, plain, series
from metrics.observed import Track
from tests.insight.report import canned

if TYPE_CHECKING:
    from metrics.snapshot import Snapshot


def rows(snapshot: Snapshot) -> list[list[str]]:
    return list(csv.reader(io.StringIO(render(snapshot, "csv").decode()), strict=True))


def test_every_point_has_its_row() -> None:
    """A row for each step of each graph of servers and GPUs, under a header that stays."""
    snapshot = canned.overloaded()
    head, *body = rows(snapshot)
    assert head == ["time", "source", "quantity", "unit", "value"] == list(HEADER)
    kept = [*(each.tracks for each in snapshot.targets), *(each.tracks for each in snapshot.gpus)]
    points = sum(len(track.values) for tracks in kept for track in tracks.values())
    assert len(body) == points
    assert {row[1] for row in body} == {canned.URL, "gpu:GPU-00000000", "gpu:GPU-00000001"}
    assert {row[3] for row in body} == {"s", "1/s", "tokens/s", "1", "ratio", "Hz", "W", "celsius", "bytes"}


def test_values_and_times_come_back() -> None:
    """Read back, times are those of the graph and values the same to nine digits; a gap is an empty cell."""
    snapshot = canned.overloaded()
    track = snapshot.targets[0].tracks["ttft_p95"]
    found = [(row[0], row[4]) for row in rows(snapshot) if row[2] == "ttft_p95"]
    for index, ((when, value), real) in enumerate(zip(found, track.values, strict=True)):
        wall = track.end - (len(track.values) - 1 - index) * track.step
        assert datetime.fromisoformat(when).timestamp() == wall
        assert (float(value) if value else None) == (None if real is None else pytest.approx(real, rel=1e-8))
    assert "" in {value for _, value in found}


def test_nothing_seen_is_a_header() -> None:
    """Without a graph there is the header alone."""
    assert rows(canned.nothing_yet()) == [list(HEADER)]


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e21, max_value=1e21))
def test_no_power_of_ten(value: float) -> None:
    """Numbers are digits with a point, for the spreadsheets that round `1e-05`."""
    one = replace(canned.nothing_yet().targets[0], tracks={"ttft_p95": Track("s", 100.0, 1.0, (value,))})
    (_, row) = rows(replace(canned.nothing_yet(), targets=(one,)))
    assert re.fullmatch(r"-?\d+(\.\d+)?", row[4])
    assert float(row[4]) == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "|calc", "%x", "\t=1", "\r=1"])
def test_no_formula_runs(text: str) -> None:
    """What a spreadsheet would run is told to be text, wherever it stands."""
    assert plain(text)[0] == "'" or plain(text)[0].isalnum()
    hostile = replace(canned.overloaded().targets[0], id=text)
    for row in rows(replace(canned.overloaded(), targets=(hostile,))):
        assert not any(cell[:1] in "=+@|%\t\r" for cell in row if cell)
        assert not row[1].startswith("-")


@given(st.text(max_size=20))
def test_a_cell_is_a_cell(text: str) -> None:
    """Commas, quotes and line feeds in a name move nothing to another column or row."""
    one = replace(canned.nothing_yet().targets[0], id=text, tracks={"ttft_p95": Track("s", 100.0, 1.0, (1.0, None))})
    snapshot = replace(canned.nothing_yet(), targets=(one,))
    assert [len(row) for row in csv.reader(io.StringIO(series(snapshot)), strict=True)] == [5, 5, 5]
