"""Several servers: the scores of each, all of them together, and one without a metrics page."""

from __future__ import annotations

from msgspec.structs import replace

from metrics.finding import RiskState, Severity
from metrics.sample import State
from tests.tui import canned
from tests.tui.reading import text_of
from tui.frame import frame
from tui.panes import header, score, targets
from tui.view import View

FIRST, SECOND = "http://10.0.0.0:8000", "http://10.0.0.1:8000"


def test_the_scores_are_those_of_the_server_that_is_shown() -> None:
    """Beside a healthy server stand its own scores, not those of its neighbour in trouble."""
    fleet = canned.fleet()
    assert "throughput  98 %" in text_of(score.score(fleet, View(target=FIRST), 120, 1))
    assert "throughput  51 %" in text_of(score.score(fleet, View(target=SECOND), 120, 1))
    assert "throughput  51 %" in text_of(score.score(canned.overloaded(), View(), 120, 1))


def test_the_last_line_of_the_table_is_of_all() -> None:
    """What all servers generate, run and let wait is added up, with the scores of all."""
    last = text_of(targets.targets(canned.fleet(), View(), 120, 5)).splitlines()[-1].split()
    assert last == ["all", "3", "throughput", "84", "%", "TTFT", "71", "%", "292", "tok/s", "18", "54"]


def test_what_one_does_not_tell_is_not_in_a_sum() -> None:
    """A sum over servers of which one does not tell its part is not known."""
    fleet = canned.fleet()
    mute = replace(fleet.targets[0], quantities={})
    last = text_of(targets.targets(replace(fleet, targets=(mute, *fleet.targets[1:])), View(), 120, 5)).splitlines()[-1]
    assert last.split()[-2:] == ["—", "—"]


def test_a_server_without_a_metrics_page_is_up() -> None:
    """Who answers 404 there is not called down, in the table and at the top."""
    fleet = canned.fleet()
    away = replace(fleet.targets[0], state=State.DOWN, reason="404 from /metrics")
    risk = replace(
        fleet.risks[0],
        id="no_metrics_page",
        title="No metrics page",
        target=FIRST,
        state=RiskState.FIRING,
        severity=Severity.WARNING,
    )
    snapshot = replace(fleet, targets=(away, *fleet.targets[1:]), risks=(risk, *fleet.risks))
    drawn = text_of(frame(snapshot, View(target=FIRST), 120, 40))
    assert "NO METRICS" in drawn
    assert "UP, NO METRICS PAGE" in text_of(header.header(snapshot, View(target=FIRST), 120, 1))
    assert " DOWN " not in drawn
    silent = replace(snapshot, risks=fleet.risks)
    assert " DOWN " in text_of(frame(silent, View(target=FIRST), 120, 40))
