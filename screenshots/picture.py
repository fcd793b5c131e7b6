"""A picture of what the screen shows, as SVG: every cell in its place, braille and blocks drawn as shapes.

Fonts differ in which braille and block glyphs they have and how high their lines are; drawn as shapes, a picture looks
the same everywhere. Text is in whatever monospaced font there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

from rich.cells import cell_len

from tui.palette import COLOURED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.style import Style

    from tui.rows import Row

WIDTH, HEIGHT, SIZE = 9.03, 18.0, 15.0
"""A cell and the font, in pixels."""
MARGIN = 12.0
BACKGROUND, FOREGROUND = "#14171a", "#d3d7cf"
COLOURS = {
    "red": "#f0524f",
    "yellow": "#e0b341",
    "green": "#5cb85c",
    "cyan": "#4ec9d6",
    "magenta": "#c586d8",
    "bright_blue": "#6ca0ff",
    "bright_yellow": "#fff08a",
}
_DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
_EIGHTHS = "▏▎▍▌▋▊▉█"


class Look(NamedTuple):
    """A style as a picture has it."""

    fill: str
    opacity: float
    bold: bool
    back: str | None


def look(style: Style) -> Look:
    """Turn a style of the terminal into colours of the picture."""
    fill = COLOURS.get(style.color.name, FOREGROUND) if style.color is not None else FOREGROUND
    if style.reverse:
        return Look(BACKGROUND, 1.0, bool(style.bold), fill)
    return Look(fill, 0.55 if style.dim else 1.0, bool(style.bold), None)


def svg(rows: Sequence[Row]) -> str:
    """Draw rows as an SVG document."""
    columns = max(sum(cell_len(text) for text, _ in row) for row in rows)
    width, height = columns * WIDTH + 2 * MARGIN, len(rows) * HEIGHT + 2 * MARGIN
    body = "\n".join(shape for y, row in enumerate(rows) for shape in _row(row, MARGIN + y * HEIGHT))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{SIZE}">\n'
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>\n{body}\n</svg>\n'
    )


def _row(row: Row, top: float) -> Iterator[str]:
    x = MARGIN
    for text, name in row:
        style = look(COLOURED[name])
        if style.back:
            size = f'width="{cell_len(text) * WIDTH:.1f}" height="{HEIGHT}"'
            yield f'<rect x="{x:.1f}" y="{top:.1f}" {size} fill="{style.back}"/>'
        paint = f'fill="{style.fill}" opacity="{style.opacity}"'
        word, begin = "", x
        for glyph in text:
            drawn = glyph == " " or "\u2800" <= glyph <= "\u28ff" or glyph in _EIGHTHS or glyph in "│─┤└┴┈"
            if drawn and word:
                yield _word(word, begin, top, paint, bold=style.bold)
                word = ""
            if drawn:
                yield from _glyph(glyph, x, top, paint)
            else:
                begin = begin if word else x
                word += glyph
            x += cell_len(glyph) * WIDTH
        if word:
            yield _word(word, begin, top, paint, bold=style.bold)


def _word(word: str, x: float, top: float, paint: str, *, bold: bool) -> str:
    weight = ' font-weight="bold"' if bold else ""
    place = f'x="{x:.1f}" y="{top + HEIGHT * 0.76:.1f}" textLength="{cell_len(word) * WIDTH:.1f}"'
    return f"<text {place} {paint}{weight}>{escape(word)}</text>"


def _glyph(glyph: str, x: float, top: float, paint: str) -> Iterator[str]:
    middle, centre = top + HEIGHT / 2, x + WIDTH / 2
    if "\u2800" <= glyph <= "\u28ff":
        for bit, (across, down) in enumerate(_DOTS):
            if (ord(glyph) - 0x2800) >> bit & 1:
                cx, cy = x + WIDTH * (0.25 + 0.5 * across), top + HEIGHT * (0.125 + 0.25 * down)
                yield f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="1.35" {paint}/>'
    elif glyph in _EIGHTHS:
        width = WIDTH * (_EIGHTHS.index(glyph) + 1) / 8
        yield f'<rect x="{x:.1f}" y="{top + 2:.1f}" width="{width + 0.3:.1f}" height="{HEIGHT - 4}" {paint}/>'
    elif glyph == "┈":
        for part in range(3):
            yield f'<rect x="{x + WIDTH * part / 3:.1f}" y="{middle - 0.5:.1f}" width="1.6" height="1" {paint}/>'
    else:
        yield from _lines(glyph, x, top, centre, middle, paint)


def _lines(glyph: str, x: float, top: float, centre: float, middle: float, paint: str) -> Iterator[str]:
    up, down = glyph in "│┤└┴", glyph in "│┤"
    left, right = glyph in "─┤┴", glyph in "─└┴"
    if up or down:
        begin, end = (top if up else middle), (top + HEIGHT if down else middle)
        yield f'<rect x="{centre - 0.5:.1f}" y="{begin:.1f}" width="1" height="{end - begin:.1f}" {paint}/>'
    if left or right:
        begin, end = (x if left else centre), (x + WIDTH if right else centre)
        yield f'<rect x="{begin:.1f}" y="{middle - 0.5:.1f}" width="{end - begin:.1f}" height="1" {paint}/>'
