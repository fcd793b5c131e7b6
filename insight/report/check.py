"""One line a finding and an exit code, as monitoring systems that run plugins expect it.

The first line is a summary with performance data behind `|`, in the form of the Monitoring Plugins Development
Guidelines: `label=value[UOM];warn;crit;min;max`, `U` where the value cannot be determined.

It is for the terminal and the monitoring system of who watches the server, so it names servers as they are: unlike a
report, it is not redacted.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING

from insight.report.document import one_line
from insight.report.findings import active
from insight.report.words import subject
from insight.verdict import SOON_SECONDS
from metrics import units
from metrics.finding import RiskState, Severity
from metrics.sample import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.finding import Risk
    from metrics.observed import Target
    from metrics.snapshot import Snapshot


class Exit(IntEnum):
    """What `check` exits with; the codes of monitoring plugins."""

    OK = 0
    """A server was seen and judged, and nothing worse than an info fires."""
    WARNING = 1
    """The worst risk that fires is a warning."""
    CRITICAL = 2
    """A critical risk fires; a server that is down or refuses the token is one."""
    UNKNOWN = 3
    """Nothing fires, and this is not `ok`: a server that was asked for was not seen, no risk could be judged, it was
    watched for too short a time, or something critical is pending."""


def check(snapshot: Snapshot) -> tuple[list[str], Exit]:
    """Write a Snapshot as one summary line and one line a finding, firing first, and judge it."""
    found = active(snapshot)
    status = _status(snapshot)
    lines = [_summary(snapshot, found, status), *(_finding(snapshot, risk) for risk in found)]
    if status is Exit.UNKNOWN:
        lines += [f"UNKNOWN {each.url}: {each.state.value}: {each.reason}" for each in snapshot.targets if each.reason]
        lines += [f"UNKNOWN {each.what}: {each.why}" for each in snapshot.not_visible]
    first, *rest = map(_plain, lines)
    performance = " ".join(_performance(snapshot))
    return [f"{first} | {performance}" if performance else first, *rest], status


def _status(snapshot: Snapshot) -> Exit:
    firing = {risk.severity for risk in snapshot.risks if risk.state is RiskState.FIRING}
    if Severity.CRITICAL in firing:
        return Exit.CRITICAL
    soon = {risk.severity for risk in snapshot.risks if risk.state is RiskState.PENDING}
    if Severity.WARNING in firing:
        return Exit.WARNING
    if Severity.CRITICAL in soon or _is_young(snapshot):
        return Exit.UNKNOWN
    seen = bool(snapshot.targets) and all(target.state is State.OK for target in snapshot.targets)
    judged = any(risk.state is not RiskState.UNKNOWN for risk in snapshot.risks)
    return Exit.OK if seen and judged else Exit.UNKNOWN


def _is_young(snapshot: Snapshot) -> bool:
    """Tell whether it was watched for too short a time for the rules to find anything."""
    return (snapshot.window_seconds or 0.0) < SOON_SECONDS


def _plain(text: str) -> str:
    """Keep a line one line, and free of the bar that begins performance data."""
    return one_line(text).replace("|", "¦")


def _summary(snapshot: Snapshot, found: list[Risk], status: Exit) -> str:
    firing = [risk.severity for risk in found if risk.state is RiskState.FIRING]
    counts = [(firing.count(severity), severity.value) for severity in (Severity.CRITICAL, Severity.WARNING)]
    pending = sum(risk.state is RiskState.PENDING for risk in found)
    counted = ", ".join(f"{number} {name}" for number, name in (*counts, (pending, "pending")) if number)
    words = counted or f"nothing fires over {units.duration(snapshot.window_seconds)}"
    if status is Exit.UNKNOWN:
        words = snapshot.verdict.text or "nothing could be seen"
        if snapshot.window_seconds and _is_young(snapshot) and snapshot.verdict.state != "pending":
            words = f"watched for too short a time, --for 10s is the least: {words}"
    marks = [mark for mark, on in (("SIMULATED", snapshot.simulated), ("REPLAY", snapshot.mode == "replay")) if on]
    return f"CHIMERA {status.name} - {''.join(f'{mark}: ' for mark in marks)}{words}"


def _finding(snapshot: Snapshot, risk: Risk) -> str:
    label = risk.severity.value if risk.state is RiskState.FIRING else risk.state.value
    about = subject(snapshot, risk.target)
    soon = f", fires in {units.duration(risk.fires_in_seconds)}" if risk.fires_in_seconds is not None else ""
    return f"{label.upper()} {risk.id}{f' {about}' if about else ''}: {risk.summary or risk.title}{soon}"


def _performance(snapshot: Snapshot) -> Iterator[str]:
    several = len(snapshot.targets) > 1
    for target in snapshot.targets:
        prefix = f"{target.url} " if several else ""
        for label, value, unit, rest in _numbers(snapshot, target):
            yield f"{_label(prefix + label)}={value}{unit}{rest}"


def _label(text: str) -> str:
    """Quote a label that has spaces; `=` and `'` must not be in one."""
    text = _plain(text).replace("'", "").replace("=", "")
    return f"'{text}'" if " " in text else text


def _numbers(snapshot: Snapshot, target: Target) -> Iterator[tuple[str, str, str, str]]:
    """Give label, value, unit and `;warn;crit;min;max` of what the server has of the key numbers."""
    limits = {(each.quantity, each.q): each.limit for each in snapshot.objectives}
    for quantity, label in (("ttft_seconds", "ttft_p95"), ("itl_seconds", "itl_p95"), ("e2e_seconds", "e2e_p95")):
        measure = target.quantities.get(quantity)
        if measure is not None and measure.p95 is not None:
            limit = limits.get((quantity, 0.95))
            unit = "s" if measure.p95.estimate is not None else ""
            warn = "" if limit is None else _number(limit)
            yield label, _number(measure.p95.estimate), unit, f";{warn};;0"
    for quantity, label in (
        ("requests_finished", "requests_per_second"),
        ("output_tokens_total", "output_tokens_per_second"),
    ):
        measure = target.quantities.get(quantity)
        if measure is not None and measure.rate is not None:
            yield label, _number(measure.rate), "", ";;;0"
    for quantity in ("requests_running", "requests_waiting"):
        measure = target.quantities.get(quantity)
        if measure is not None and measure.value is not None:
            yield quantity, _number(measure.value), "", ";;;0"
    measure = target.quantities.get("kv_cache_usage")
    if measure is not None and measure.value is not None:
        yield "kv_cache_usage", _number(measure.value * 100), "%", ";;;0;100"


def _number(value: float | None) -> str:
    """Write a number for a machine: six digits, no exponent; `U` where it is not known."""
    if value is None or not math.isfinite(value):
        return "U"
    text = f"{value:.6f}" if abs(value) < 1 else f"{value:.3f}"
    return text.rstrip("0").rstrip(".") or "0"
