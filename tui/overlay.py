"""What is written over a graph where it has no data: a limit, moments at which something happened. Data always wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tui.rows import cells, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tui.palette import StyleName
    from tui.rows import Span


LINE = "┊"
"""What the line of a moment is made of."""


class Threshold(NamedTuple):
    """A limit, drawn as a dotted line where there is no data."""

    value: float
    label: str
    style: StyleName = "warning"


class Moment(NamedTuple):
    """When something happened, drawn as a dotted vertical line where there is no data."""

    wall: float
    """Seconds since the epoch."""
    label: str


class Cells:
    """A row of a graph cell by cell, to be written over."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.glyphs: list[str] = []
        self.styles: list[StyleName] = []
        for text, style in spans:
            glyphs = _glyphs(text)
            self.glyphs += glyphs
            self.styles += [style] * len(glyphs)

    def is_blank(self, at: int, size: int) -> bool:
        """Tell whether there is room for so many cells, with nothing in them."""
        return 0 <= at <= len(self.glyphs) - size and all(map(str.isspace, self.glyphs[at : at + size]))

    def write(self, at: int, text: str, style: StyleName) -> None:
        """Write over what is there."""
        glyphs = _glyphs(text)
        self.glyphs[at : at + len(glyphs)] = glyphs
        self.styles[at : at + len(glyphs)] = [style] * len(glyphs)

    def spans(self) -> list[Span]:
        """Put neighbours of one style together."""
        merged: list[Span] = []
        for glyph, style in zip(self.glyphs, self.styles, strict=True):
            if merged and merged[-1][1] == style:
                merged[-1] = (merged[-1][0] + glyph, style)
            else:
                merged.append((glyph, style))
        return merged


def _glyphs(text: str) -> list[str]:
    """Give an entry for each cell: a glyph of two is followed by an empty one, and one of none is left out."""
    if text.isascii():
        return list(text)
    found: list[str] = []
    for glyph in plain(text):
        size = cells(glyph)
        found += [glyph, *[""] * (size - 1)] if size else []
    return found


def limit_line(spans: Sequence[Span], limit: Threshold, *, above: bool) -> list[Span]:
    """Put the limit's line and label where the row is blank; the label alone where the limit lies `above` the graph."""
    row = Cells(spans)
    label = f" {limit.label}{' ↑' if above else ''} "
    size = len(_glyphs(label))
    at = next((at for at in range(len(row.glyphs) - size, -1, -1) if row.is_blank(at, size)), None)
    for index, glyph in enumerate(row.glyphs):
        if glyph == " ":
            row.write(index, " " if above else "┈", limit.style)
    if at is not None:
        row.write(at, label, limit.style)
    return row.spans()


def with_moments(body: Sequence[list[Span]], moments: Sequence[tuple[int, str]]) -> list[list[Span]]:
    """Draw a vertical line at each of (cell, label) through the blank cells of a graph, the oldest first.

    The label stands beside it in the first row where there is room; where there is not for all, the newest have it.
    """
    if not moments:
        return list(body)
    rows = [Cells(spans) for spans in body]
    for row in rows:
        for cell, _ in moments:
            if row.is_blank(cell, 1):
                row.write(cell, LINE, "dim")
    for cell, label in reversed(moments):
        size = len(_glyphs(label))
        if not size or rows[0].glyphs[cell] != LINE:
            continue
        if rows[0].is_blank(cell + 1, size + 1):
            rows[0].write(cell + 1, label, "dim")
        elif rows[0].is_blank(cell - size - 1, size + 1):
            rows[0].write(cell - size, label, "dim")
    return [row.spans() for row in rows]
