"""Where it hurts in the server: batch, queue, KV cache, and where the time to first token goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics import units
from metrics.sample import State
from tui import words
from tui.plot import Grid, sparkline
from tui.rows import bar, cells, fit, fit_row, wrap
from tui.view import alarms, chosen_target, lost, serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.observed import Measure, Target
    from metrics.snapshot import Snapshot
    from tui.palette import StyleName
    from tui.rows import Row, Span
    from tui.view import View

_LABEL, _VALUE = 10, 11
_CELL = 18
"""Least width of a cell of the grid: `ITL p95 250-500 ms`."""


def load(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show running, waiting and the KV cache, each with its bar or its history."""
    target = chosen_target(snapshot, view)
    if target is None:
        return _nothing("no server: name one, `chimera-top http://host:port`, or start one on this host", width, height)
    if not target.quantities:
        return _nothing(waiting_for(target), width, height)
    alarm = alarms(snapshot, target.id)
    get = target.quantities.get
    running, limit = (
        words.latest(target.quantities, "requests_running"),
        words.latest(target.quantities, "max_running_requests"),
    )
    usage = words.latest(target.quantities, "kv_cache_usage")
    capacity = words.latest(target.quantities, "kv_cache_capacity_tokens")
    of = f" of {units.count(limit)}" if limit else ""
    room = max(0, width - 1 - _LABEL - _VALUE - 1)
    full = (
        bar(running / limit, room)
        if running is not None and limit
        else _history(target, "requests_running", room, view)
    )
    if lost(target.state):
        usage, full = None, ""
    rows = [
        _line("running", f"{units.count(running)}{of}", alarm.get("requests_running", "plain"), full, width, target),
        _line(
            "waiting",
            units.count(words.latest(target.quantities, "requests_waiting")),
            alarm.get("requests_waiting", "plain"),
            _history(target, "requests_waiting", room, view),
            width,
            target,
        ),
        _line(
            "KV cache",
            units.value(usage, "ratio"),
            alarm.get("kv_cache_usage", "plain"),
            bar(usage, room),
            width,
            target,
        ),
    ]
    look: StyleName = "plain" if serving(snapshot, target) else "dim"
    if height > 3 and (probe := get("probe_ttft_seconds")) is not None:
        own = words.bounds(get("ttft_seconds"), "p50")  # of all requests, by the server's clock: not the same quantity
        rows.append(_pair("probe TTFT", words.bounds(probe, "p50"), "server TTFT", own, width, look))
    if height > 3:
        peak = get("requests_waiting")
        tokens = f"{units.count(capacity)} tok" if capacity else units.UNKNOWN
        rows.append(_pair("peak waiting", units.count(peak.max if peak else None), "KV capacity", tokens, width, look))
    if height > 4:
        rows.append(
            _pair(
                "mean output",
                _tokens(get("output_tokens_total")),
                "mean prompt",
                _tokens(get("prompt_tokens_total")),
                width,
                look,
            )
        )
    return rows[:height]


def waiting_for(target: Target) -> str:
    """Say why there is no number of a server yet."""
    if target.state is State.STARTING or not target.reason:
        return target.reason or f"connecting to {target.url}"
    return f"{target.url}: {target.reason}"


def _tokens(measure: Measure | None) -> str:
    return words.rate(measure, "tok")


def _pair(name: str, value: str, other: str, second: str, width: int, style: StyleName) -> Row:
    return grid_of([(name, value, style), (other, second, style)], width, 1)[0]


def _history(target: Target, name: str, room: int, view: View) -> str:
    track = target.tracks.get(name)
    if track is None:
        return ""
    return sparkline(track.values, Grid(track.end, track.step), room, view.charset)


def _line(label: str, value: str, style: StyleName, drawn: str, width: int, target: Target) -> Row:
    stale = target.state is not State.OK
    if lost(target.state):  # the history stays, dim; the newest value is none of now
        value = units.UNKNOWN
    if cells(value) > _VALUE:
        value = value.partition(" of ")[0]
    look: StyleName = "dim" if stale or value == units.UNKNOWN else style
    colour: StyleName = "dim" if stale or style == "plain" else style
    return fit_row(
        ((f" {label:<{_LABEL - 1}} ", "dim"), (fit(value, _VALUE), look), (drawn, colour)),
        width,
    )


def _nothing(text: str, width: int, height: int) -> list[Row]:
    rows = [fit_row(((f" {line}", "plain"),), width) for line in wrap(text, max(1, width - 2), max(1, height - 2))]
    return [(), *rows] if height > len(rows) else rows


