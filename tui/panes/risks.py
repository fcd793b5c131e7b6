"""Which risks, what to do, and what could not be seen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metrics import units
from metrics.finding import RiskState
from metrics.quantity import QUANTITIES
from tui import words
from tui.panes import watched
from tui.panes.gpus import ranges
from tui.panes.page import LABEL, labelled
from tui.rows import cells, crop, crop_words, fit, fit_row, spread, wrap
from tui.view import (
    advice_for,
    chosen_risk,
    chosen_target,
    folded,
    on_quiet,
    open_risks,
    severity_style,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.finding import Evidence, Risk
    from metrics.snapshot import NotVisible, Snapshot
    from tui.palette import StyleName
    from tui.rows import Row
    from tui.view import View

_STATE = 10
_SEPARATOR = " · "
_TABLE = 132
"""Widest table: beyond, the eye loses the line."""


def risks(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """List the risks, worst first, and in a last line those that do not hold; the chosen line has a mark."""
    shown = folded(snapshot)
    firsts = [row[0] for row in shown]
    quiet = watched.counted(snapshot, more=False)
    full, width = width, min(width, _TABLE)
    room = max(0, height - 1)
    below = on_quiet(snapshot, view)
    counted = bool(shown) and room < 2  # with a single row what fires keeps it: the heading counts the others
    items: list[tuple[Risk, ...] | None] = [*shown, None] if quiet and not counted else list(shown)
    chosen = chosen_risk(snapshot, view)
    at = len(shown) if below and not counted else next((i for i, risk in enumerate(firsts) if risk is chosen), 0)
    first = max(0, min(at - room // 2, len(items) - room)) if room > 0 else 0
    visible = items[first : first + room]
    here = "▸" if view.focus == "risks" else " "
    rows = [_heading(snapshot, firsts, width, told=None in visible, mark=here if below and counted else " ")]
    title = _title_width(firsts, width)
    likelihood, impact = _last_columns(width, firsts)
    for row in visible:
        if row is None:
            rows.append(watched.in_a_line(snapshot, here if below else " ", width))
        else:
            mark = here if row[0] is chosen and not below else " "
            rows.append(_line(snapshot, view, row, mark, title, likelihood, impact, width))
    if not items:
        rows.append(fit_row((("  nothing to judge yet", "dim"),), width))
    return [fit_row(row, full) for row in rows[:height]]


def _heading(snapshot: Snapshot, shown: Sequence[Risk], width: int, *, told: bool, mark: str) -> Row:
    """Count the risks that hold, name the columns; count the others where their line does not."""
    likelihood, impact = _last_columns(width, shown)
    quiet = "" if told else watched.counted(snapshot, more=False)
    tally = ", ".join(filter(None, (_tally(snapshot), quiet))) or "none found"
    head: Row = ((f"{mark}RISKS ", "bold"), (tally, "dim"))
    right = f"{'likelihood':<{likelihood}} " if likelihood and shown else ""
    right += f"{'impact':<{impact}} " if impact and shown else ""
    return spread(head, ((right, "dim"),), width) if right else fit_row(head, width)


def _tally(snapshot: Snapshot) -> str:
    shown = open_risks(snapshot)
    states = (RiskState.FIRING, RiskState.PENDING, RiskState.RESOLVING)
    count = {state: sum(1 for risk in shown if risk.state is state) for state in states}
    return ", ".join(f"{number} {state.value}" for state, number in count.items() if number)


def _last_columns(width: int, shown: Sequence[Risk]) -> tuple[int, int]:
    if width < 70:
        return 0, 0
    if width < 100 and all(_in_short(risk.likelihood).startswith("certain") for risk in shown):
        return 0, 6  # what fires says so by its severity: the room is better used by what it says
    most = 32 if width >= 160 else 20 if width >= 110 else 10
    return max(10, min(most, max((cells(risk.likelihood) for risk in shown), default=0))), 6


def _title_width(shown: Sequence[Risk], width: int) -> int:
    longest = max((cells(risk.title) for risk in shown), default=0)
    return max(8, min(longest, width // 3, 34))


def _titled(risk: Risk, room: int) -> str:
    """Write the title of a risk; a shorter one where it does not fit."""
    short = words.TITLES.get(risk.id, "")
    return short if short and cells(risk.title) > room >= cells(short) else risk.title


_OF_GPU = re.compile(r"^GPU \S+?[:,]? ")


def _of_several(snapshot: Snapshot, row: Sequence[Risk]) -> str:
    """Say one finding about several GPUs: `GPUs 0-7: 80 °C`; of the first as an example where they differ."""
    index = {f"gpu:{gpu.uuid}": gpu.index for gpu in snapshot.gpus}
    numbers = sorted(number for risk in row if (number := index.get(risk.target or "")) is not None)
    who = f"GPUs {ranges(numbers)}" if len(numbers) == len(row) else f"{len(row)} GPUs"
    said = [_OF_GPU.sub("", risk.summary or risk.description) for risk in row]
    return f"{who}: {'' if len(set(said)) == 1 else 'e.g. '}{said[0]}"


def _state(risk: Risk) -> tuple[str, StyleName]:
    if risk.state is RiskState.FIRING:
        return risk.severity.value.upper(), severity_style(risk.severity)
    return risk.state.value, "plain" if risk.state is RiskState.PENDING else "dim"


def _line(
    snapshot: Snapshot,
    view: View,
    row: Sequence[Risk],
    mark: str,
    title: int,
    likelihood: int,
    impact: int,
    width: int,
) -> Row:
    risk = row[0]
    word, style = _state(risk)
    summary = _of_several(snapshot, row) if len(row) > 1 else risk.summary or risk.description
    target = chosen_target(snapshot, view)
    if len(snapshot.targets) > 1 and risk.target is not None and target is not None and risk.target != target.id:
        other = next((each for each in snapshot.targets if each.id == risk.target), None)
        summary = f"{other.url.split('//')[-1]}: {summary}" if other else summary
    name: StyleName = "bold" if risk.state is RiskState.FIRING else "plain"
    left: Row = (
        (mark, "bold"),
        (fit(word, _STATE), style),
        (fit(_titled(risk, title), title), name),
    )
    likely = risk.likelihood if cells(risk.likelihood) <= likelihood else _in_short(risk.likelihood)
    right = f" {fit(likely, likelihood)}" if likelihood else ""
    right += f" {fit(_in_short(risk.impact), impact)} " if impact else ""
    rest = width - 1 - _STATE - title - cells(right) - 2
    if rest >= 8:
        said = crop_words(summary, rest)
        left = (*left, ("  ", "plain"), (said, "plain"), (_first_advice(snapshot, risk, rest - cells(said)), "dim"))
        left = fit_row(left, width - cells(right))
    return fit_row((*left, (right, "plain")), width)


def _first_advice(snapshot: Snapshot, risk: Risk, room: int) -> str:
    """Name what is to be done first about a risk, where there is room for all of it."""
    found = advice_for(snapshot, risk)
    said = f"  → {found[0].title}" if found else ""
    return said if cells(said) <= room else ""


def _in_short(text: str) -> str:
    """Keep the first words of what goes on to explain itself: `certain (41 of 41 polls)`, `high: TTFT grows`."""
    return re.split(r"[(:;,]", text, maxsplit=1)[0].strip()


def unseen_lines(snapshot: Snapshot, width: int) -> int:
    """Count the lines that all that could not be seen would take."""
    return len(wrap(_SEPARATOR.join(map(_short, snapshot.not_visible)), max(1, width - LABEL - 1)))


def unseen(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Name what could not be seen, and why where there is room for that; what only a detail hangs on comes last."""
    del view
    room = max(1, width - LABEL - 1)
    parts = [_short(each) for each in _ranked(snapshot.not_visible)]
    if height == 1:
        if cells(_SEPARATOR.join(parts)) > room:
            parts = [words.quantity(each.what) for each in _ranked(snapshot.not_visible)]
        return labelled("not seen", [_as_many(parts, room)], "dim", width, height)
    return labelled("not seen", wrap(_SEPARATOR.join(parts), room, height), "dim", width, height)


