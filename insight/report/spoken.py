"""A chart in words, for who cannot see it: what each line did, with the shape of it in block characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics import units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.report.document import Chart, Line

CELLS = 24
"""Of a sparkline: with name and numbers it fits on a line of 80."""
MOST_LINES = 4
"""More than these, GPUs as a rule, are told together: what the lowest and the highest of them do."""
NO_ZERO = frozenset({"celsius"})
"""Units whose 0 means nothing: what is drawn in them begins at its own lowest value."""
_BLOCKS = "▁▂▃▄▅▆▇█"
_GAP = "·"
_BLIND = "nothing seen now"


def spoken(chart: Chart) -> list[str]:
    """Say on one line each what the lines of a chart did: `p95: 300 ms to 8.1 s, now 7.9 s`."""
    lines = [line for line in chart.lines if known(line)]
    if not lines:
        return ["nothing was seen"]
    if len(lines) > MOST_LINES:
        return [_together(lines, chart.unit)]
    return [f"{f'{line.name}: ' if line.name else ''}{_alone(line, chart.unit)}" for line in lines]


def sketched(chart: Chart) -> list[str]:
    """Say the same, with the shape of each line before its numbers where few enough are told one by one."""
    lines = [line for line in chart.lines if known(line)]
    if not lines or len(lines) > MOST_LINES:
        return [f"{chart.title}: {said}" for said in spoken(chart)]
    top = max(max(known(line)) for line in lines)
    return [
        f"{chart.title}{f' {line.name}' if line.name else ''}: "
        f"{sparkline(line.track.values, base(lines, chart.unit), top)} {_alone(line, chart.unit)}"
        for line in lines
    ]


def known(line: Line) -> list[float]:
    """List the values of a line that are no gaps."""
    return [value for value in line.track.values if value is not None]


def base(lines: Sequence[Line], unit: str) -> float:
    """Choose where the axis of these lines begins."""
    return min(min(known(line)) for line in lines) if unit in NO_ZERO else 0.0


def sparkline(values: Sequence[float | None], low: float, high: float, cells: int = CELLS) -> str:
    """Draw values as block characters, the highest of those that share a cell; `·` where there is none."""
    cells = min(cells, len(values))
    drawn = ""
    for index in range(cells):
        shared = values[index * len(values) // cells : (index + 1) * len(values) // cells]
        seen = [value for value in shared if value is not None]
        if not seen:
            drawn += _GAP
            continue
        share = (max(seen) - low) / (high - low) if high > low else 0.0
        drawn += _BLOCKS[min(len(_BLOCKS) - 1, max(0, int(share * len(_BLOCKS))))]
    return drawn


def _alone(line: Line, unit: str) -> str:
    seen = known(line)
    last = line.track.values[-1]
    low, high = units.value(min(seen), unit), units.value(max(seen), unit)
    if low == high:
        return f"{low} all the time" if last is not None else f"{low}, {_BLIND}"
    return f"{low} to {high}, {_BLIND if last is None else f'now {units.value(last, unit)}'}"


def _together(lines: Sequence[Line], unit: str) -> str:
    """Say between what all were, and which is lowest and which highest now."""
    seen = [value for line in lines for value in known(line)]
    low, high = units.value(min(seen), unit), units.value(max(seen), unit)
    span = f"{lines[0].name} to {lines[-1].name}: {low}" + ("" if low == high else f" to {high}")
    now = newest(lines, unit)
    return f"{span} all the time" if low == high and now == low else f"{span}, {f'now {now}' if now else _BLIND}"


def newest(lines: Sequence[Line], unit: str) -> str:
    """Say which of many lines is lowest now and which highest; nothing where none has a value now."""
    now = [(line.track.values[-1] or 0.0, line.name) for line in lines if line.track.values[-1] is not None]
    if not now:
        return ""
    (least, lowest), (most, highest) = min(now), max(now)
    if units.value(least, unit) == units.value(most, unit):
        return units.value(most, unit)
    return f"{units.value(least, unit)} ({lowest}) to {units.value(most, unit)} ({highest})"