def grid_of(items: Sequence[tuple[str, str, StyleName]], width: int, height: int) -> list[Row]:
    """Lay out (label, value, style) cells in columns, row by row; values end at the same column."""
    columns = max(1, min(len(items), (width + 2) // (_CELL + 3)))
    size = max(1, min(_CELL + 6, (width - 1 - 3 * (columns - 1)) // columns))
    rows: list[Row] = []
    for at in range(0, min(len(items), columns * height), columns):
        spans: list[Span] = []
        for index, (title, whole, style) in enumerate(items[at : at + columns]):
            # by the width of the cell and not of its value, so that nothing jitters; the help says what is a mean
            name = title if size > _CELL + 2 else title.removesuffix(" avg")
            # the blank before its unit is the first to go
            value = whole if cells(name) + 1 + cells(whole) <= size else whole.replace(" ", "")
            room = max(0, size - cells(value))
            label = fit(fit(name, room - 1), room)  # a blank between the two, however long they are
            shown: StyleName = "dim" if value == units.UNKNOWN else style
            spans += [("   " if index else " ", "plain"), (label, "dim"), (fit(value, size - room), shown)]
        rows.append(fit_row(spans, width))
    return rows


def phases(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show where the time goes, and what goes wrong, in a grid of numbers."""
    target = chosen_target(snapshot, view)
    if target is None or not target.quantities:
        return []
    get = target.quantities.get
    alarm = alarms(snapshot, target.id)
    current = serving(snapshot, target)

    def style(name: str) -> StyleName:
        return alarm.get(name, "plain") if current else "dim"

    items: list[tuple[str, str, StyleName]] = [
        ("queue avg", words.mean(get("queue_seconds")), style("queue_seconds")),
        ("ITL p95", words.bounds(get("itl_seconds"), "p95"), style("itl_seconds")),
        ("prefill avg", words.mean(get("prefill_seconds")), style("prefill_seconds")),
        (
            "prefix hit",
            _told(get("prompt_tokens_cached"), get("prompt_tokens_total"), get("prefix_cache_hit_rate")),
            style("prompt_tokens_cached"),
        ),
        ("preempted", words.rate(get("preemptions")), style("preemptions")),
        ("failed", _failed(get("requests_failed"), get("requests_finished")), style("requests_failed")),
        ("E2E p95", words.bounds(get("e2e_seconds"), "p95"), style("e2e_seconds")),
        ("rejected", words.rate(get("requests_rejected")), style("requests_rejected")),
        ("prompt avg", _length(get("prompt_tokens")), style("prompt_tokens")),
        ("output avg", _length(get("output_tokens")), style("output_tokens")),
        ("TPOT p95", words.bounds(get("tpot_seconds"), "p95"), style("tpot_seconds")),
        (
            "accepted",
            _told(get("spec_accepted_tokens"), get("spec_draft_tokens"), get("spec_acceptance_rate")),
            style("spec_accepted_tokens"),
        ),
        ("decode avg", words.mean(get("decode_seconds")), style("decode_seconds")),
        ("per step", _length(get("tokens_per_step")), style("tokens_per_step")),
    ]
    return grid_of(_of_now(items, target), width, height)


def _of_now(items: list[tuple[str, str, StyleName]], target: Target) -> list[tuple[str, str, StyleName]]:
    """Keep of a server that is known not to answer the names alone: its numbers are not those of now."""
    return [(label, units.UNKNOWN, "dim") for label, _, _ in items] if lost(target.state) else items


def _told(part: Measure | None, whole: Measure | None, server: Measure | None) -> str:
    """Write a share of the window; of a server that does not count it, the share that it tells itself."""
    if part is None and server is not None:
        return units.value(server.value, "ratio")
    return words.share(part, whole)


def _failed(failed: Measure | None, finished: Measure | None) -> str:
    if failed is None or failed.increase is None:
        return units.UNKNOWN
    total = failed.increase + (finished.increase or 0.0 if finished is not None else 0.0)
    return f"{units.count(round(failed.increase))} of {units.count(round(total))}"


def _length(measure: Measure | None) -> str:
    return units.UNKNOWN if measure is None or measure.mean is None else f"{units.digits(measure.mean)} tok"


def numbers(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show the four numbers that matter most, where there is no room for more."""
    target = chosen_target(snapshot, view)
    if target is None or not target.quantities:
        text = waiting_for(target) if target is not None else "no server"
        return _nothing(text, width, height)
    get = target.quantities.get
    alarm = alarms(snapshot, target.id)
    running = units.count(words.latest(target.quantities, "requests_running"))
    waiting = units.count(words.latest(target.quantities, "requests_waiting"))
    items: list[tuple[str, str, StyleName]] = [
        ("TTFT p95", words.bounds(get("ttft_seconds"), "p95"), alarm.get("ttft_seconds", "plain")),
        ("output", units.value(words.output_now(target), "tok/s"), "plain"),
        ("ITL p95", words.bounds(get("itl_seconds"), "p95"), alarm.get("itl_seconds", "plain")),
        ("run/wait", f"{running}/{waiting}", alarm.get("requests_waiting", "plain")),
    ]
    if not serving(snapshot, target):
        items = [(label, value, "dim") for label, value, _ in items]
    return grid_of(_of_now(items, target), width, height)
