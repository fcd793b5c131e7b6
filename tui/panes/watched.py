"""The risks that do not hold: one line of the overview, and each with what is known of it on a page of its own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from metrics.finding import RiskState
from tui import words
from tui.panes.page import heading, text
from tui.rows import cells, crop_words, fit, fit_row, wrap
from tui.view import open_risks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.finding import Risk
    from metrics.snapshot import Snapshot
    from tui.palette import StyleName
    from tui.rows import Row

_TITLE = 36


def quiet(snapshot: Snapshot, state: RiskState) -> list[Risk]:
    """List the risks that were not observed, or could not be seen."""
    return [risk for risk in snapshot.risks if risk.state is state]


def in_a_line(snapshot: Snapshot, mark: str, width: int) -> Row:
    """Count the risks that were not observed, and name those that could not be seen, as many as there is room for."""
    unseen = quiet(snapshot, RiskState.UNKNOWN)
    names = ", ".join(words.lower(risk.title) for risk in unseen)
    said = counted(snapshot, more=bool(open_risks(snapshot)))
    room = width - cells(said) - 4
    if names and room >= _TITLE // 2:
        said += f": {crop_words(names, room)}"
    return fit_row(((mark, "bold"), (said, "dim")), width)


def counted(snapshot: Snapshot, *, more: bool) -> str:
    """Count the risks that do not hold: `27 more not observed, 6 not visible`."""
    count = {state: len(quiet(snapshot, state)) for state in (RiskState.NOT_OBSERVED, RiskState.UNKNOWN)}
    said = {RiskState.NOT_OBSERVED: "not observed", RiskState.UNKNOWN: "not visible"}
    parts = [f"{number} {said[state]}" for state, number in count.items() if number]
    if parts and more:
        parts[0] = parts[0].replace(" ", " more ", 1)
    return ", ".join(parts)


def watched(snapshot: Snapshot, width: int) -> list[Row]:
    """List all risks that do not hold: what could not be seen and why, then what was not observed and for how long."""
    unseen, never = quiet(snapshot, RiskState.UNKNOWN), quiet(snapshot, RiskState.NOT_OBSERVED)
    rows: list[Row] = []
    if unseen:
        rows.append(heading(f"NOT VISIBLE  {len(unseen)}", width))
    for risk in unseen:
        rows += _entry(risk.title, risk.summary or risk.description, width, "dim")
    if not never:
        return rows or [heading("nothing is judged yet", width)]
    ((usual, _),) = Counter(_first(risk.likelihood) for risk in never).most_common(1)
    rows += [heading(f"NOT OBSERVED  {len(never)}", width), *text(usual, width, "dim")]
    remarks = {risk.title: _beside(risk, usual) for risk in never}
    for title, said in remarks.items():
        if said:
            rows += _entry(title, said, width, "dim")
    return rows + _columns([title for title, said in remarks.items() if not said], width)


def _first(likelihood: str) -> str:
    """Keep the first clause: how long it was not observed. What follows is known from elsewhere."""
    return likelihood.split("; ", 1)[0]


def _beside(risk: Risk, usual: str) -> str:
    """Say of a risk what is not said of most: so that one sentence does not stand thirty times."""
    likelihood = risk.likelihood.removeprefix(usual).removeprefix("; ")
    return "; ".join(filter(None, (likelihood, risk.summary)))


def _columns(titles: Sequence[str], width: int) -> list[Row]:
    """Write titles in columns, from top to bottom, as many columns as there is room for."""
    across = max(1, (width - 3) // (_TITLE + 1))
    down = -(-len(titles) // across)
    lines = ["".join(fit(title, _TITLE) + " " for title in titles[at::down]) for at in range(down)]
    return [fit_row(((f"   {line}", "plain"),), width) for line in lines]


def _entry(title: str, said: str, width: int, style: StyleName) -> list[Row]:
    """Write a risk with what is said of it beside its title; below it where there is no room."""
    name = min(_TITLE, max(8, width // 2))
    if width < 2 * _TITLE or cells(title) > name:
        return [fit_row((("   ", "plain"), (title, "plain")), width), *(text(said, width, "dim", 5) if said else [])]
    lines: Sequence[str] = wrap(said, max(1, width - name - 5)) or [""]
    return [
        fit_row((("   ", "plain"), (fit("" if index else title, name), "plain"), (f" {line}", style)), width)
        for index, line in enumerate(lines)
    ]