def _ranked(unseen: Sequence[NotVisible]) -> list[NotVisible]:
    """Put what is not seen of the whole machine first, a single number of one server last."""
    return sorted(unseen, key=lambda each: each.what in QUANTITIES)


def _short(each: NotVisible) -> str:
    what = words.quantity(each.what)
    return f"{what} ({each.why})" if each.why else what


def _as_many(parts: Sequence[str], room: int) -> str:
    """Join as many parts as fit, and count the others."""
    for many in range(len(parts), 0, -1):
        more = f" · + {len(parts) - many} more" if many < len(parts) else ""
        text = " · ".join(parts[:many])
        if cells(text) + cells(more) <= room or many == 1:
            return crop(text, room - cells(more)) + more
    return ""


def evidence_text(one: Evidence) -> str:
    """Write one number that a finding rests on, its limit, its window and how many observations it comes from."""
    said = one.text or f"{words.quantity(one.quantity)} {units.value(one.value, one.unit)}"
    limit = threshold_text(one)
    return said if one.text or not limit else f"{said}, {limit}"


_SINCE = re.compile(r"\bsince \d\d:\d\d:\d\d UTC\b")
"""How a text says that something changed: the threshold beside it is then what was before."""


def threshold_text(one: Evidence) -> str:
    """Write what a number is held against: `limit 2 s`, or `before 13.9 ms`; nothing where any count at all is bad."""
    if one.threshold is None or (one.unit == "1" and one.threshold == 0.0):
        return ""
    return f"{'before' if _SINCE.search(one.text) else 'limit'} {units.value(one.threshold, one.unit)}"


def evidence_basis(one: Evidence) -> str:
    """Write over which window and how many observations a number was taken."""
    parts = []
    if one.window_seconds is not None:
        parts.append(f"over {units.duration(one.window_seconds)}")
    if one.count is not None:
        parts.append(f"n = {units.count(one.count)}")
    return ", ".join(parts)


def evidence(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show what the chosen risk rests on."""
    risk = chosen_risk(snapshot, view)
    if risk is None:
        return []
    width = min(width, _TABLE)
    head = spread(((" WHY ", "bold"), (risk.title, "dim")), ((f"since {words.clock_of(risk.since)} ", "dim"),), width)
    rows = [head]
    for one in risk.evidence:
        basis = f" {evidence_basis(one)} "
        said = crop_words(evidence_text(one), max(1, width - LABEL - cells(basis)))
        rows.append(spread(((f"{'':<{LABEL}}{said}", "plain"),), ((basis, "dim"),), width))
    return rows[:height]


def events(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """List what happened, newest first."""
    del view
    rows = [fit_row(((" EVENTS", "bold"),), width)]
    for event in reversed(snapshot.events):
        what = f" {words.clock(event.wall)}  {event.kind:<9} {event.text}"
        rows.append(fit_row(((what, "plain"),), width))
    return rows[:height]
