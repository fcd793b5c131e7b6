"""What a probe found, on the screen: beside the server's own number and never instead of it."""

from __future__ import annotations

from msgspec.structs import replace

from tests.tui import canned
from tests.tui.reading import text_of
from tui.frame import frame
from tui.panes.load import load
from tui.view import View


def test_the_probe_has_its_line_only_when_there_is_one() -> None:
    """TTFT of the probe and of the server stand side by side, each with its name; without a probe neither does."""
    snapshot = canned.overloaded()
    assert "probe" not in text_of(load(snapshot, View(), 80, 5))
    (target,) = snapshot.targets
    probe = replace(canned.histogram(0.41, (0.5, 0.6), (0.5, 0.6), 0.42), source="probe")
    probed = replace(target, quantities={**target.quantities, "probe_ttft_seconds": probe})
    rows = text_of(load(replace(snapshot, targets=(probed,)), View(), 80, 5)).splitlines()
    (line,) = [row for row in rows if "probe TTFT" in row]
    assert "server TTFT" in line
    assert len(rows) == 5
    shown = text_of(frame(replace(snapshot, targets=(probed,)), View(page="numbers"), 80, 120))
    assert "from the probe" in shown
