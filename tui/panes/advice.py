"""What to do about the chosen risk, in a line or three: what, how, and what that brings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from insight.recommend.catalogue import CHECK
from tui import effects, words
from tui.panes.page import LABEL, labelled
from tui.rows import cells, crop_words
from tui.view import advice_for, chosen_risk

if TYPE_CHECKING:
    from metrics.finding import Recommendation
    from metrics.snapshot import Snapshot
    from tui.rows import Row
    from tui.view import View

_VALUES = {"on", "off", "true", "false", "auto", "int8", "fp8", "fp8_e4m3", "fp8_e5m2", "removed"}
"""Words that can be typed as they are, or say whole what is to be done with a flag; so can what has a digit."""


def says_how(one: Recommendation, action: str) -> bool:
    """Tell whether an action can be done as it is said: a flag with no value worked out, `lower`, cannot."""
    if not action.startswith("-"):
        vague = (each for each in one.changes if words.remark(action, each) is not None)
        return not any(not _typed(each.proposed) for each in vague)
    head = words.action(action).partition(": ")[0].partition(" (")[0]
    value = head.partition(" ")[2]
    return not value or _typed(value)


def _typed(value: str) -> bool:
    """Tell whether a value is one to be typed: `lower`, `anew`, `N` and `GB` are not."""
    return bool(re.search(r"\d", value)) or value.strip().lower() in _VALUES


def advice_lines(snapshot: Snapshot, view: View, width: int) -> list[str]:
    """Write what to do about the chosen risk, on lines of a width: what and how in the first, then how else."""
    risk = chosen_risk(snapshot, view)
    found = advice_for(snapshot, risk)
    room = max(1, width - LABEL - 1)
    if not found:
        return [crop_words(risk.mitigation, room)] if risk is not None and risk.mitigation else []
    first = found[0]
    steps = [words.action(each) for each in first.actions if each != CHECK and says_how(first, each)]
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
    return labelled("advice", lines, "plain", width, height)
