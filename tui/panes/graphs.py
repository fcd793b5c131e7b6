"""How it came to this: graphs of one server on one clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from metrics import units
from metrics.observed import Measure
from metrics.sample import State
from tui import words
from tui.overlay import Threshold
from tui.panes.moments import moments
from tui.plot import Grid, Series, plot
from tui.rows import cells, fit_row, spread
from tui.view import alarms, chosen_target, idle_seconds, lost, serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.observed import Target, Track
    from metrics.snapshot import Snapshot
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
    """What stands before the value."""
    value: str
    style: StyleName
    slot: int
    rank: int
    """The higher, the sooner it is left out where there is no room."""
    unit: str = ""
    """What stands behind it: a unit, or which value it is."""


NOW = 30.0
"""Seconds that a step may have for its value to be called that of now."""


def throughput(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Draw the tokens generated per second."""
    target = chosen_target(snapshot, view)
    heads: list[Head] = []
    if target is not None:
        track = target.tracks.get("output_tokens_rate")
        when = "now" if track is None or track.step <= NOW else f"last {units.duration(track.step)}"
        heads = [
            Head("", units.digits(words.output_now(target)), "series1", 5, 0, f" {when}"),
            Head("", _rate(target, "output_tokens_total"), "plain", 5, 1, " avg"),
            Head("prompt", _rate(target, "prompt_tokens_total"), "plain", 5, 3, " avg"),
            Head("", _rate(target, "requests_finished"), "plain", 4, 2, " req/s"),
        ]
    return _graph("output tok/s", heads, ("output_tokens_rate",), snapshot, view, width, height)


def requests(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Draw how many requests run and wait."""
    target = chosen_target(snapshot, view)
    heads: list[Head] = []
    if target is not None:
        running, waiting = (
            units.count(None if lost(target.state) else words.latest(target.quantities, f"requests_{each}"))
            for each in ("running", "waiting")
        )
        heads = [Head("running", running, "series1", 4, 1), Head("waiting", waiting, "series2", 4, 0)]
    return _graph("requests", heads, ("requests_running", "requests_waiting"), snapshot, view, width, height)


def _rate(target: Target, name: str) -> str:
    """Write the mean rate of a counter over the window."""
    measure = target.quantities.get(name)
    return units.UNKNOWN if measure is None else units.digits(measure.rate)


def _latency(name: str, title: str, snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    target = chosen_target(snapshot, view)
    quantity = f"{name}_seconds"
    objective = next((each for each in snapshot.objectives if each.quantity == quantity), None)
    tracks = target.tracks if target is not None else {}
    limit = objective.limit if objective is not None else 0.0
    known = (v for q, _, _ in _QUANTILES if (found := tracks.get(f"{name}_{q}")) for v in found.values if v is not None)
    # the objective holds the unit in its place: latencies come and go around one second, where the unit would flip
    scale, unit = (1.0, "s") if max(known, default=0.0) >= 1.0 or limit >= 1.0 else (1e-3, "ms")
    heads: list[Head] = []
    if target is not None:
        measure = target.quantities.get(quantity) or Measure("s")
        alarm = alarms(snapshot, target.id).get(quantity, "series1")
        heads = [
            Head("p50", words.within(measure.p50, scale, estimate=True), "series3", 6, 1),
            Head("p95", words.within(measure.p95, scale), alarm, 9, 0),
            Head("p99", words.within(measure.p99, scale), "series2", 8, 2),
        ]
    old = idle_seconds(snapshot, target)
    title, age = f"{title} {unit}", "" if old is None else f", {units.duration(old)} old"
    heads = _kept(title + age, heads, width)
    named = {head.label for head in heads}
    drawn = [
        (tracks[f"{name}_{q}"], style, mark) for q, style, mark in _QUANTILES if q in named and f"{name}_{q}" in tracks
    ]
    threshold = None
    if objective is not None:
        threshold = Threshold(limit, f"objective {units.digits(limit / scale)} {unit}")
    series = [Series(track.values, style, mark) for track, style, mark in drawn]
    grid = _grid([track for track, _, _ in drawn], scale, target, snapshot)
    body = plot(
        series,
        grid,
        width,
        height - 1,
        view.charset,
        threshold,
        moments(snapshot, target.id if target is not None else None),
    )
    current = serving(snapshot, target)
    return [_heading(title, heads, width, current=current, age=age), *_dimmed(body, target)][:height]


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
    body = plot(
        series,
        grid,
        width,
        height - 1,
        view.charset,
        None,
        moments(snapshot, target.id if target is not None else None),
    )
    current = target is not None and target.state is State.OK
    return [_heading(title, _kept(title, heads, width), width, current=current), *_dimmed(body, target)][:height]


def _grid(tracks: Sequence[Track], scale: float, target: Target | None, snapshot: Snapshot) -> Grid:
    empty = "no server" if target is None else "no data yet" if target.age_seconds is None else "nothing observed"
    if not tracks:
        return Grid(snapshot.generated_wall, 1.0, scale, empty=empty)
    return Grid(tracks[0].end, tracks[0].step, scale, empty=empty)


def _kept(title: str, heads: Sequence[Head], width: int) -> list[Head]:
    """Choose as many head values as there is room for beside the title, in their order."""
    room = width - cells(title) - 3
    kept: list[Head] = []
    for head in sorted(heads, key=lambda head: head.rank):
        size = cells(_label(head)) + max(head.slot, cells(head.value)) + cells(head.unit)
        if size <= room:
            room -= size
            kept.append(head)
    return [head for head in heads if head in kept]


def _heading(title: str, heads: Sequence[Head], width: int, *, current: bool, age: str = "") -> Row:
    """Write the title and the head values in fixed slots; dim where they say nothing about now."""
    left: Row = ((f" {title}", "bold"), (age, "dim"))
    right: list[Span] = []
    for head in heads:
        shown: StyleName = "dim" if not current or head.value == units.UNKNOWN else head.style
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
