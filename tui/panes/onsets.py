"""What changed first: a chain of moments, each with what left what it had been."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from tui import words
from tui.panes.gpus import ranges
from tui.panes.page import INDENT, heading, text
from tui.rows import cells

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metrics.finding import Onset, Risk
    from metrics.snapshot import Snapshot
    from tui.rows import Row

_SMEARED = 10.0
"""Seconds from which on a change may have begun so much earlier that its moment is only the latest: `by 14:02:20`."""
_NAMES = {
    "ttft_p95": "TTFT p95",
    "itl_p95": "ITL p95",
    "requests_rate": "requests/s",
    "output_tokens_rate": "output tok/s",
    "sm_clock_hertz": "clock",
    "kv_cache_usage": "KV",
    "requests_waiting": "queue",
    "requests_running": "running",
}


def onsets(snapshot: Snapshot, risk: Risk, width: int) -> list[Row]:
    """Say in which order quantities changed around the fault; nothing where nothing is known of it."""
    found = _about(snapshot, risk)
    if not found:
        return []
    parts = [
        f"{', '.join(_name(each, snapshot) + _direction(each) for each in together)} {when}"
        for when, together in _moments(found)
    ]
    late = max((each.within_seconds for each in found if each.within_seconds >= _SMEARED), default=0.0)
    note = f"by: may have begun up to {late:.0f} s before" if late else ""
    rows = [heading("WHAT CHANGED FIRST", width, note)]
    for line in _chain(parts, width - INDENT - 1):
        rows += text(line, width)
    return rows


def _chain(parts: Iterable[str], room: int) -> list[str]:
    """Join moments by arrows, as many a line as fit: no line ends between a change and its time."""
    lines = [""]
    for part in parts:
        if not lines[-1]:
            lines[-1] = part
        elif cells(lines[-1]) + cells(part) + 5 <= room:
            lines[-1] += f" → {part}"
        else:
            lines[-1] += " →"
            lines.append(part)
    return lines


def _about(snapshot: Snapshot, risk: Risk) -> list[Onset]:
    """Keep what is of the same server and its GPUs; all of it where that is not known."""
    target = next((each for each in snapshot.targets if each.id == risk.target), None)
    if target is None or len(snapshot.targets) < 2:
        return list(snapshot.onsets)
    mine = {target.id, *(f"gpu:{gpu.uuid}" for gpu in snapshot.gpus if gpu.index in (target.gpus or ()))}
    return [each for each in snapshot.onsets if each.target in mine]


def _moments(found: Iterable[Onset]) -> list[tuple[str, list[list[Onset]]]]:
    """Group what changed at one moment; of several GPUs with the same change the first tells when."""
    kinds: dict[tuple[str, str, bool], list[Onset]] = {}
    for each in found:
        source = "gpu" if each.target.startswith("gpu:") else each.target
        kinds.setdefault((each.quantity, source, each.after > each.before), []).append(each)
    ordered = sorted(kinds.values(), key=lambda same: same[0].wall)
    return [(when, list(together)) for when, together in groupby(ordered, key=lambda same: _when(same[0]))]


def _when(one: Onset) -> str:
    return f"{'by ' if one.within_seconds >= _SMEARED else ''}{words.clock(one.wall)}"


def _direction(same: list[Onset]) -> str:
    return " ↑" if same[0].after > same[0].before else " ↓"


def _name(same: list[Onset], snapshot: Snapshot) -> str:
    """Name a quantity; of GPUs with their numbers."""
    name = _NAMES.get(same[0].quantity) or words.quantity(same[0].quantity)
    numbers = {f"gpu:{gpu.uuid}": gpu.index for gpu in snapshot.gpus}
    if not same[0].target.startswith("gpu:"):
        return name
    indices = sorted(index for each in same if (index := numbers.get(each.target)) is not None)
    return f"GPU{'s' if len(same) > 1 else ''} {ranges(indices)} {name}".replace("  ", " ")
