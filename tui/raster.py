"""Lines of a graph as bits, and bits as cells: braille (2x4 dots a cell), half blocks (1x2) or ASCII (1x1).

A series is one int for each sub-column (bit 0 is the lowest dot), because `|=` of a run of bits costs the same for 4
dots and for 120. Columns are anchored to absolute time, `floor(t / width of a column)`, so that a graph moves by whole
columns and old ones never shimmer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tui.palette import StyleName
    from tui.rows import Charset, Span


class Line(NamedTuple):
    """One series, rasterised."""

    columns: list[int]
    style: StyleName
    mark: str
    """What it is drawn with in ASCII, where colours do not tell lines apart."""


DOTS: dict[Charset, tuple[int, int]] = {"braille": (2, 4), "block": (1, 2), "ascii": (1, 1)}
"""Dots a cell, across and down."""
_LEFT = (0x40, 0x04, 0x02, 0x01)
_RIGHT = (0x80, 0x20, 0x10, 0x08)
_BRAILLE = tuple(
    chr(0x2800 + sum(_LEFT[i] for i in range(4) if left >> i & 1) + sum(_RIGHT[i] for i in range(4) if right >> i & 1))
    for left in range(16)
    for right in range(16)
)
_BLOCKS = " ▄▀█"


def column_of(time: float, end: float, step: float, width: float, columns: int) -> int:
    """Say in which of `columns` a moment lies when the newest value stands in the last; may be outside of them."""
    return columns - 1 - math.floor((end - step / 2) / width) + math.floor(time / width)


def rasterise(
    values: Sequence[float | None], end: float, step: float, columns: int, dot: Callable[[float], int]
) -> list[int]:
    """Draw values on a grid of `step` seconds up to `end` into bitsets; neighbours are joined, None is a gap.

    `dot` says at which dot, counted from below, a value stands.
    """
    bits = [0] * columns
    count = len(values)
    if not count or columns <= 0:
        return bits
    width = count * step / columns
    shift = columns - 1 - math.floor((end - step / 2) / width)
    floor, isfinite = math.floor, math.isfinite
    time = end - (count - 0.5) * step
    before_x, before_y = -1, 0
    for value in values:
        x = floor(time / width) + shift
        time += step
        if value is None or not isfinite(value):
            before_x = -1
            continue
        x = 0 if x < 0 else min(x, columns - 1)
        y = dot(value)
        if before_x < 0:
            bits[x] |= 1 << y
        elif x == before_x:
            low, high = (y, before_y) if y < before_y else (before_y, y)
            bits[x] |= ((1 << (high - low + 1)) - 1) << low
        else:
            _join(bits, before_x, before_y, x, y)
        before_x, before_y = x, y
    return bits


def _join(bits: list[int], x0: int, y0: int, x1: int, y1: int) -> None:
    """Draw the line from a dot that is there already to one in a later column."""
    slope = (y1 - y0) / (x1 - x0)
    last = y0
    for x in range(x0 + 1, x1 + 1):
        y = round(y0 + slope * (x - x0)) if x < x1 else y1
        low, high = (y, last - 1) if y < last else (last + 1, y)
        bits[x] |= ((1 << (high - low + 1)) - 1) << low if high > low else 1 << y
        last = y


def fill(columns: Sequence[int]) -> list[int]:
    """Fill everything below the highest dot of each column, as an area."""
    return [(1 << bits.bit_length()) - 1 for bits in columns]


def cells_of(lines: Sequence[Line], width: int, height: int, charset: Charset) -> list[list[Span]]:
    """Turn rasterised lines into spans, top row first; where lines meet in a cell, the last one has its colour."""
    across, down = DOTS[charset]
    mask = (1 << down) - 1
    blank: Span = (" " * width, "plain")
    rows: list[list[Span]] = []
    for row in range(height - 1, -1, -1):
        shift = row * down
        here = [
            (line, nibbles)
            for line in reversed(lines)
            if any(nibbles := [column >> shift & mask for column in line.columns])
        ]
        rows.append(_row_of(here, width, across, charset) if here else [blank])
    return rows


def _row_of(lines: Sequence[tuple[Line, list[int]]], width: int, across: int, charset: Charset) -> list[Span]:
    spans: list[Span] = []
    glyphs: list[str] = []
    style: StyleName = "plain"
    for cell in range(width):
        owner: Line | None = None
        left = right = 0
        for line, nibbles in lines:
            a, b = nibbles[cell * across], nibbles[cell * across + across - 1]
            if a or b:
                owner = owner or line
                left |= a
                right |= b
        wanted: StyleName = owner.style if owner else style  # a blank has no colour: it goes with what is there
        if wanted != style:
            if glyphs:
                spans.append(("".join(glyphs), style))
            glyphs, style = [], wanted
        if owner is None:
            glyphs.append(" ")
        elif charset == "braille":
            glyphs.append(_BRAILLE[left << 4 | right])
        else:
            glyphs.append(_BLOCKS[left] if charset == "block" else owner.mark)
    spans.append(("".join(glyphs), style))
    return spans
