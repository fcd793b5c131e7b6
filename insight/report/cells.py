"""How wide text is on a terminal, and how it is padded and wrapped by that width rather than by its characters."""

from __future__ import annotations

import re
import unicodedata

_BREAK = re.compile(r"(?<!\d)\s+|\s+(?!(?:[µm]?s|min|[hd]|%|[KMGT]iB|[kMG]|k?J|[BW]|MHz|°C|tokens(?:/s)?)(?!\w))")
"""White space, save that between a number and its unit."""


def width(text: str) -> int:
    """Count the cells that a text takes: two for wide East Asian characters, none for marks that join another."""
    return len(text) if text.isascii() else sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, cells: int, right: bool) -> str:
    """Fill a text with spaces up to a width."""
    space = " " * (cells - width(text))
    return space + text if right else text + space


def words(text: str) -> list[str]:
    """Split a text where it may be broken: at white space, but `~37.5 ms` stays one word."""
    return [word for word in _BREAK.split(text.strip()) if word]


def wrap(text: str, cells: int) -> list[str]:
    """Break a text between words into lines that fit, a word that is too long anywhere; an empty text is one line.

    `cells` is 2 or more: the widest character must fit.
    """
    lines: list[str] = []
    line = ""
    for word in words(text):
        for piece in _pieces(word, cells):
            if line and width(line) + 1 + width(piece) <= cells:
                line = f"{line} {piece}"
            else:
                lines.append(line)
                line = piece
    lines.append(line)
    return lines[1:] or [""]


def _pieces(word: str, cells: int) -> list[str]:
    """Break a word that is too long, at the white space in it first."""
    if width(word) <= cells:
        return [word]
    pieces: list[str] = []
    for part in word.split():
        piece = ""
        for character in part:
            if width(piece + character) > cells:
                pieces.append(piece)
                piece = ""
            piece += character
        pieces.append(piece)
    return pieces
