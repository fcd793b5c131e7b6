"""Is a GPU lost, its driver silent, its memory failing, or did it report an XID error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.rules import xids
from insight.rules.placement import name, server_on
from insight.rules.rule import HOLDS_NOT, STICKY, Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source, State

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.sample import Event
    from metrics.view import SourceView

MOST_REMAPPED = 512.0
"""Rows remapped for uncorrectable errors from which on DCGM warns: the spare rows of the board."""
XID_SECONDS = 3600.0
"""For so long an XID error stays a finding: NVML tells it once and never again."""
SEVERITIES = tuple(Severity)


def lost(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the GPU is gone; it stays so until this program is started again, see the rule."""
    del settings, firing
    if source.state is not State.DOWN:
        return HOLDS_NOT
    who = name(source)
    reason = source.newest.reason
    action = source.facts.get("recovery_action")
    asks = f" The driver asks to {action}." if action else ""
    return Condition(
        holds=True,
        summary=f"{who}: {reason}" if reason else who,
        severity=Severity.CRITICAL,
        description=f"{who} does not answer the driver any more. {reason}{asks}".strip(),
        since=source.history.state_since,
    )


def driver_unresponsive(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the driver, which did answer before, has ceased to. A host without a driver is no fault."""
    del settings, firing
    if source.newest_ok is None or source.state is State.OK:
        return Condition(holds=False, summary=source.newest.reason)
    silence = f"no answer for {units.duration(source.age)}"
    return Condition(
        holds=True,
        summary=silence,
        severity=Severity.CRITICAL,
        description=f"The NVIDIA driver answered before: {silence}. {source.newest.reason}".strip(" .") + ".",
        since=source.newest_ok.mono,
    )


def ecc_uncorrected(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether memory errors that ECC could not correct were counted while this program watched."""
    del settings, firing
    newest = source.newest_ok
    total = newest.counters.get("ecc_uncorrected") if newest else None
    if total is None:
        return unknown("the driver gives no count of uncorrectable memory errors")
    if total == 0:
        return HOLDS_NOT
    grown = source.increase("ecc_uncorrected", STICKY)
    if grown is None or grown.value <= 0:
        return Condition(holds=False, summary=f"{units.count(total)} since the driver was loaded, none while watched")
    errors = "error" if grown.value == 1 else "errors"
    text = f"{units.count(grown.value)} uncorrectable memory {errors} in {units.duration(grown.seconds)}"
    server = server_on(source)
    works = f" {server.id} works on it." if server else ""
    return Condition(
        holds=True,
        summary=f"{name(source)}: {text}",
        severity=Severity.CRITICAL,
        description=f"{name(source)}: {text}; {units.count(total)} since the driver was loaded.{works}",
        evidence=(
            Evidence("ecc_uncorrected", grown.value, "1", threshold=0.0, window_seconds=grown.seconds, text=text),
        ),
    )


def row_remap(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether rows of the GPU's memory failed so that they cannot be, or are not yet, replaced by spare ones."""
    del settings, firing
    failed, pending = source.gauge("remapped_rows_failed"), source.gauge("remapped_rows_pending")
    rows = source.gauge("remapped_rows_uncorrectable")
    if failed is None and pending is None and rows is None:
        return unknown("the driver does not tell of remapped memory rows")
    said: list[tuple[str, float, float, str]] = []
    if failed:
        said.append(("remapped_rows_failed", failed, 0.0, "a memory row could not be remapped: replace the board"))
    if pending:
        said.append(("remapped_rows_pending", pending, 0.0, "a memory row waits for a reset to be remapped"))
    if rows is not None and rows >= MOST_REMAPPED:
        said.append(("remapped_rows_uncorrectable", rows, MOST_REMAPPED, f"{units.count(rows)} rows are remapped"))
    if not said:
        return HOLDS_NOT if not rows else Condition(holds=False, summary=f"{units.count(rows)} rows remapped before")
    text = "; ".join(each[3] for each in said)
    return Condition(
        holds=True,
        summary=f"{name(source)}: {text}",
        severity=Severity.CRITICAL if failed else Severity.WARNING,
        description=f"{name(source)}: {text}.",
        evidence=tuple(Evidence(q, value, "1", threshold=limit, text=words) for q, value, limit, words in said),
    )


def xid(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the driver reported an XID error within the last hour.

    Counted are the events themselves: the gauge that other exporters keep holds the last one for ever, so that its
    growth means nothing. Those of before this program began are not known.
    """
    del settings, firing
    action = source.facts.get("recovery_action") if source.history.newest_ok else None
    recent = _recent(source)
    if not recent and not action:
        return HOLDS_NOT
    worst = min((xids.known(each.code).severity for each in recent), key=SEVERITIES.index, default=Severity.WARNING)
    codes = list(dict.fromkeys(xids.said(each.code, each.text) for each in recent))
    todo = list(dict.fromkeys(xids.known(each.code).action for each in recent if xids.known(each.code).action))
    asks = f"the driver asks to {action}" if action else ""
    count = f"{len(recent)} in {units.duration(XID_SECONDS)}" if len(recent) > 1 else ""
    said = "; ".join(filter(None, (*codes[-3:], count, asks)))
    return Condition(
        holds=True,
        summary=f"{name(source)}, {said}",
        severity=Severity.CRITICAL if action else worst,
        description=f"{name(source)}: {said}.{' To do: ' + '; '.join(todo) + '.' if todo else ''}",
        evidence=tuple(
            Evidence(
                "xid",
                float(each.code or 0),
                "1",
                window_seconds=source.view.wall - each.wall,
                text=xids.said(each.code, each.text),
            )
            for each in recent[-3:]
        ),
        since=source.view.mono - (source.view.wall - recent[0].wall) if recent else None,
    )


def _recent(source: SourceView) -> list[Event]:
    begin = source.view.wall - XID_SECONDS
    return [each for each in source.history.events if each.kind == "xid" and each.wall > begin]


LOST = Rule(
    id="gpu_lost",
    title="GPU lost",
    of=Source.GPU,
    condition=lost,
    live=Timing(0.0, STICKY),  # a GPU that fell off the bus once is no longer to be trusted
    page=Timing(0.0, STICKY),
    source="NVML reports the GPU as lost; XID 79",
    impact="high: what ran on this GPU is gone",
    mitigation="Drain the host, keep the output of nvidia-bug-report.sh, then reset the GPU or reboot the host.",
    needs_answer=False,
    event=True,
)
DRIVER = Rule(
    id="driver_unresponsive",
    title="GPU driver unresponsive",
    of=Source.DRIVER,
    condition=driver_unresponsive,
    live=Timing(5.0, 5.0),
    page=Timing(30.0, 300.0),
    source="an NVML session that worked and no longer does",
    impact="high: GPUs cannot be watched, and what uses them may hang as well",
    mitigation="Look into dmesg for Xid and NVRM; if nvidia-smi hangs too, drain and reboot the host.",
    needs_answer=False,
    event=True,
)
ECC = Rule(
    id="ecc_uncorrected",
    title="Uncorrectable memory errors",
    of=Source.GPU,
    condition=ecc_uncorrected,
    live=Timing(0.0, STICKY),
    page=Timing(0.0, STICKY),
    source="any growth of NVML's volatile count; NVIDIA's memory error guide, DCGM",
    impact="high: what was computed with that memory may be wrong, and what used it may have been ended",
    mitigation=(
        "Drain the host, keep the output of nvidia-bug-report.sh, restart what ran, reset the GPU; with more than four "
        "in the on-chip memory, have the board replaced."
    ),
    needs_answer=False,
    event=True,
)
ROW_REMAP = Rule(
    id="row_remap",
    title="Memory row remapping",
    of=Source.GPU,
    condition=row_remap,
    live=Timing(0.0, 0.0),
    page=Timing(0.0, STICKY),
    source="NVML fields 143 to 145; DCGM: a failure is a fault, 512 rows are a warning",
    impact="high: once there are no spare rows left, memory errors hit what runs",
    mitigation="Pending: reset the GPU in the next maintenance window. Failed: have the board replaced.",
    event=True,
)
XID = Rule(
    id="xid",
    title="XID error",
    of=Source.GPU,
    condition=xid,
    live=Timing(0.0, 0.0),
    page=Timing(0.0, 0.0),
    source="NVML events of the last hour; severity after DCGM and NVIDIA's catalogue of XIDs",
    impact="high: depending on the error an application, the GPU or the host has to begin anew",
    mitigation="Do what the description says of this XID; keep the output of nvidia-bug-report.sh before a reset.",
    needs_answer=False,
    event=True,
)
