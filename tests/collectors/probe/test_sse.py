"""Server-sent events come out of a stream as they went in, however it is cut into pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.probe.sse import Event, OversizeError, Parser

LETTERS = st.characters(codec="utf-8", exclude_characters="\r\n")
LINES = st.text(LETTERS, max_size=20)
NAMES = st.text(LETTERS, min_size=1, max_size=8)
EVENTS = st.lists(st.builds(Event, st.lists(LINES, min_size=1, max_size=3).map("\n".join), NAMES), max_size=6)


def fed(parser: Parser, data: bytes, cuts: list[int]) -> list[Event]:
    """Feed `data` in pieces that end at `cuts`."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [event for low, high in pairwise(edges) for event in parser.feed(data[low:high])]


@given(EVENTS, st.sampled_from(["\n", "\r", "\r\n"]), st.lists(st.integers(0, 10_000), max_size=12), st.booleans())
def test_events_survive_any_line_end_and_any_cut(events: list[Event], end: str, cuts: list[int], bom: bool) -> None:
    """What was written is read back: any line end, a comment before each line, characters split between pieces."""
    lines = ["\ufeff"] if bom else []
    text = "".join(lines)
    for event in events:
        text += f": ping{end}event: {event.name}{end}"
        text += "".join(f":{end}data: {line}{end}" for line in event.data.split("\n"))
        text += end
    assert fed(Parser(), text.encode(), cuts) == events


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=20))
def test_cuts_change_nothing(data: bytes, cuts: list[int]) -> None:
    """Any bytes at all give the same events whole and in pieces, and raise nothing."""
    assert fed(Parser(), data, cuts) == Parser().feed(data)


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"data:a\n\n", [Event("a")]),
        (b"data: a\ndata:  b\n\n", [Event("a\n b")]),
        (b"data\n\n", [Event("")]),
        (b": ping\n\n", []),
        (b"event: ping\n\ndata: a\n\n", [Event("a")]),
        (b"id: 1\nretry: 5\nother: x\ndata: a\n\n", [Event("a")]),
        (b"data: broken off", []),
        (b"data: a\r\r\ndata: b\r\n\r\n", [Event("a"), Event("b")]),
        (b"data: \xff\n\n", [Event("\ufffd")]),
    ],
)
def test_the_standard(data: bytes, events: list[Event]) -> None:
    """Fields, comments, line ends and breaks are read as the standard says."""
    assert Parser().feed(data) == events


def test_a_cut_crlf_ends_a_line_once() -> None:
    """The LF that follows a CR in the next piece is no empty line of its own."""
    parser = Parser()
    assert parser.feed(b"data: a\r") == []
    assert parser.feed(b"\n") == []
    assert parser.feed(b"data: b\r") == []
    assert parser.feed(b"\ndata: c\r\n\r") == [Event("a\nb\nc")]
    assert parser.feed(b"\ndata: d\n\n") == [Event("d")]


def test_an_endless_line_is_refused() -> None:
    """A line that does not end is not kept beyond the limit."""
    parser = Parser(limit=1000)
    parser.feed(b"data: " + b"x" * 900)
    with pytest.raises(OversizeError, match="a line of more than 1000 bytes"):
        parser.feed(b"x" * 200)


def test_an_endless_event_is_refused() -> None:
    """An event of many short lines is not kept beyond the limit."""
    parser = Parser(limit=1000)
    with pytest.raises(OversizeError, match="an event of more than 1000 bytes"):
        parser.feed(b"data: 12345678\n" * 200)
