"""How it came to this: graphs of one server on one clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from metrics import units
from metrics.sample import State
from metrics.snapshot import Measure
from tui import words
from tui.plot import ON_AXIS, Grid, Series, Threshold, plot
from tui.rows import cells, fit_row, spread
from tui.view import alarms, chosen_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.histogram import Quantile
    from metrics.snapshot import Snapshot, Target, Track
    from tui.palette import StyleName
    from tui.rows import Row, Span
    from tui.view import View

_QUANTILES: tuple[tuple[str, StyleName, str], ...] = (
    ("p50", "series3", "."),
    ("p99", "series2", "'"),
    ("p95", "series1", "*"),
)
"""Drawn in this order: where lines meet, the p95 is on top, because objectives are stated for it."""


def ttft(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Draw the time to first token: median, p95, p99, and the objective."""
    return _latency("ttft", "TTFT", snapshot, view, width, height)


def itl(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Draw the time between two tokens."""
    return _latency("itl", "ITL", snapshot, view, width, height)


class Head(NamedTuple):
    """A value beside the title of a graph, in a slot of fixed width so that nothing jitters."""

    label: str
    value: str
    style: StyleName
    slot: int
    rank: int
    """The higher, the sooner it is left out where there is no room."""
    unit: str = ""


def throughput(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Draw the tokens generated per second."""
    target = chosen_target(snapshot, view)
    heads: list[Head] = []
    if target is not None:
        heads = [
            Head("", _number(target, "output_tokens_total"), "series1", 5, 0),
            Head("prompt", _number(target, "prompt_tokens_total"), "plain", 5, 2, " tok/s"),
            Head("", _number(target, "requests_finished"), "plain", 4, 1, " req/s"),
        ]
    return _graph("output tok/s", heads, ("output_tokens_rate",), snapshot, view, width, height)


def requests(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Draw how many requests run and wait."""
    target = chosen_target(snapshot, view)
    heads: list[Head] = []
    if target is not None:
        running, waiting = (
            units.count(words.latest(target.quantities, f"requests_{each}")) for each in ("running", "waiting")
        )
        heads = [Head("running", running, "series1", 4, 1), Head("waiting", waiting, "series2", 4, 0)]
    return _graph("requests", heads, ("requests_running", "requests_waiting"), snapshot, view, width, height)


def _number(target: Target, name: str) -> str:
    measure = target.quantities.get(name)
    return units.UNKNOWN if measure is None else units.digits(measure.rate)


def _latency(name: str, title: str, snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    target = chosen_target(snapshot, view)
    quantity = f"{name}_seconds"
    objective = next((each for each in snapshot.objectives if each.quantity == quantity), None)
    tracks = [(f"{name}_{q}", style, mark) for q, style, mark in _QUANTILES]
    present = [(target.tracks[key], style, mark) for key, style, mark in tracks if target and key in target.tracks]
    highest = max((v for track, _, _ in present for v in track.values if v is not None), default=0.0)
    limit = objective.limit if objective is not None else 0.0
    if limit <= ON_AXIS * highest or not highest:
        highest = max(highest, limit)
    scale, unit = (1e-3, "ms") if 0 < highest < 1.0 else (1.0, "s")
    threshold = None
    if objective is not None:
        said = f"{units.digits(limit / scale)} {unit}" if limit <= highest else units.value(limit, "s")
        threshold = Threshold(limit, f"objective {said}")
    heads: list[Head] = []
    if target is not None:
        measure = target.quantities.get(quantity) or Measure("s")
        alarm = alarms(snapshot, target.id).get(quantity, "series1")
        heads = [
            Head("p50", _quantile(measure.p50, scale, estimate=True), "series3", 5, 1),
            Head("p95", _quantile(measure.p95, scale), alarm, 7, 0),
            Head("p99", _quantile(measure.p99, scale), "series2", 7, 2),
        ]
    series = [Series(track.values, style, mark) for track, style, mark in present]
    grid = _grid([track for track, _, _ in present], scale, target, snapshot)
    body = plot(series, grid, width, height - 1, view.charset, threshold)
    return [_heading(f"{title} {unit}", heads, width, target), *_dimmed(body, target)][:height]


def _quantile(quantile: Quantile | None, scale: float, *, estimate: bool = False) -> str:
    """Write a quantile in the unit of the title: its bounds `20-40`, `>160`, `<5`, or `~18.2`."""
    if quantile is None:
        return units.UNKNOWN
    if quantile.hi is None:
        return f">{units.digits(quantile.lo / scale)}"
    if estimate and quantile.estimate is not None:
        return f"~{units.digits(quantile.estimate / scale)}"
    low, high = units.digits(quantile.lo / scale), units.digits(quantile.hi / scale)
    return f"<{high}" if quantile.lo == 0 else f"{low}-{high}"


def _graph(
    title: str,
    heads: Sequence[Head],
    names: Sequence[str],
    snapshot: Snapshot,
    view: View,
    width: int,
    height: int,
) -> list[Row]:
    target = chosen_target(snapshot, view)
    tracks = [(target.tracks[name], name) for name in names if target and name in target.tracks]
    styles: dict[str, tuple[StyleName, str]] = {"requests_waiting": ("series2", "+")}
    series = [Series(track.values, *styles.get(name, ("series1", "*"))) for track, name in tracks]
    grid = _grid([track for track, _ in tracks], 1.0, target, snapshot)
    body = plot(series, grid, width, height - 1, view.charset)
    return [_heading(title, heads, width, target), *_dimmed(body, target)][:height]


def _grid(tracks: Sequence[Track], scale: float, target: Target | None, snapshot: Snapshot) -> Grid:
    empty = "no server" if target is None else "no data yet" if target.age_seconds is None else "nothing observed"
    if not tracks:
        return Grid(snapshot.generated_wall, 1.0, scale, empty=empty)
    return Grid(tracks[0].end, tracks[0].step, scale, empty=empty)


def _heading(title: str, heads: Sequence[Head], width: int, target: Target | None) -> Row:
    """Write the title and, in fixed slots, as many head values as there is room for."""
    left: Row = ((f" {title}", "bold"),)
    room = width - cells(title) - 3
    kept: list[Head] = []
    for head in sorted(heads, key=lambda head: head.rank):
        size = cells(_label(head)) + max(head.slot, cells(head.value)) + cells(head.unit)
        if size <= room:
            room -= size
            kept.append(head)
    right: list[Span] = []
    for head in (head for head in heads if head in kept):
        stale = target is not None and target.state is not State.OK
        shown: StyleName = "dim" if stale or head.value == units.UNKNOWN else head.style
        right += [(_label(head), "dim"), (f"{head.value:>{head.slot}}", shown), (head.unit, "dim")]
    if not right:
        return fit_row(left, width)
    return spread(left, (*right, (" ", "plain")), width)


def _label(head: Head) -> str:
    return f"  {head.label} " if head.label else "  "


def _dimmed(rows: list[Row], target: Target | None) -> list[Row]:
    """Show numbers that are old as such."""
    if target is None or target.state is State.OK:
        return rows
    return [tuple((text, "dim") for text, _ in row) for row in rows]
