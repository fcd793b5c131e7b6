"""A widget that shows rows and sends only those that changed.

Textual repaints whole dirty regions and does not compare frames: a `Static` in 160x30 sends 6.5 kB for one changed
digit. Here the rows are compared, so that an unchanged row costs neither a byte nor a Strip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.palette import COLOURED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.style import Style

    from tui.rows import Row


class Strips(Widget):
    """Rows, one a line, from the top left corner; whoever owns it calls `show` with all of them."""

    DEFAULT_CSS = "Strips { width: 100%; height: 100%; background: ansi_default; color: ansi_default; }"

    def __init__(self, styles: Mapping[str, Style] = COLOURED) -> None:
        super().__init__()
        self._styles = styles
        self._rows: list[Row] = []
        self._strips: list[Strip] = []

    def show(self, rows: Sequence[Row]) -> int:
        """Show these rows; return how many of them differ from those shown before."""
        previous, strips = self._rows, self._strips
        changed = [y for y, row in enumerate(rows) if y >= len(previous) or row != previous[y]]
        gone = range(len(rows), len(previous))
        self._rows = list(rows)
        self._strips = [*strips[: len(rows)], *(Strip([]) for _ in range(len(rows) - len(strips)))]
        for y in changed:
            self._strips[y] = self._strip(rows[y])
        dirty = [*changed, *gone]
        if dirty:
            width = max(1, self.size.width)
            self.refresh(*(Region(0, y, width, 1) for y in dirty))
        return len(dirty)

    def _strip(self, row: Row) -> Strip:
        styles = self._styles
        return Strip([Segment(text, styles[style]) for text, style in row])

    def render_line(self, y: int) -> Strip:
        """Look up the line; a blank one has a style too, because one without crashes under NO_COLOR."""
        width = self.size.width
        plain = self._styles["plain"]
        if y >= len(self._strips):
            return Strip([Segment(" " * width, plain)], width)
        return self._strips[y].adjust_cell_length(width, plain)
