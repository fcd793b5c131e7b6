"""Streams of a completion, in pieces as they may arrive."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from collectors.probe.chunk import read_chunk
from collectors.probe.reply import Limits
from collectors.probe.sse import MAX_EVENT, OversizeError, Parser
from collectors.probe.stream import _Timeline
from tests.fuzz.invariants import is_harmless
from tests.fuzz.mutation import TEXTS, mangled, mutated_json

if TYPE_CHECKING:
    from random import Random

    from collectors.probe.sse import Event

_EVENTS = (
    b'{"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}',
    b'{"choices": [{"index": 0, "delta": {"content": "word"}, "finish_reason": null}]}',
    b'{"choices": [{"index": 0, "delta": {"reasoning_content": "so"}}]}',
    b'{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{"}}]}}]}',
    b'{"choices": [{"text": " word", "logprobs": null}]}',
    (
        b'{"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10,'
        b' "prompt_tokens_details": {"cached_tokens": 4}}}'
    ),
    b'{"error": {"message": "out of memory", "code": 500}}',
    b"[DONE]",
)
_FRAMES = (
    b"data: %s\n\n",
    b"data:%s\r\n\r\n",
    b"event: error\ndata: %s\n\n",
    b": ping\n\ndata: %s\r\r",
    b"id: 7\ndata: %s\n\n",
)


def make(random: Random) -> list[bytes]:
    """Make the pieces of a stream."""
    stream = b""
    for _ in range(random.choice((1, 3, 10, 40))):
        data = random.choice(_EVENTS)
        if data.startswith(b"{") and random.random() < 0.3:
            data = mutated_json(data, random)
        stream += random.choice(_FRAMES).replace(b"%s", data)
        if random.random() < 0.05:
            stream += random.choice((*TEXTS, b"data: " + b"x" * 1_000_000, b"data: a\n" * 60_000, b"\n" * 100_000))
    if random.random() < 0.4:
        stream = mangled(stream, random)
    cuts = sorted(random.randint(0, len(stream)) for _ in range(random.choice((0, 1, 5, 50))))
    return [stream[begin:end] for begin, end in pairwise((0, *cuts, len(stream)))]


def run(pieces: list[bytes]) -> None:
    """Read the stream; how it was cut into pieces changes nothing."""
    events, broken = _events(pieces)
    if not broken:
        assert events == _events([b"".join(pieces)])[0]
    for event in events:
        assert len(event.data) <= MAX_EVENT
        chunk = read_chunk(event.data, event.name)
        assert is_harmless(chunk.error)
        assert chunk.token or not chunk.answer
        if chunk.usage is not None:
            counts = msgspec.structs.astuple(chunk.usage)
            assert all(each is None or 0 <= each < 2**53 for each in counts)
    seen = _Timeline(Limits(10.0, 500, 2**20))
    for moment, piece in enumerate(pieces):
        why = seen.take(piece, float(moment))
        assert is_harmless(why)
        if why or seen.is_done():
            break
    _, said = seen.verdict()
    assert is_harmless(said)
    assert seen.moments == sorted(seen.moments)
    assert seen.first_answer is None or seen.first_answer in seen.moments


def _events(pieces: list[bytes]) -> tuple[list[Event], bool]:
    parser, events = Parser(), []
    for piece in pieces:
        try:
            events += parser.feed(piece)
        except OversizeError:
            return events, True
    return events, False
