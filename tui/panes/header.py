"""The top of the screen: who is this, and what is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from insight.engines import ENGINES
from metrics import units
from metrics.finding import RiskState, Severity
from metrics.sample import State
from tui import words
from tui.panes.gpus import ranges
from tui.rows import cells, fit_row, row_width, spread, with_tail, wrap
from tui.view import chosen_target, without_page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metrics.observed import Target
    from metrics.snapshot import Snapshot
    from tui.palette import StyleName
    from tui.rows import Row, Span
    from tui.view import View


def header(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Say who this is: program, engine, model, address, how long it is up, GPUs; badges and the time at the right."""
    del height
    target = chosen_target(snapshot, view)
    right: list[Span] = []
    for text, style in _badges(snapshot, view, target):
        right += [(f" {text} ", style), (" ", "plain")]
    right.append((f" {words.clock(snapshot.generated_wall)} ", "plain"))
    while row_width(tuple(right)) > width and len(right) > 1:
        right.pop()
    room = width - row_width(tuple(right))
    return [spread(_who(snapshot, target, room), tuple(right), width)]


def _badges(snapshot: Snapshot, view: View, target: Target | None) -> list[tuple[str, StyleName]]:
    badges: list[tuple[str, StyleName]] = []
    if view.paused_seconds is not None:
        badges.append((f"PAUSED {units.duration(view.paused_seconds)}", "badge"))
    elif view.silent_seconds is not None:
        badges.append((f"NO NEWS {units.duration(view.silent_seconds)}", "badge_warning"))
    if snapshot.simulated:
        badges.append(("SIMULATED", "badge"))
    if snapshot.mode == "replay":
        badges.append((_replay(snapshot.monitor), "badge"))
    if target is not None and without_page(snapshot, target):
        badges.append(("UP, NO METRICS PAGE", "badge_warning"))
    elif target is not None and target.state is not State.OK:
        age = f" {units.duration(target.age_seconds)}" if target.state is State.STALE and target.age_seconds else ""
        style: StyleName = "badge_critical" if target.state in {State.DOWN, State.UNAUTHORISED} else "badge_warning"
        badges.append((f"{target.state.value.upper()}{age}", style))
    return badges


def _replay(monitor: Mapping[str, float]) -> str:
    """Say where in a recording this is: `REPLAY 41 s/2 min`, `END OF RECORDING`."""
    if monitor.get("replay_ended"):
        return "END OF RECORDING"
    position, length = monitor.get("replay_position"), monitor.get("replay_seconds")
    if position is None or length is None:
        return "REPLAY"
    return f"REPLAY {words.of(position, length)}"


def _who(snapshot: Snapshot, target: Target | None, room: int) -> Row:
    """Name as much as there is room for: the model and the address matter most, the program's own name least."""
    if target is None:
        return ((" chimera-top", "bold"), ("  no server", "plain"))
    engine = ENGINES.get(target.engine or "", target.engine or "")
    model = target.model or ""
    address = target.url.removeprefix("http://").removesuffix("/")
    number = next((i for i, each in enumerate(snapshot.targets, 1) if each.id == target.id), 1)
    which = f"{number} of {len(snapshot.targets)}" if len(snapshot.targets) > 1 else ""
    up = f"up {units.duration(target.uptime_seconds)}" if target.uptime_seconds is not None else ""
    on = f"GPU{'s' if len(target.gpus) > 1 else ''} {ranges(target.gpus)}" if target.gpus else ""
    parts: list[tuple[int, str, StyleName]] = [
        (4, "chimera-top", "bold"),
        (1, which, "bold"),
        (3, f"{engine} {target.engine_version or ''}".strip(), "plain"),
        (0, words.model(model, max(8, room // 3)), "bold"),
        (2, address, "plain"),
        (6, on, "dim"),
        (5, up, "dim"),
    ]
    parts = [part for part in parts if part[1]]
    while len(parts) > 1 and _length(parts) > room:
        parts.remove(max(parts))
    spare = room - _length(parts)
    parts = [
        (rank, words.model(target.model or "", cells(text) + spare) if rank == 0 else text, style)
        for rank, text, style in parts
    ]
    row: list[Span] = []
    for index, (_, text, style) in enumerate(parts):
        row += [("  " if index else " ", "plain"), (text, style)]
    return tuple(row)


def _length(parts: Sequence[tuple[int, str, StyleName]]) -> int:
    return sum(cells(text) + 2 for _, text, _ in parts)


_MORE = re.compile(r" \(\+\d+ other risks?\)$")


def verdict_lines(snapshot: Snapshot, width: int) -> list[str]:
    """Break the verdict into the lines that it takes beside its badge and the time since when it is so."""
    badge, _ = _verdict_badge(snapshot)
    room = max(1, width - cells(badge) - 4)
    text = snapshot.verdict.text.removeprefix("pending: ")  # the badge says it
    return _with_more(text, room - cells(_since(snapshot, width)), room)


def _with_more(text: str, room: int, last: int, height: int | None = None) -> list[str]:
    """Break the verdict into lines; it keeps how many more there are, and loses its last clauses without room."""
    found = _MORE.search(text)
    more = found[0] if found else ""
    said = text.removesuffix(more)
    while height is not None and len(wrap(said, room)) > height and "; " in said:  # its page says every clause
        said = said.rsplit("; ", 1)[0]
    return with_tail(wrap(said, room, height), more, room, last, height)


def _since(snapshot: Snapshot, width: int) -> str:
    """Say since when the worst of what fires has been so; empty where nothing fires or there is no room."""
    worst = next((risk for risk in snapshot.risks if risk.state is RiskState.FIRING and risk.since), None)
    if worst is None or snapshot.verdict.severity is None or width < 60:
        return ""
    return f"  since {words.clock_of(worst.since)} "


_CALM: Mapping[str, tuple[str, StyleName]] = {
    "quiet": (" OK ", "badge_good"),
    "young": (" WATCHING ", "badge"),
    "pending": (" PENDING ", "badge_warning"),
}
"""The badge while nothing fires; where nothing can be told, it is a question mark."""


def _verdict_badge(snapshot: Snapshot) -> tuple[str, StyleName]:
    severity = snapshot.verdict.severity
    if severity is None:
        return _CALM.get(snapshot.verdict.state, (" ? ", "badge"))
    style: StyleName = "badge_critical" if severity is Severity.CRITICAL else "badge_warning"
    return f" {severity.value.upper()} ", style if severity is not Severity.INFO else "badge"


def verdict(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Say in one sentence what is wrong."""
    del view
    badge, style = _verdict_badge(snapshot)
    if width < cells(badge) + 12:  # too narrow for both: the sentence, in the style of its severity
        text = wrap(snapshot.verdict.text or badge.strip(), width, height)
        return [fit_row(((line, style),), width) for line in text]
    lines, since = verdict_lines(snapshot, width), _since(snapshot, width)
    if len(lines) > height:  # the sentence comes before the time, which it tells as well
        room = max(1, width - cells(badge) - 4)
        lines, since = _with_more(snapshot.verdict.text, room, room, height), ""
    first: Row = ((" ", "plain"), (badge, style), ("  ", "plain"), (lines[0], "bold"))
    rows = [spread(first, ((since, "dim"),), width) if since else fit_row(first, width)]
    indent = " " * (cells(badge) + 3)
    rows += [fit_row(((indent, "plain"), (line, "bold")), width) for line in lines[1:]]
    return rows
