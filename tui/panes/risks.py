"""Which risks, what to do, and what could not be seen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metrics import units
from metrics.quantity import QUANTITIES
from metrics.snapshot import RiskState
from tui import effects, words
from tui.panes import watched
from tui.rows import cells, crop, crop_words, fit, fit_row, spread, wrap
from tui.view import advice_for, chosen_risk, chosen_target, on_quiet, open_risks, severity_style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.snapshot import Evidence, NotVisible, Risk, Snapshot
    from tui.palette import StyleName
    from tui.rows import Row
    from tui.view import View

_STATE = 10
_INDENT = 11
_SEPARATOR = " · "
_TABLE = 132
"""Widest table: beyond, the eye loses the line."""


def risks(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """List the risks, worst first, and in a last line those that do not hold; the chosen line has a mark."""
    shown = open_risks(snapshot)
    quiet = watched.counted(snapshot, more=False)
    full, width = width, min(width, _TABLE)
    room = max(0, height - 1)
    below = on_quiet(snapshot, view)
    items: list[Risk | None] = [*shown, None] if quiet else list(shown)
    chosen = chosen_risk(snapshot, view)
    at = len(shown) if below else next((index for index, risk in enumerate(shown) if risk is chosen), 0)
    first = max(0, min(at - room // 2, len(items) - room)) if room > 0 else 0
    visible = items[first : first + room]
    rows = [_heading(snapshot, shown, width, told=None in visible)]
    title = _title_width(shown, width)
    likelihood, impact = _last_columns(width, shown)
    for risk in visible:
        mark = "▸" if view.focus == "risks" and (below if risk is None else risk is chosen and not below) else " "
        if risk is None:
            rows.append(watched.in_a_line(snapshot, mark, width))
        else:
            rows.append(_line(snapshot, view, risk, mark, title, likelihood, impact, width))
    if not items:
        rows.append(fit_row((("  nothing to judge yet", "dim"),), width))
    return [fit_row(row, full) for row in rows[:height]]


def _heading(snapshot: Snapshot, shown: Sequence[Risk], width: int, *, told: bool) -> Row:
    """Count the risks that hold, name the columns; count the others where their line does not."""
    likelihood, impact = _last_columns(width, shown)
    quiet = "" if told else watched.counted(snapshot, more=False)
    tally = ", ".join(filter(None, (_tally(snapshot), quiet))) or "none found"
    head: Row = ((" RISKS ", "bold"), (tally, "dim"))
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


def _state(risk: Risk) -> tuple[str, StyleName]:
    if risk.state is RiskState.FIRING:
        return risk.severity.value.upper(), severity_style(risk.severity)
    return risk.state.value, "plain" if risk.state is RiskState.PENDING else "dim"


def _line(
    snapshot: Snapshot, view: View, risk: Risk, mark: str, title: int, likelihood: int, impact: int, width: int
) -> Row:
    word, style = _state(risk)
    summary = risk.summary or risk.description
    target = chosen_target(snapshot, view)
    if len(snapshot.targets) > 1 and risk.target is not None and target is not None and risk.target != target.id:
        other = next((each for each in snapshot.targets if each.id == risk.target), None)
        summary = f"{other.url.split('//')[-1]}: {summary}" if other else summary
    name: StyleName = "bold" if risk.state is RiskState.FIRING else "plain"
    left: Row = (
        (mark, "bold"),
        (fit(word, _STATE), style),
        (fit(risk.title, title), name),
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


def advice_lines(snapshot: Snapshot, view: View, width: int) -> list[str]:
    """Write what to do about the chosen risk, on lines of a width: what and how in the first, then how else."""
    risk = chosen_risk(snapshot, view)
    found = advice_for(snapshot, risk)
    room = max(1, width - _INDENT - 1)
    if not found:
        return [crop_words(risk.mitigation, room)] if risk is not None and risk.mitigation else []
    first = found[0]
    steps = [words.action(each) for each in first.actions]
    brings = effects.effect(first.effect) if first.effect is not None else ""
    how = steps[0] if steps else brings
    options = [
        f"{first.title}: {how}; {brings}" if steps and brings else "",
        f"{first.title}: {how}" if how else first.title,
        f"{_clause(first.title)}: {how}" if how else "",
        f"{_clause(first.title)}: {words.gist(how)}; {brings}" if steps and brings else "",
        f"{_clause(first.title)}: {words.gist(how)}" if how else "",
    ]
    said = next((each for each in options if each and cells(each) <= room), options[-1] or first.title)
    return [crop_words(said, room), *(crop_words(step, room) for step in steps[1:])]


def _clause(title: str) -> str:
    """Keep the first clause of a title: `Cap the queue, so that what is accepted is answered in time`."""
    return re.split(r"[,:;]", title, maxsplit=1)[0]


def advice(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Say what to do, with what it is expected to bring."""
    lines = advice_lines(snapshot, view, width)
    return _labelled("advice", lines, "plain", width, height)


def _labelled(label: str, lines: Sequence[str], style: StyleName, width: int, height: int) -> list[Row]:
    heads = [f" {label}", *("" for _ in lines[1:])]
    return [
        fit_row(((fit(head, _INDENT), "bold"), (crop(line, max(0, width - _INDENT - 1)), style)), width)
        for head, line in zip(heads, lines, strict=True)
    ][:height]


def unseen_lines(snapshot: Snapshot, width: int) -> int:
    """Count the lines that all that could not be seen would take."""
    return len(wrap(_SEPARATOR.join(map(_short, snapshot.not_visible)), max(1, width - _INDENT - 1)))


def unseen(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Name what could not be seen, and why where there is room for that; what only a detail hangs on comes last."""
    del view
    room = max(1, width - _INDENT - 1)
    parts = [_short(each) for each in _ranked(snapshot.not_visible)]
    if height == 1:
        if cells(_SEPARATOR.join(parts)) > room:
            parts = [words.quantity(each.what) for each in _ranked(snapshot.not_visible)]
        return _labelled("not seen", [_as_many(parts, room)], "dim", width, height)
    return _labelled("not seen", wrap(_SEPARATOR.join(parts), room, height), "dim", width, height)


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
    if not one.text and one.threshold is not None:
        said += f", limit {units.value(one.threshold, one.unit)}"
    return said


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
        left = f"{'':<{_INDENT}}{evidence_text(one)}"
        rows.append(spread(((left, "plain"),), ((f" {evidence_basis(one)} ", "dim"),), width))
    return rows[:height]


def events(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """List what happened, newest first."""
    del view
    rows = [fit_row(((" EVENTS", "bold"),), width)]
    for event in reversed(snapshot.events):
        what = f" {words.clock(event.wall)}  {event.kind:<9} {event.text}"
        rows.append(fit_row(((what, "plain"),), width))
    return rows[:height]
