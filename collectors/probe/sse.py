"""Server-sent events out of bytes that arrive in pieces, as the WHATWG HTML standard reads them (section 9.2).

Lines end in LF, CR or CRLF; comments (`: ping`) are dropped; the `data` lines of an event are joined by LF; a blank
line ends the event. What a stream breaks off in the middle of is no event.
"""

from __future__ import annotations

import re

from msgspec import Struct

MAX_EVENT = 128 * 2**10
"""Bytes that one line, and one event, may have. The chunks of a completion have 200 to 500."""

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class OversizeError(ValueError):
    """A line or an event longer than the limit; the stream is of no use from here on."""


class Event(Struct, frozen=True):
    """One event."""

    data: str
    name: str = "message"


class Parser:
    """Reads one stream from its begin. Bytes that are not UTF-8 become U+FFFD."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._line = bytearray()
        """The line that has not ended yet: a character may be split between two pieces, a line is decoded whole."""
        self._ended_in_cr = False
        self._first = True
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[Event]:
        """Return the events that end in this piece. Raises OversizeError; nothing may be fed after that."""
        if not piece:
            return []
        if self._ended_in_cr and piece.startswith(b"\n"):  # the second half of a CRLF
            piece = piece[1:]
            self._ended_in_cr = False
            if not piece:
                return []
        self._ended_in_cr = piece.endswith(b"\r")
        *whole, rest = _LINE_END.split(piece)
        events = []
        for end in whole:
            self._keep(end)
            event = self._take(bytes(self._line))
            self._line.clear()
            if event is not None:
                events.append(event)
        self._keep(rest)
        return events

    def _keep(self, part: bytes) -> None:
        if len(self._line) + len(part) > self._limit:
            raise OversizeError(f"a line of more than {self._limit} bytes")
        self._line += part

    def _take(self, line: bytes) -> Event | None:
        """Take in a line; returns the event that it ends."""
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")  # a comment has an empty field name
        value = value.removeprefix(b" ")
        if field == b"data":
            self._size += len(value) + 1
            if self._size > self._limit:
                raise OversizeError(f"an event of more than {self._limit} bytes")
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> Event | None:
        data, name = self._data, self._name
        self._data, self._name, self._size = [], "", 0
        if not data:
            return None
        return Event(b"\n".join(data).decode("utf-8", "replace"), name or "message")
