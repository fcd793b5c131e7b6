"""How loaded a server is and what it could take: one line of the overview, and in full on the page of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics import units
from tui import effects, words
from tui.panes.page import INDENT, heading, text
from tui.rows import cells, crop_words, fit, fit_row
from tui.view import chosen_target, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from metrics.effect import Effect
    from metrics.finding import LoadLevel
    from metrics.observed import Target
    from metrics.snapshot import Snapshot
    from tui.rows import Row, Span
    from tui.view import View

_GAP = "   "
_OVERVIEW = {
    "load": "load",
    "headroom": "headroom",
    "capacity": "capacity",
    # a bound from above of the rate at which an objective for a quantile of ITL holds: its mean is there at the limit
    "rate with mean ITL at limit": "mean ITL at limit",
}
"""The estimates of the overview, in its order and as they are called there."""
_ALWAYS = {"load", "headroom"}
"""What has its place also while it is not known."""
_LEAST_NEEDS = 20
"""Cells below which what an estimate needs is not begun: the page of numbers says it."""
_LEVEL = 8
_COLUMNS: tuple[tuple[str, int, Callable[[LoadLevel], str]], ...] = (
    ("requests", 8, lambda each: units.digits(each.in_flight, 2)),
    ("finished", 9, lambda each: words.rate(each.quantities.get("requests_finished"))),
    ("output", 11, lambda each: words.rate(each.quantities.get("output_tokens_total"), "tok")),
    ("TTFT p95", 12, lambda each: words.bounds(each.quantities.get("ttft_seconds"), "p95")),
    ("ITL p95", 12, lambda each: words.bounds(each.quantities.get("itl_seconds"), "p95")),
    ("for", 12, lambda each: units.duration(each.seconds)),
)
"""What is said of a level of load: its title, its width, how it is written."""


def named(target: Target) -> list[tuple[str, Effect]]:
    """Name the estimates of the overview: load, headroom, capacity, the rate at which the mean ITL is at the limit."""
    of = {each.name: each for each in target.estimates}
    found = [(short, of[name]) for name, short in _OVERVIEW.items() if name in of]
    return [
        (f"measured {name}" if name == "capacity" and each.basis == "measured" else name, each) for name, each in found
    ]


def estimates(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show load, headroom and capacity in a line; what is not known as `—`, with what it needs if there is room.

    Below it, where there is room, a line for each level of load.
    """
    target = chosen_target(snapshot, view)
    if target is None:
        return []
    return [
        _line(named(target), width, current=serving(snapshot, target)),
        *level_rows(told_apart(snapshot, target), width),
    ][:height]


def lines(snapshot: Snapshot, target: Target | None) -> int:
    """Count the lines that the pane would fill."""
    if target is None or not target.estimates:
        return 0
    found = told_apart(snapshot, target)
    return 1 + (1 + len(found) if found else 0)


def told_apart(snapshot: Snapshot, target: Target) -> list[LoadLevel]:
    """List the levels of load of a server, where there were several."""
    found = _levels(snapshot, target)
    return found if len(found) > 1 else []


def _levels(snapshot: Snapshot, target: Target) -> list[LoadLevel]:
    return [each for each in snapshot.levels if each.target == target.id]


def _line(items: Sequence[tuple[str, Effect]], width: int, *, current: bool) -> Row:
    shown = [(name, each) for name, each in items if each.basis != "unknown" or name in _ALWAYS]
    said = next((each for each in _shorter_and_shorter(shown) if _cells(each) <= width), [])
    spans: list[Span] = []
    for name, value in said:
        spans += [(_GAP if spans else " ", "plain"), (f"{name} ", "dim")]
        spans.append((value, "plain" if current and value != units.UNKNOWN else "dim"))
    needs = next((each.needs for _, each in shown if each.needs), "")
    left = width - _cells(said) - cells("needs ") - 1
    if needs and left >= _LEAST_NEEDS:
        spans.append((f"{_GAP}needs {crop_words(needs, left)}", "dim"))
    return fit_row(spans, width)


def _shorter_and_shorter(shown: Sequence[tuple[str, Effect]]) -> Iterator[list[tuple[str, str]]]:
    """Write the estimates whole, then the last without intervals, then fewer; load and headroom lose theirs last."""
    for least in (min(len(_ALWAYS), len(shown)), 0):
        for kept in range(len(shown), max(0, least - 1), -1):
            for whole in range(kept, least - 1, -1):
                pairs = enumerate(shown[:kept])
                yield [(name, effects.estimate(each, short=at >= whole)) for at, (name, each) in pairs]


def _cells(said: Sequence[tuple[str, str]]) -> int:
    return sum(cells(name) + cells(value) + len(_GAP) + 1 for name, value in said) - 1


def in_full(snapshot: Snapshot, target: Target, width: int) -> list[Row]:
    """List what is estimated of a server with what it rests on, and what it did at each level of load."""
    rows: list[Row] = []
    if target.estimates:
        rows.append(heading("WHAT IT CAN TAKE", width))
    told: set[str] = set()
    for each in target.estimates:
        name, value = each.name or words.quantity(each.quantity), effects.estimate(each)
        rows.append(fit_row(((f"   {fit(name, 28)} ", "plain"), (value, "bold")), width))
        known = each.basis != "unknown"
        said = [effects.basis(each), *each.assumptions, *each.valid_if] if known else [f"needs {each.needs}"]
        rows += text("; ".join(one for one in said if one not in told), width, "dim", INDENT + 2)
        told |= {*each.assumptions, *each.valid_if}
    found = _levels(snapshot, target)
    if found:
        rows += [heading("LEVELS OF LOAD", width), *level_rows(found, width), *text(found[0].why, width, "dim")]
    return rows


def level_rows(found: Sequence[LoadLevel], width: int) -> list[Row]:
    """Write a line for each level: how many requests, how fast, for how long; as many columns as there is room for."""
    if not found:
        return []
    room = width - _LEVEL
    shown = []
    for title, size, write in _COLUMNS:
        if size + 1 <= room:
            shown.append((title, size, write))
            room -= size + 1
    titles = "".join(f" {title:>{size}}" for title, size, _ in shown)
    rows = [fit_row(((f"{' level':<{_LEVEL}}{titles}", "dim"),), width)]
    for each in found:
        values = "".join(f" {fit(write(each), size, '>')}" for _, size, write in shown)
        rows.append(fit_row(((fit(f" {each.name}", _LEVEL), "dim"), (values, "plain")), width))
    return rows
