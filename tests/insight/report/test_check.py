"""The lines and the exit code of `check`, as a monitoring system reads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from insight.report.check import Exit, check
from metrics.finding import Risk, RiskState, Severity
from metrics.sample import State
from tests.insight.report import canned

if TYPE_CHECKING:
    from metrics.snapshot import Snapshot

# Monitoring Plugins Development Guidelines: 'label'=value[UOM];[warn];[crit];[min];[max]
PERFORMANCE = re.compile(r"('[^'=]+'|[^'= ]+)=(U|-?\d+(\.\d+)?)(s|%)?;(\d[\d.]*)?;(\d[\d.]*)?;(\d+)?(;(\d+)?)?")


def with_risk(severity: Severity, state: RiskState) -> Snapshot:
    risk: Risk = replace(canned.overloaded().risks[0], severity=severity, state=state)
    return replace(canned.healthy(), risks=(risk, *canned.healthy().risks))


@pytest.mark.parametrize(
    ("severity", "state", "status"),
    [
        (Severity.CRITICAL, RiskState.FIRING, Exit.CRITICAL),
        (Severity.WARNING, RiskState.FIRING, Exit.WARNING),
        (Severity.INFO, RiskState.FIRING, Exit.OK),
        (Severity.CRITICAL, RiskState.PENDING, Exit.UNKNOWN),
        (Severity.WARNING, RiskState.PENDING, Exit.OK),
        (Severity.CRITICAL, RiskState.RESOLVING, Exit.OK),
        (Severity.CRITICAL, RiskState.UNKNOWN, Exit.OK),
        (Severity.CRITICAL, RiskState.NOT_OBSERVED, Exit.OK),
    ],
)
def test_status(severity: Severity, state: RiskState, status: Exit) -> None:
    """The worst of what fires decides; what is critical and pending is not ok; the status stands in the first line."""
    lines, got = check(with_risk(severity, state))
    assert got is status
    assert lines[0].startswith(f"CHIMERA {status.name} - ")


def test_exit_codes() -> None:
    """The codes are those of monitoring plugins."""
    assert [int(each) for each in (Exit.OK, Exit.WARNING, Exit.CRITICAL, Exit.UNKNOWN)] == [0, 1, 2, 3]


def test_overloaded() -> None:
    """One line a finding, worst first, what is pending with the time it has left."""
    lines, status = check(canned.overloaded())
    assert status is Exit.CRITICAL
    assert lines[0].startswith("CHIMERA CRITICAL - 1 critical, 1 warning, 1 pending | ttft_p95=38.25s;2;;0 ")
    assert lines[1:] == [
        "CRITICAL model_overloading http://127.0.0.1:8000: 54 waiting for 41 s",
        "WARNING thermal_throttle GPU 1: 1155 of 1980 MHz",
        "PENDING cache_saturation http://127.0.0.1:8000: 96.1 % for 40 s, fires in 20 s",
    ]


def test_server_down_is_critical() -> None:
    """A server that is down is a finding, not something unknown."""
    assert check(canned.server_down())[1] is Exit.CRITICAL


def test_nothing_seen_is_unknown() -> None:
    """Where no server answered and nothing fires, it is never ok, and the lines say why and that it is simulated."""
    lines, status = check(canned.nothing_yet())
    assert status is Exit.UNKNOWN
    assert lines == [
        "CHIMERA UNKNOWN - SIMULATED: REPLAY: waiting for the first answer of http://127.0.0.1:8000",
        "UNKNOWN http://127.0.0.1:8000: starting: it answers 503: not ready",
    ]


@pytest.mark.parametrize("state", [State.STALE, State.DOWN, State.UNAUTHORISED, State.STARTING])
def test_no_server_ok_is_unknown(state: State) -> None:
    """A host whose only server is not ok, and for which nothing fires yet, is not ok."""
    snapshot = canned.healthy()
    assert check(replace(snapshot, targets=(replace(snapshot.targets[0], state=state),)))[1] is Exit.UNKNOWN


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_judged_is_unknown(count: int) -> None:
    """Where no risk could be judged, it is not ok, although the server answers."""
    assert check(replace(canned.healthy(), risks=canned.healthy().risks[2:][:count]))[1] is Exit.UNKNOWN


@pytest.mark.parametrize(("seconds", "status"), [(None, 3), (1.0, 3), (9.4, 3), (9.99, 0), (30.0, 0)])
def test_too_short_a_watch_is_unknown(seconds: float | None, status: int) -> None:
    """Nothing found in less than the rules take says nothing, and the line says what to do."""
    lines, got = check(replace(canned.healthy(), window_seconds=seconds))
    assert got == status
    assert ("watched for too short a time, --for 10s is the least" in lines[0]) == (seconds in {1.0, 9.4})


def test_what_fires_in_a_short_watch_is_said() -> None:
    """A finding needs no longer watch."""
    assert check(replace(canned.overloaded(), window_seconds=1.0))[1] is Exit.CRITICAL


def test_performance_data() -> None:
    """Performance data has the form of the guidelines; several servers have labels of their own."""
    snapshot = canned.overloaded()
    first = snapshot.targets[0]
    second = replace(first, id="b", url="http://it's=odd|:1")
    for targets, expected in (((first,), 8), ((first, second), 16)):
        lines, _ = check(replace(snapshot, targets=targets))
        data = lines[0].split(" | ", 1)[1]
        found = list(PERFORMANCE.finditer(data))
        assert " ".join(match[0] for match in found) == data
        assert len({match[1] for match in found}) == expected
    values = {match[1]: match[2] + (match[4] or "") for match in PERFORMANCE.finditer(check(snapshot)[0][0])}
    assert values["ttft_p95"] == "38.25s"
    assert values["e2e_p95"] == "U"  # above the last bucket: known to be over 40 s, and no number
    assert values["kv_cache_usage"] == "96.1%"


def test_one_finding_one_line() -> None:
    """Text of a server can neither add a line nor begin performance data."""
    snapshot = with_risk(Severity.WARNING, RiskState.FIRING)
    risk = replace(snapshot.risks[0], summary="a\nCHIMERA OK | x=1\x1b[2J")
    lines, _ = check(replace(snapshot, risks=(risk,)))
    assert lines[0].count("|") == 1
    assert lines[1] == "WARNING model_overloading http://127.0.0.1:8000: a CHIMERA OK ¦ x=1�[2J"
    assert len(lines) == 2


def test_a_server_that_was_not_seen_is_not_ok() -> None:
    """With two servers asked for and one of them not heard yet, nothing is `ok`."""
    snapshot = canned.healthy()
    silent = replace(snapshot.targets[0], id="http://b", state=State.STARTING)
    assert check(snapshot)[1] is Exit.OK
    assert check(replace(snapshot, targets=(*snapshot.targets, silent)))[1] is Exit.UNKNOWN
