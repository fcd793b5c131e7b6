"""Text from outside, made harmless once, where it comes in.

A server, a driver or a file may put anything into a name: escape sequences that move the cursor or set the window's
title, line breaks that forge a second log line, bidirectional overrides that show another word than the one that is
there. Everything after the collectors may print what it got, because it went through `clean`.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ELLIPSIS = "…"

_MOST_MARKS = 2  # combining marks on one letter: no written language needs more, and a pile of them covers other lines

# Control strings (DCS, SOS, OSC, PM, APC) with their end, control sequences (CSI), and the two-character escapes, in
# their 7-bit and their 8-bit form: ECMA-48, sections 5.3 to 5.6. A control string without an end loses its introducer
# alone. The inside of one excludes every control character, so that the search stays linear.
_ESCAPE_SEQUENCE = re.compile(
    r"(?:\x1b[PX\]^_]|[\x90\x98\x9d-\x9f])[^\x07\x18\x1a\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]"
)


def clean(text: str, limit: int = 200) -> str:
    """Return `text` with printable characters only, on one line, at most `limit` (>= 1) characters long.

    Escape sequences, control, format and private characters, lone surrogates and unassigned code points are dropped;
    every kind of white space becomes a space. What is too long ends in `…`. Cleaning twice changes nothing more.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    kept = "".join(islice(_harmless(_ESCAPE_SEQUENCE.sub("", text)), limit + 1))
    return kept if len(kept) <= limit else kept[: limit - 1] + ELLIPSIS


def _harmless(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        if character.isprintable():
            marks = marks + 1 if unicodedata.combining(character) else 0
            if marks <= _MOST_MARKS:
                yield character
        elif character.isspace():
            marks = 0
            yield " "
