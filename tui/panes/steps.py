"""What to do about a risk: flag by flag, with what it brings, what it costs, and what would show that it was wrong."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from metrics import units
from tui import effects, words
from tui.panes.page import heading, text
from tui.rows import cells, fit, fit_row, wrap
from tui.view import withheld_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from metrics.finding import Recommendation, Risk
    from metrics.snapshot import Snapshot
    from tui.palette import StyleName
    from tui.rows import Row

_LABEL = 12
"""Cells for what a line of the advice says: `expected`, `wrong if`."""


def steps(advice: Sequence[Recommendation], risk: Risk, width: int) -> list[Row]:
    """List what to do, the primary advice first, each with all that is said of it; what all of them say comes once."""
    rows: list[Row] = []
    counted = Counter(each for one in advice for each in one.actions)
    last = [each for each, times in counted.items() if times > 1]
    told = {risk.summary}
    for number, one in enumerate(advice, 1):
        count = f" {number} of {len(advice)}" if len(advice) > 1 else ""
        rows.append(heading(f"ADVICE{count}  {one.title}", width))
        rows += _changes(one, width)
        flagless = [each for each in one.actions if all(words.remark(each, change) is None for change in one.changes)]
        for action in flagless:
            rows += _step(words.action(action), width) if action not in last else []
        because = [each for each in one.because if each not in told]
        told |= set(because)
        rows += [*_expected(one, width), *_labelled(_said(one, because), width)]
    for action in last:
        rows += _step(words.action(action), width)
    return rows


def withheld(snapshot: Snapshot, risk: Risk, width: int) -> list[Row]:
    """List what would usually be advised, and is not, and why."""
    found = withheld_for(snapshot, risk)
    rows = [heading("NOT ADVISED", width)] if found else []
    for one in found:
        rows += text(f"{one.title}: {one.why}", width, "dim")
    return rows


def _expected(one: Recommendation, width: int) -> list[Row]:
    """Say what it is expected to bring, and what that rests on: beside it where there is room, else below."""
    effect = one.effect
    if effect is None:
        return _labelled([("expected", "not estimated", "dim")], width)
    brings = effects.expected(effect)
    if effect.basis == "unknown":
        return _labelled([("expected", brings, "dim")], width)
    rests = f"({effects.basis(effect)})"
    if cells(brings) + cells(rests) + _LABEL + 5 > width:
        return _labelled([("expected", brings, "bold"), ("", rests, "dim")], width)
    head: Row = (("   ", "plain"), (fit("expected", _LABEL), "dim"), (brings, "bold"), (f" {rests}", "dim"))
    return [fit_row(head, width)]


def _said(one: Recommendation, because: Sequence[str]) -> list[tuple[str, str, StyleName]]:
    """Say what it takes, what may get worse, what would disprove it, why, and on which conditions."""
    effect = one.effect
    given = "; ".join(dict.fromkeys((*effect.assumptions, *effect.valid_if))) if effect is not None else ""
    return [
        ("costs", one.cost, "plain"),
        ("may harm", one.harm, "plain"),
        ("wrong if", one.disproved_by, "plain"),
        ("because", "; ".join(because), "dim"),
        ("provided", given, "dim"),
    ]


def _labelled(said: Iterable[tuple[str, str, StyleName]], width: int) -> list[Row]:
    rows: list[Row] = []
    for label, what, style in said:
        for index, line in enumerate(wrap(what, max(1, width - _LABEL - 4)) if what else ()):
            name = fit("" if index else label, _LABEL)
            rows.append(fit_row((("   ", "plain"), (name, "dim"), (line, style)), width))
    return rows


def _changes(one: Recommendation, width: int) -> list[Row]:
    """Write flags below one another: what is set now, what to set, that it takes a restart, and what is said of it."""
    flag = min(max((cells(each.flag) for each in one.changes), default=0), max(8, width // 2))
    rows: list[Row] = []
    for each in one.changes:
        note = "  (restart)" if each.restart else ""
        value = f"{each.now or units.UNKNOWN} → {each.proposed}"
        said = next(filter(None, (words.remark(action, each) for action in one.actions)), "")
        if flag + cells(value) + cells(note) + 6 > width:
            rows += [*text(each.flag, width, "bold"), *text(f"{value}{note}", width, indent=5)]
        else:
            beside = f"  {said}" if flag + cells(value) + cells(note) + cells(said) + 8 <= width else ""
            name = fit(each.flag, flag)
            spans: Row = (("   ", "plain"), (f"{name}  ", "bold"), (value, "plain"), (note + beside, "dim"))
            rows.append(fit_row(spans, width))
            said = "" if beside else said
        rows += text(said, width, "dim", 5) if said else []
    return rows


def _step(action: str, width: int) -> list[Row]:
    return [
        fit_row((("   · " if not index else "     ", "plain"), (line, "plain")), width)
        for index, line in enumerate(wrap(action, max(1, width - 6)))
    ]
