"""Rows of styled text, measured in terminal cells: what every pane returns and every frame is made of.

A Row is a tuple of (text, style name) spans. Everything here is pure; the names become looks in `tui.palette`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeAlias

from rich.cells import cell_len, set_cell_size

from tui.palette import StyleName

if TYPE_CHECKING:
    from collections.abc import Iterable

Span: TypeAlias = tuple[str, StyleName]
Row: TypeAlias = tuple[Span, ...]
Charset = Literal["braille", "block", "ascii"]

_JOINERS = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufe0e\ufe0f\ufeff"))
"""Characters that change the width of their neighbours; terminals disagree on how, so they are left out."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_ASCII = str.maketrans(
    {
        **dict.fromkeys("\u2014\u2013─┈", "-"),
        **dict.fromkeys("├┤┼└┘┌┐┬┴", "+"),
        **dict.fromkeys("▌▋▊▉█", "#"),
        **dict.fromkeys("▏▎▍", "-"),
        **dict(zip("…│┊▸·°µ↑↓→←", "~|:>. u^v><", strict=True)),
    }
)


def plain(text: str) -> str:
    """Take out the characters whose width depends on their neighbours."""
    return text if text.isascii() else text.translate(_JOINERS)


def cells(text: str) -> int:
    """Count the terminal cells that `text` takes."""
    return len(text) if text.isascii() else cell_len(text)


def crop(text: str, width: int) -> str:
    """Shorten `text` to at most `width` cells, with `…` where something is missing."""
    text = plain(text)
    if cells(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""


def crop_words(text: str, width: int) -> str:
    """Shorten `text` to at most `width` cells as `crop` does, at a word unless the first one is too long already."""
    text = plain(text)
    short = crop(text, width)
    head = short.removesuffix("…")
    if short == text:
        return short
    if not text[len(head) :].startswith(" "):  # it ends within a word
        head = head[: head.rfind(" ")] if " " in head else head
    return head.rstrip(" ,;:·(-") + "…"


def fit(text: str, width: int, align: Literal["<", ">"] = "<") -> str:
    """Shorten or pad `text` to exactly `width` cells."""
    text = crop(text, width)
    padding = " " * (width - cells(text))
    return text + padding if align == "<" else padding + text


def row_width(row: Row) -> int:
    """Count the cells of a row."""
    return sum(cells(text) for text, _ in row)


def fit_row(row: Iterable[Span], width: int) -> Row:
    """Shorten or pad a row to exactly `width` cells; neighbours of one style become one span."""
    merged: list[Span] = []
    left = width
    for raw, style in row:
        if left <= 0:
            break
        text = plain(raw)
        size = cells(text)
        if size > left:
            text = fit(text, left)
            size = left
        left -= size
        if merged and merged[-1][1] == style:
            merged[-1] = (merged[-1][0] + text, style)
        elif text:
            merged.append((text, style))
    if left > 0:
        if merged and merged[-1][1] == "plain":
            merged[-1] = (merged[-1][0] + " " * left, "plain")
        else:
            merged.append((" " * left, "plain"))
    return tuple(merged)


def spread(left: Row, right: Row, width: int) -> Row:
    """Put `right` at the right end of a row that begins with `left`; `left` is shortened if both do not fit."""
    size = row_width(right)
    if size >= width:
        return fit_row(right, width)
    return (*fit_row(left, width - size), *right)


def wrap(text: str, width: int, most: int | None = None) -> list[str]:
    """Break `text` into lines of at most `width` cells at spaces; the last of `most` lines ends in `…` if need be."""
    if width <= 0:
        return []
    lines: list[str] = []
    for paragraph in plain(text).split("\n"):
        line = ""
        for word in paragraph.split():
            rest = word
            if line and cells(line) + 1 + cells(rest) <= width:
                line += f" {rest}"
                continue
            if line:
                lines.append(line)
            while cells(rest) > width:
                head = set_cell_size(rest, width).rstrip()
                if not head:  # a wide glyph in a column of one cell
                    head = rest[0]
                    lines.append("…")
                else:
                    lines.append(head)
                rest = rest[len(head) :]
            line = rest
        lines.append(line)
    if most is not None and len(lines) > most:
        return [*lines[: most - 1], crop(f"{lines[most - 1]} {lines[most]}"[: width * 2 + 2] + "…", width)]
    return lines


def with_tail(lines: list[str], tail: str, room: int, last: int, most: int | None) -> list[str]:
    """Put a tail behind the last of `lines`, shortened if need be; a second line, if any, has `last` cells."""
    if not lines:
        return [tail.strip()]
    if not tail or cells(lines[-1]) + cells(tail) <= (last if len(lines) > 1 else room):
        return [*lines[:-1], lines[-1] + tail]
    if len(lines) == 1 and most != 1:
        return [*lines, tail.strip()]
    return [*lines[:-1], crop_words(lines[-1].removesuffix("…"), max(1, room - cells(tail))) + tail]


def bar(fraction: float | None, width: int) -> str:
    """Draw a share (0 to 1, more is cut) as a bar of `width` cells, to the eighth of a cell; nothing when unknown."""
    if fraction is None or not 0 <= fraction < float("inf"):
        return " " * max(0, width)
    eighths = round(min(1.0, fraction) * width * 8)
    if fraction > 0:
        eighths = max(1, eighths)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)[: max(0, width)]


def to_ascii(row: Row) -> Row:
    """Write a row in ASCII alone, cell by cell; what has no likeness becomes `?`."""
    return tuple((text if text.isascii() else _ascii(text), style) for text, style in row)


_DEGREES = re.compile(r"([-\d.]+) °C")


def _ascii(text: str) -> str:
    text = _DEGREES.sub(r" \1 C", text).replace("°C", "C ")  # the cell of the sign goes where no word is torn
    return "".join(
        character if character.isascii() else "?" * cell_len(character) for character in text.translate(_ASCII)
    )
