"""What a server can take, as far as its windows tell: how loaded it is, what it can finish, how much more would fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.report.document import Block, Column, Paragraph, Table
from insight.report.findings import GRADES
from insight.report.words import known, quantity_name, range_text, sentence
from metrics import units
from metrics.effect import Grade

if TYPE_CHECKING:
    from metrics.effect import Effect
    from metrics.observed import Target

_MEANING = (
    "Load is the share of the time in which requests lengthen the steps, headroom how much more of this traffic fits."
)


def estimates(target: Target) -> list[Block]:
    """Show load, capacity and headroom with what each rests on, or what is missing; nothing before there are any."""
    if not target.estimates:
        return []
    heads = (Column("what it can take"), Column("value", right=True), Column("basis"), Column("grade"))
    rows = tuple((_name(each), _value(each), *_foundation(each)) for each in target.estimates)
    table = Table((*heads, Column("n", right=True), Column("window", right=True)), rows)
    return [table, *_notes(target)]


def _name(one: Effect) -> str:
    return one.name or quantity_name(one.quantity)


def _is_known(one: Effect) -> bool:
    return one.basis != "unknown" and not one.lo is one.mid is one.hi is None


def _value(one: Effect) -> str:
    """Write the middle over its interval, if that has a width, or the bound: `1.2/s [1.1-1.3/s]`, `>82 %`, `—`."""
    if not _is_known(one):
        return units.UNKNOWN
    interval = _interval(one) if one.lo != one.hi or one.lo is None else ""
    if one.mid is None:
        return interval
    middle = f"{'' if one.basis == 'measured' else '~'}{units.value(one.mid, one.unit)}"
    return f"{middle}\n[{interval}]" if interval else middle


def _interval(one: Effect) -> str:
    """Write the interval; with `to` where it begins below 0, since two strokes in a row cannot be read."""
    if one.lo is None:
        return "" if one.hi is None else f"<{units.value(one.hi, one.unit)}"
    if one.lo < 0 and one.hi is not None:
        return f"{units.value(one.lo, one.unit)} to {units.value(one.hi, one.unit)}"
    return range_text(one.lo, one.hi, one.unit)


def _foundation(one: Effect) -> tuple[str, ...]:
    """Say what it rests on: basis, grade, n and window."""
    if not _is_known(one):
        return (f"needs {known(one.needs)}", *[units.UNKNOWN] * 3)
    return one.basis, one.grade.value, units.count(one.n), units.duration(one.window_seconds)


def _notes(target: Target) -> list[Block]:
    """Say once what the rows mean, what was assumed, under which conditions it holds, and what the grades mean."""
    found = [each for each in target.estimates if _is_known(each)]
    said = [
        f"{words}: {sentence('; '.join(dict.fromkeys(texts)))}"
        for words, texts in (
            ("Assumes", [one for each in found for one in each.assumptions]),
            ("Holds only if", [one for each in found for one in each.valid_if]),
        )
        if texts
    ]
    grades = {each.grade for each in found}
    said += [f"Grade {each.value}: {GRADES[each]}." for each in Grade if each in grades]
    return [Paragraph(" ".join((_MEANING, *said)))]
