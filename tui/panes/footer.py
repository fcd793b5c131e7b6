"""The last line: which key next, and what there was no room for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tui.rows import cells, fit_row, spread
from tui.view import on_quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.snapshot import Snapshot
    from tui.rows import Row, Span
    from tui.view import View

_REMARK = re.compile(r" \([^()]*\)$")
"""What a message says in brackets at its end, where there is room for it."""
_OVERVIEW = (
    ("?", "help"),
    ("enter", "why"),
    ("e", "export"),
    ("p", "pause"),
    ("+-", "window"),
    ("tab", "panes"),
    ("q", "quit"),
)
_OPENS = {"risks": "why", "gpus": "GPU", "numbers": "numbers"}
_DEEPER = (("esc", "back"), ("↑↓", "scroll"), ("e", "export"), ("p", "pause"), ("?", "help"), ("q", "quit"))


def footer(snapshot: Snapshot | None, view: View, width: int, hidden: Sequence[str]) -> list[Row]:
    """Name the keys, then what is hidden; or the message, as long as there is one."""
    if view.message:
        said = view.message if cells(view.message) < width else _REMARK.sub("", view.message)
        return [fit_row(((f" {said}", "bold"),), width)]
    keys = list(_OVERVIEW if view.page == "overview" else _DEEPER)
    if view.page == "overview" and snapshot is not None and len(snapshot.targets) > 1:
        keys.insert(1, ("[ ]", "server"))
    if view.page == "overview" and view.focus != "risks":
        keys = [(key, _OPENS[view.focus] if key == "enter" else what) for key, what in keys]
    if view.page == "overview" and view.focus == "risks" and snapshot is not None and on_quiet(snapshot, view):
        keys = [(key, "watched" if key == "enter" else what) for key, what in keys]
    right = f"+ {', '.join(hidden)} " if hidden and width >= 44 else ""
    room = width - 1 - cells(right)
    while len(keys) > 2 and sum(cells(key) + cells(what) + 3 for key, what in keys) > room:
        keys.pop(-2)
    spans: list[Span] = [(" ", "plain")]
    for index, (key, what) in enumerate(keys):
        spans += [("  " if index else "", "plain"), (key, "bold"), (f" {what}", "dim")]
    return [spread(tuple(spans), ((right, "dim"),), width) if right else fit_row(spans, width)]
