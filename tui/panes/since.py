"""What came of the newest mark: one quiet line, and on the page of numbers what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from insight.written import common_unit
from metrics import units
from tui import effects, words
from tui.panes.page import INDENT, LABEL, heading, labelled, text
from tui.rows import cells, crop, fit, fit_row
from tui.view import chosen_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.observed import Target
    from metrics.snapshot import SinceMark, Snapshot
    from tui.rows import Row
    from tui.view import View

_NAME = 24
"""Cells of a mark's own text in the line, at most."""
_COLUMN = 20
_LATER = "told in "
_PER = {"output_tokens_total": "tok"}
"""What is counted per second, where it is not requests."""


class Part(NamedTuple):
    """One thing that is said of a mark."""

    rank: int
    """The higher, the sooner it is left out where there is no room."""
    text: str


def found_for(snapshot: Snapshot, target: Target | None) -> SinceMark | None:
    """Find what is told of a server since the newest mark."""
    return next((each for each in snapshot.since_mark if target is not None and each.target == target.id), None)


def since(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Say in a line what changed with the newest mark, as much of it as there is room for."""
    found = found_for(snapshot, chosen_target(snapshot, view))
    if found is None:
        return []
    room = max(1, width - LABEL - 1)
    who = f"{crop(found.mark, _NAME)} ({_ago(found.seconds)}): "
    if found.why.startswith(_LATER):
        return labelled("since", [f"{crop(found.mark, _NAME)}: {_why(found)}"], "dim", width, height)
    if found.why:
        return labelled("since", [who + _why(found)], "dim", width, height)
    said = list(parts(found))
    while len(said) > 1 and cells(who + _joined(said)) > room:
        said.remove(max(said))
    return labelled("since", [who + _joined(said)], "plain", width, height)


def _why(found: SinceMark) -> str:
    """Say why nothing is told: when there will be something, `result in 23 s`; else that it is not known, and why."""
    if found.why.startswith(_LATER):
        return f"result in {found.why.removeprefix(_LATER)}"
    return f"{units.UNKNOWN} {found.why}"


def _ago(seconds: float) -> str:
    """Write a length of time in whole minutes once it has one: a line that changes each second is not quiet."""
    return units.duration(seconds if seconds < 60 else seconds // 60 * 60)


def _joined(said: Sequence[Part]) -> str:
    return ", ".join(each.text for each in said)


def parts(found: SinceMark) -> list[Part]:
    """Say what is known on both sides, in the order in which it is read."""
    token = "itl_seconds" if "itl_seconds" in found.before else "tpot_seconds"
    said = [
        Part(1, _mean(found, token)),
        Part(2, _p95(found, "ttft_seconds")),
        Part(3 if found.alike is not False else 0, _requests(found)),
        Part(5, _rate(found, "output_tokens_total", " tok/s")),
        *(
            Part(4, f"predicted {words.quantity(each.quantity)} {effects.interval(each)}")
            for each in found.foretold[:1]
        ),
    ]
    return [each for each in said if each.text]


def _mean(found: SinceMark, quantity: str) -> str:
    """Write the exact means: `ITL 45 → 31 ms`."""
    values = [side[quantity].mean if quantity in side else None for side in (found.before, found.after)]
    return "" if values == [None, None] else f"{words.quantity(quantity)} {_pair(values, 's')}"


def _pair(values: Sequence[float | None], unit: str) -> str:
    factor, behind = common_unit([each for each in values if each is not None], unit)
    before, after = (units.digits(None if each is None else each / factor) for each in values)
    return f"{before} → {after}{behind}"


def _p95(found: SinceMark, quantity: str) -> str:
    """Write the bounds of the buckets that the p95 lies in: `TTFT p95 1-2.5 → 0.5-1 s`."""
    ends = [side[quantity].p95 if quantity in side else None for side in (found.before, found.after)]
    known = [each for each in ends if each is not None]
    if not known:
        return ""
    scale, unit = common_unit([each.lo if each.hi is None else each.hi for each in known], "s")
    before, after = (words.within(each, scale) for each in ends)
    return f"{words.quantity(quantity)} p95 {before} → {after}{unit}"


def _requests(found: SinceMark) -> str:
    """Write the rate of requests that ended; of those that came where that is another load."""
    if found.alike is False:
        return f"load {_rate(found, 'requests_arrived', '/s')}: not alike"
    return _rate(found, "requests_finished", " req/s")


def _rate(found: SinceMark, quantity: str, unit: str) -> str:
    rates = [side[quantity].rate if quantity in side else None for side in (found.before, found.after)]
    return "" if None in rates else f"{units.digits(rates[0])} → {units.digits(rates[1])}{unit}"


def in_full(snapshot: Snapshot, target: Target, width: int) -> list[Row]:
    """List what was before the newest mark and since, and what it rests on."""
    found = found_for(snapshot, target)
    if found is None:
        return []
    ago = f"at {words.clock(found.wall)}"
    rows = [heading(f"SINCE {crop(found.mark, _NAME)}", width, ago)]
    if found.why:
        return [*rows, *text(_why(found), width)]
    titles = (units.duration(found.before_seconds), units.duration(found.seconds))
    rows.append(_in_columns("", (f"{titles[0]} before", f"{titles[1]} since"), width, dim=True))
    for name in dict.fromkeys((*found.before, *found.after)):
        sides = [side.get(name) for side in (found.before, found.after)]
        said = words.quantity(name)
        if any(each is not None and each.mean is not None for each in sides):
            means = [units.value(None if each is None else each.mean, "s") for each in sides]
            rows.append(_in_columns(f"{said} mean", means, width))
            rows.append(_in_columns(f"{said} p95", [words.bounds(each, "p95") for each in sides], width))
        else:
            rows.append(_in_columns(said, [words.rate(each, _PER.get(name, "1")) for each in sides], width))
    notes = ["The first half minute after the mark is in neither."]
    if found.alike is not True:
        notes.append("The load is not alike." if found.alike is False else "Whether the load is alike is not known.")
    notes += [f"Predicted: {effects.expected(each)}." for each in found.foretold]
    return [*rows, *text(" ".join(notes), width, "dim")]


def _in_columns(name: str, values: Sequence[str], width: int, *, dim: bool = False) -> Row:
    said = "".join(fit(each, _COLUMN, ">") for each in values)
    return fit_row(((f"{'':{INDENT}}{fit(name, 22)}", "dim"), (said, "dim" if dim else "plain")), width)
