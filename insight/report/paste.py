"""A report for a chat: at most 20 lines of at most 100 columns that say what is wrong, how bad, why, and what to do."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from insight.report.cells import width, wrap
from insight.report.changes import first_changes
from insight.report.document import one_line
from insight.report.findings import active
from insight.report.servers import glance
from insight.report.summary import worst_first
from insight.report.words import effect_text, engine_name, gpu_name, opening, sentence, state_text, subject, titled
from metrics import units
from metrics.finding import RiskState
from metrics.sample import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.finding import Recommendation
    from metrics.observed import Gpu
    from metrics.snapshot import Snapshot

LINES = 20
WIDTH = 100
MOST_SERVERS = 2
MOST_GPUS = 2
MOST_RISKS = 3
MOST_CHANGES = 2


def paste(snapshot: Snapshot) -> str:
    """Write the lines that matter, worst first; a sentence may go on over as many lines as leave room for the rest."""
    said = list(_said(snapshot))
    fitted = ([line for each in said for line in _fitted(each, most)] for most in (3, 2, 1))
    lines = next((lines for lines in fitted if len(lines) <= LINES), None)
    return "\n".join(lines or [line for each in said for line in _fitted(each, 1)][:LINES]) + "\n"


def _fitted(said: str, most: int) -> list[str]:
    """Break a sentence into lines, and cut it short after so many."""
    first, *more = wrap(one_line(said), WIDTH - 2)
    lines = [first, *(f"  {line}" for line in more)]
    return lines if len(lines) <= most else [*lines[: most - 1], _cut(lines[most - 1])]


def _cut(line: str) -> str:
    while width(line) > WIDTH - 1:
        line = line[:-1]
    return f"{line.rstrip(' ,;')}…"


def _said(snapshot: Snapshot) -> Iterator[str]:
    severity = snapshot.verdict.severity
    calm = "OK" if snapshot.verdict.state == "quiet" else "NOTE"
    marks = [mark for mark, on in (("SIMULATED", snapshot.simulated), ("REPLAY", snapshot.mode == "replay")) if on]
    said = f"{severity.value.upper() if severity else calm} {sentence(snapshot.verdict.text)}"
    yield ": ".join((*marks, said))
    yield _when(snapshot)
    targets = worst_first(snapshot)
    for target in targets[:MOST_SERVERS]:
        version = f" {target.engine_version}" if target.engine_version else ""
        serves = f", {target.model}" if target.model else ""
        yield f"{target.url}: {engine_name(target.engine)}{version}{serves}"
        yield f"- {sentence(glance(target))}"
    if len(targets) > MOST_SERVERS:
        yield f"{units.count(len(targets) - MOST_SERVERS)} more servers."
    card = snapshot.scorecard
    scores = (("throughput", card.throughput), ("TTFT", card.ttft), ("quality", card.quality))
    yield "Scores: " + ", ".join(
        f"{name} {units.score(each.score, each.best)}" for name, each in (*scores, ("efficiency", card.efficiency))
    )
    yield from map(_gpu, islice(filter(_is_troubled, snapshot.gpus), MOST_GPUS))
    firing = [risk for risk in active(snapshot) if risk.state is not RiskState.RESOLVING]
    for risk in firing[1 if severity else 0 :][:MOST_RISKS]:  # the first is the verdict
        title = titled(risk.title, subject(snapshot, risk.target)) if len(targets) > 1 else risk.title
        said = sentence(f"{title}: {risk.summary or risk.description}")
        yield f"Also {risk.state.value} ({risk.severity.value}): {said}"
    if snapshot.onsets:
        yield f"Changed first: {first_changes(snapshot)}."
    if firing:
        yield f"Cause: {sentence(firing[0].description)}"
    if snapshot.recommendations:
        yield from _first(snapshot.recommendations[0])


def _when(snapshot: Snapshot) -> str:
    if snapshot.window_seconds is None:
        window = "nothing was seen over a window yet"
    else:
        window = f"window {units.duration(snapshot.window_seconds)}"
    return f"{snapshot.tool.name} {snapshot.tool.version} at {snapshot.generated_at}, {window}"


def _is_troubled(gpu: Gpu) -> bool:
    return gpu.state is not State.OK or bool(gpu.xids) or gpu.throttled_seconds is not None


def _gpu(gpu: Gpu) -> str:
    if gpu.state is not State.OK:
        return f"{gpu_name(gpu)}: {state_text(gpu.state, gpu.reason)}"
    held = ", ".join(each.replace("_", " ") for each in gpu.throttle_reasons or ())
    lasted = f" for {units.duration(gpu.throttled_seconds)}" if gpu.throttled_seconds is not None else ""
    clocks = f"{units.value(gpu.sm_clock_hertz, 'Hz')} of {units.value(gpu.sm_clock_max_hertz, 'Hz')}"
    said = [units.value(gpu.temperature_celsius, "celsius"), clocks]
    said += [f"held down by {held}{lasted}"] if held else []
    said += [f"XID {xid}" for xid in gpu.xids]
    return f"{gpu_name(gpu)}: {', '.join(said)}"


def _first(advice: Recommendation) -> Iterator[str]:
    """Say what to do first: the settings to change where they are known, else the first action; and what it brings."""
    action = f" {opening(advice.actions[0])}" if advice.actions and not advice.changes else ""
    yield f"Do first: {sentence(advice.title)}{action}"
    for change in advice.changes[:MOST_CHANGES]:
        restart = ", takes a restart" if change.restart else ""
        yield f"- {change.flag}: {change.now or 'not told by the server'} -> {change.proposed}{restart}"
    yield f"Effect: {sentence(effect_text(advice))}"
