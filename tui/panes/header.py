"""The top of the screen: who is this, what is wrong, how good it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics import units
from metrics.sample import State
from metrics.snapshot import Severity
from tui import words
from tui.rows import cells, crop, fit_row, row_width, spread, wrap
from tui.view import chosen_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.snapshot import Score, Snapshot, Target
    from tui.palette import StyleName
    from tui.rows import Row, Span
    from tui.view import View


def header(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Say who this is: program, engine, model, address, how long it has been up; badges and the time at the right."""
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
        badges.append(("REPLAY", "badge"))
    if target is not None and target.state is not State.OK:
        age = f" {units.duration(target.age_seconds)}" if target.state is State.STALE and target.age_seconds else ""
        style: StyleName = "badge_critical" if target.state in {State.DOWN, State.UNAUTHORISED} else "badge_warning"
        badges.append((f"{target.state.value.upper()}{age}", style))
    return badges


def _who(snapshot: Snapshot, target: Target | None, room: int) -> Row:
    """Name as much as there is room for: the model and the address matter most, the program's own name least."""
    if target is None:
        return ((" chimera-top", "bold"), ("  no server", "plain"))
    engine = words.ENGINES.get(target.engine or "", target.engine or "")
    address = target.url.removeprefix("http://").removesuffix("/")
    number = next((i for i, each in enumerate(snapshot.targets, 1) if each.id == target.id), 1)
    which = f"{number} of {len(snapshot.targets)}" if len(snapshot.targets) > 1 else ""
    up = f"up {units.duration(target.uptime_seconds)}" if target.uptime_seconds is not None else ""
    parts: list[tuple[int, str, StyleName]] = [
        (4, "chimera-top", "bold"),
        (1, which, "bold"),
        (3, f"{engine} {target.engine_version or ''}".strip(), "plain"),
        (0, _model(target, max(8, room // 3)), "bold"),
        (2, address, "plain"),
        (5, up, "dim"),
    ]
    parts = [part for part in parts if part[1]]
    while len(parts) > 1 and _length(parts) > room:
        parts.remove(max(parts))
    spare = room - _length(parts)
    parts = [(rank, _model(target, cells(text) + spare) if rank == 0 else text, style) for rank, text, style in parts]
    row: list[Span] = []
    for index, (_, text, style) in enumerate(parts):
        row += [("  " if index else " ", "plain"), (text, style)]
    return tuple(row)


def _length(parts: Sequence[tuple[int, str, StyleName]]) -> int:
    return sum(cells(text) + 2 for _, text, _ in parts)


def _model(target: Target, room: int) -> str:
    """Name the model, without its maker or folder where there is no room for that."""
    name = target.model or ""
    return crop(name if cells(name) <= room else name.rsplit("/", 1)[-1], room)


def verdict_lines(snapshot: Snapshot, width: int) -> list[str]:
    """Break the verdict into the lines that it takes beside its badge."""
    badge, _ = _verdict_badge(snapshot)
    return wrap(snapshot.verdict.text, max(1, width - cells(badge) - 4)) or [""]


def _verdict_badge(snapshot: Snapshot) -> tuple[str, StyleName]:
    severity = snapshot.verdict.severity
    if severity is None:
        judged = any(target.state is State.OK for target in snapshot.targets)
        return (" OK ", "badge_good") if judged else (" ? ", "badge")
    style: StyleName = "badge_critical" if severity is Severity.CRITICAL else "badge_warning"
    return f" {severity.value.upper()} ", style if severity is not Severity.INFO else "badge"


def verdict(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Say in one sentence what is wrong."""
    del view
    badge, style = _verdict_badge(snapshot)
    if width < cells(badge) + 12:  # too narrow for both: the sentence, in the style of its severity
        text = wrap(snapshot.verdict.text or badge.strip(), width, height)
        return [fit_row(((line, style),), width) for line in text]
    lines = wrap(snapshot.verdict.text, width - cells(badge) - 4, height) or [""]
    rows = [fit_row(((" ", "plain"), (badge, style), ("  ", "plain"), (lines[0], "bold")), width)]
    indent = " " * (cells(badge) + 3)
    rows += [fit_row(((indent, "plain"), (line, "bold")), width) for line in lines[1:]]
    return rows


def score(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show the four dimensions: in one line, or with what each rests on where there is room."""
    del view
    card = snapshot.scorecard
    named = (
        ("throughput", card.throughput),
        ("TTFT", card.ttft),
        ("quality", card.quality),
        ("efficiency", card.efficiency),
    )
    if height >= 5:
        heading = spread(((" SCORECARD", "bold"),), ((f"{_window(snapshot)} ", "dim"),), width)
        return [heading, *(_score_line(name, one, width) for name, one in named)]
    spans: list[Span] = [(" ", "plain")]
    narrow = width < 72
    for index, (name, one) in enumerate(named):
        spans.append((" " * (1 if narrow else 3) if index else "", "plain"))
        spans.append((f"{name[:4] if narrow else name} ", "dim"))
        spans.append((_score_text(one), _score_style(one)))
    room = width - row_width(tuple(spans)) - 2
    window = next(
        (text for text in (_window(snapshot), _window(snapshot).partition(" of ")[0]) if cells(text) <= room), ""
    )
    return [spread(tuple(spans), ((f"{window} ", "dim"),), width)]


def _score_text(one: Score) -> str:
    return f"{units.score(one.score, one.best):>5}"


def _score_style(one: Score) -> StyleName:
    if one.score is None:
        return "dim"
    return "critical" if one.score < 50 else "warning" if one.score < 80 else "plain"


def _score_line(name: str, one: Score, width: int) -> Row:
    objective = f"   objective {one.objective}" if one.objective else ""
    return fit_row(
        (
            (f" {name:<12}", "dim"),
            (_score_text(one), _score_style(one)),
            (f"   {one.text}", "plain" if one.score is not None else "dim"),
            (objective, "dim"),
        ),
        width,
    )


def _window(snapshot: Snapshot) -> str:
    asked, real = snapshot.asked_window_seconds, snapshot.window_seconds
    if real is None:
        return f"window {units.duration(asked)}"
    if real < asked * 0.95:
        return f"last {units.duration(real)} of {units.duration(asked)}"
    return f"last {units.duration(asked)}"
