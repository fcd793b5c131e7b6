"""What deeper pages are made of: headings, running text, graphs of one quantity, two beside one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics import units
from tui.plot import Grid, Series, plot
from tui.rows import crop, fit, fit_row, spread, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.observed import Track
    from tui.overlay import Moment, Threshold
    from tui.palette import StyleName
    from tui.rows import Charset, Row

INDENT = 3
"""Cells before running text."""
LABEL = 11
"""Cells for the name of a pane that has no heading: `advice`, `not seen`."""
_SCALES = {
    "ratio": (0.01, "%"),
    "Hz": (1e6, "MHz"),
    "bytes": (2.0**30, "GiB"),
    "celsius": (1.0, "°C"),
    "1": (1.0, ""),
}
"""How values of a unit are written at an axis: what they are divided by, and the unit then."""


def heading(title: str, width: int, right: str = "") -> Row:
    """Write the heading of a section, with a remark at its right end."""
    return (
        spread(((f" {title}", "bold"),), ((f"{right} ", "dim"),), width)
        if right
        else fit_row(((f" {title}", "bold"),), width)
    )


def text(said: str, width: int, style: StyleName = "plain", indent: int = INDENT) -> list[Row]:
    """Write running text, indented."""
    return [fit_row(((" " * indent, "plain"), (line, style)), width) for line in wrap(said, max(1, width - indent - 1))]


def graph(
    title: str,
    track: Track,
    charset: Charset,
    width: int,
    height: int,
    limit: Threshold | None = None,
    moments: Sequence[Moment] = (),
) -> list[Row]:
    """Draw one track with its title, its unit, its newest value, a limit if there is one, and what happened."""
    scale, unit = _SCALES.get(track.unit, (1.0, track.unit))
    newest = next((value for value in reversed(track.values) if value is not None), None)
    name: Row = ((f" {title} {unit}".rstrip(), "bold"),)
    head = spread(name, ((f"{units.value(newest, track.unit)} ", "series1"),), width)
    grid = Grid(track.end, track.step, scale, high=1.0 if track.unit == "ratio" else None)
    return [head, *plot([Series(track.values, "series1")], grid, width, height - 1, charset, limit, moments)]


def side_by_side(graphs: Sequence[list[Row]], width: int, across: int) -> list[Row]:
    """Put graphs of one height below one another, or in pairs with the rule between them."""
    rows: list[Row] = []
    for at in range(0, len(graphs), across):
        pair = graphs[at : at + across]
        if len(pair) == 1:
            rows += [fit_row(row, width) for row in pair[0]]
        else:
            rows += [fit_row((*left, ("│", "dim"), *right), width) for left, right in zip(*pair, strict=True)]
    return rows


def labelled(label: str, lines: Sequence[str], style: StyleName, width: int, height: int) -> list[Row]:
    """Write lines with their name beside the first."""
    heads = [f" {label}", *("" for _ in lines[1:])]
    return [
        fit_row(((fit(head, LABEL), "bold"), (crop(line, max(0, width - LABEL - 1)), style)), width)
        for head, line in zip(heads, lines, strict=True)
    ][:height]
