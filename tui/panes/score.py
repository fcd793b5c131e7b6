"""How good it is: the four dimensions of the server that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics import units
from tui import words
from tui.rows import cells, fit_row, spread
from tui.view import chosen_target, serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.snapshot import Score, Snapshot
    from tui.palette import StyleName
    from tui.rows import Row, Span
    from tui.view import View


def score(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show the four dimensions: in one line, or with what each rests on where there is room."""
    target = chosen_target(snapshot, view)
    card = snapshot.scorecards.get(target.id, snapshot.scorecard) if target is not None else snapshot.scorecard
    serves = not snapshot.targets or serving(snapshot, target)
    named = (
        ("throughput", card.throughput),
        ("TTFT", card.ttft),
        ("quality", card.quality),
        ("efficiency", card.efficiency),
    )
    if height >= 5:
        heading = spread(((" SCORECARD", "bold"),), ((f"{_window(snapshot)} ", "dim"),), width)
        return [heading, *(_score_line(name, one, width, serves=serves) for name, one in named)]
    window = f"{_window_in_short(snapshot):>{_WINDOW}} "
    room = width - cells(window)
    shown = list(named)
    for name in ("efficiency", "quality"):  # unknown, they are the first to make room
        if _score_cells(shown) > room:
            shown = [(each, one) for each, one in shown if each != name or one.score is not None]
    narrow = _score_cells(shown) > room
    spans: list[Span] = [(" ", "plain")]
    for index, (name, one) in enumerate(shown):
        spans.append((" " * (1 if narrow else 2) if index else "", "plain"))
        spans.append((f"{name[:4] if narrow else name} ", "dim"))
        spans.append((_score_text(name, one), _score_style(one, serves=serves)))
    return [spread(tuple(spans), ((window, "dim"),), width)]


_WINDOW = 12
"""Cells for the window at the end of the scores: `59 min/6 h`, `119 s/15 min`."""


def _score_cells(shown: Sequence[tuple[str, Score]]) -> int:
    return sum(cells(name) + cells(_score_text(name, one)) + 3 for name, one in shown)


def _score_text(name: str, one: Score) -> str:
    """Write a score in a slot of its own width: that of TTFT comes from buckets, so it may be a range."""
    return f"{units.score(one.score, one.best):>{8 if name == 'TTFT' else 5}}"


def _score_style(one: Score, *, serves: bool) -> StyleName:
    """Colour what is bad; a score of a server that serves nobody now is of the past, and dim."""
    if one.score is None or not serves:
        return "dim"
    return "critical" if one.score < 50 else "warning" if one.score < 80 else "plain"


def _score_line(name: str, one: Score, width: int, *, serves: bool) -> Row:
    objective = f"   objective {one.objective}" if one.objective else ""
    return fit_row(
        (
            (f" {name:<12}", "dim"),
            (_score_text("TTFT", one), _score_style(one, serves=serves)),
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


def _window_in_short(snapshot: Snapshot) -> str:
    """Write how much of the window there is: `67 s/5 min`, then `4 min/5 min`, and `5 min` once it is full."""
    asked, real = snapshot.asked_window_seconds, snapshot.window_seconds
    if real is not None and real >= asked * 0.95:
        return units.duration(asked)
    return f"{units.UNKNOWN}/{units.duration(asked)}" if real is None else words.of(real, asked)
