"""Where it hurts below the server: a line for each GPU, that of the worst finding first when not all fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from metrics import units
from metrics.sample import State
from tui import words
from tui.panes import findings
from tui.plot import Grid, sparkline
from tui.rows import cells, crop_words, fit, fit_row, wrap
from tui.view import alarms, chosen_gpu, lost, ordered_gpus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metrics.observed import Gpu
    from metrics.snapshot import Snapshot
    from tui.palette import StyleName
    from tui.rows import Row, Span
    from tui.view import View


class Column(NamedTuple):
    """One number of a GPU."""

    title: str
    width: int
    rank: int
    """Columns of a low rank stay when there is little room."""
    quantity: str
    write: Callable[[Gpu], str]


def _memory(gpu: Gpu) -> str:
    return words.part(gpu.memory_used_bytes, gpu.memory_total_bytes, "bytes")


def _power(gpu: Gpu) -> str:
    return words.part(gpu.power_watts, gpu.power_limit_watts, "W")


_COLUMNS = (
    Column("util", 6, 0, "utilisation", lambda gpu: units.value(gpu.utilisation, "ratio")),
    Column("memory", 13, 3, "memory_used_bytes", _memory),
    Column("power", 10, 4, "power_watts", _power),
    Column("clock", 8, 2, "sm_clock_hertz", lambda gpu: units.value(gpu.sm_clock_hertz, "Hz")),
    Column("temp", 6, 1, "temperature_celsius", lambda gpu: units.value(gpu.temperature_celsius, "celsius")),
)
_HISTORY = ("utilisation", "power_watts", "sm_clock_hertz", "temperature_celsius")
_INDEX = 5
_NOTE = 24
"""Cells for what is wrong with a GPU: `THERMAL since 14:01:50`."""


def unseen_reason(snapshot: Snapshot) -> str:
    """Say in words why there is no GPU to show; empty where GPUs were not asked for."""
    driver = snapshot.driver
    if snapshot.gpus or driver is None:
        return ""
    if driver.reason:
        return driver.reason
    return "the driver reports no GPU" if driver.state is State.OK else f"the driver is {driver.state.value}"


def gpu_lines(snapshot: Snapshot, width: int) -> int:
    """Count the lines below the heading that the pane wants."""
    if snapshot.gpus:
        return len(snapshot.gpus)
    reason = unseen_reason(snapshot)
    return min(2, len(wrap(f"not visible: {reason}", max(1, width - 6)))) - 1 if reason else 0


def gpus(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show the GPUs, a line each; those that do not fit are summed up in the last line."""
    if not snapshot.gpus:
        lines = wrap(f"not visible: {unseen_reason(snapshot)}", max(1, width - 6), height)
        heads = [" GPU  ", *("      " for _ in lines[1:])]
        return [fit_row(((head, "bold"), (line, "plain")), width) for head, line in zip(heads, lines, strict=True)]
    columns = _columns(width)
    spark = _spark_width(width, columns)
    rows = [_heading(snapshot, columns, spark, width)]
    room = height - 1
    shown = list(snapshot.gpus) if len(snapshot.gpus) <= room else ordered_gpus(snapshot)[: max(0, room - 1)]
    chosen = chosen_gpu(snapshot, view) if view.focus == "gpus" else None
    rows += [_line(snapshot, view, gpu, columns, spark, width, chosen=gpu is chosen) for gpu in shown]
    hidden = [gpu for gpu in snapshot.gpus if gpu not in shown]
    if hidden and room > 0:
        rows.append(fit_row(((f" + {len(hidden)} more  ", "plain"), (_sum_up(snapshot, hidden), "dim")), width))
    return rows[:height]


def _columns(width: int) -> list[Column]:
    left = width - _INDEX - _NOTE
    kept: list[Column] = []
    for column in sorted(_COLUMNS, key=lambda column: column.rank):
        if column.width + 1 <= left:
            left -= column.width + 1
            kept.append(column)
    return [column for column in _COLUMNS if column in kept]


def _spark_width(width: int, columns: Sequence[Column]) -> int:
    """Cells for each of the histories; 0 where there is no room for them."""
    left = width - _INDEX - sum(column.width + 1 for column in columns) - _NOTE - 6
    each = left // len(_HISTORY) - 2
    return min(24, each) if each >= 8 else 0


def _heading(snapshot: Snapshot, columns: Sequence[Column], spark: int, width: int) -> Row:
    spans: list[Span] = [(f"{' GPU':<{_INDEX}}", "bold")]
    spans += [(f"{column.title:>{column.width}} ", "dim") for column in columns]
    if spark:
        spans += [(f"  {title:<{spark}}", "dim") for title in ("util", "power", "clock", "temp")]
    names = sorted({words.gpu(gpu.name) for gpu in snapshot.gpus if gpu.name})
    left = width - sum(cells(text) for text, _ in spans)
    if names and left > 20:
        spans.append(("  " + fit(" + ".join(names), left - 3), "dim"))
    return fit_row(spans, width)


def _line(
    snapshot: Snapshot, view: View, gpu: Gpu, columns: Sequence[Column], spark: int, width: int, *, chosen: bool
) -> Row:
    alarm = alarms(snapshot, f"gpu:{gpu.uuid}")
    stale = gpu.state is not State.OK
    name = units.UNKNOWN if gpu.index is None else str(gpu.index)
    spans: list[Span] = [("▸" if chosen else " ", "bold"), (f"{name:<{_INDEX - 1}}", "bold" if chosen else "plain")]
    for column in columns:
        text = units.UNKNOWN if lost(gpu.state) else column.write(gpu)
        style: StyleName = alarm.get(column.quantity, "plain")
        if stale or text == units.UNKNOWN:
            style = "dim"
        spans += [(fit(text, column.width, ">"), style), (" ", "plain")]
    if spark:
        for quantity in _HISTORY:
            track = gpu.tracks.get(quantity)
            grid = Grid(track.end, track.step, high=_top(gpu, quantity)) if track else None
            drawn = sparkline(track.values, grid, spark, view.charset, area=False) if track and grid else ""
            spans += [("  ", "plain"), (fit(drawn, spark), "dim" if stale else alarm.get(quantity, "series1"))]
    room = max(0, width - sum(cells(text) for text, _ in spans) - 2)
    note, look = findings.note(snapshot, gpu, room)
    users = " · ".join(filter(None, (note, _servers(snapshot, gpu))))
    note = users if gpu.state is State.OK and gpu.throttled_seconds is None and cells(users) <= room else note
    spans.append((f"  {crop_words(note, room)}", look))
    return fit_row(spans, width)


def _top(gpu: Gpu, quantity: str) -> float | None:
    return {
        "utilisation": 1.0,
        "power_watts": gpu.power_limit_watts,
        "sm_clock_hertz": gpu.sm_clock_max_hertz,
        "temperature_celsius": 100.0,
    }.get(quantity)


def _servers(snapshot: Snapshot, gpu: Gpu) -> str:
    """Name the servers that run on a GPU by their numbers, where there are several to tell apart."""
    if len(snapshot.targets) < 2:
        return ""
    here = [number for number, each in enumerate(snapshot.targets, 1) if gpu.index in (each.gpus or ())]
    return f"server{'s' if len(here) > 1 else ''} {ranges(here)}" if here else ""


def ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers, those that follow each other as one range: `0-3, 6`."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(str(group[0]) if len(group) == 1 else f"{group[0]}-{group[-1]}" for group in groups)


def _sum_up(snapshot: Snapshot, hidden: Sequence[Gpu]) -> str:
    parts = [findings.of_several(snapshot, hidden)]
    for column in _COLUMNS:
        if column.title in {"util", "clock", "temp"}:
            values = sorted(
                (value, column.write(gpu))
                for gpu in hidden
                if not lost(gpu.state) and (value := getattr(gpu, column.quantity)) is not None
            )
            if values:
                low, high = values[0][1], values[-1][1]
                parts.append(high if low == high else f"{low.split(' ')[0]}-{high}")
    return " · ".join(parts)
