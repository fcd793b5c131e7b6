"""One request over real HTTP: what is stamped when, and that it ends whatever the server does."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from collectors.clock import Clock
from collectors.probe.chunk import Usage
from collectors.probe.reply import Limits, Outcome, Reply
from collectors.probe.stream import Client
from tests.collectors.probe.serving import DONE, HEAD, StepClock, delta, event, piece, script, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Write = Callable[[asyncio.StreamWriter], Awaitable[None]]

USAGE = event(choices=[], usage={"prompt_tokens": 9, "completion_tokens": 3})


@asynccontextmanager
async def client(clock: Clock, **headers: str) -> AsyncIterator[Client]:
    opened = Client(headers, None, clock)
    try:
        yield opened
    finally:
        await opened.close()


def asked(reply: Write, clock: StepClock | None = None, limits: Limits | None = None, **headers: str) -> Reply:
    """Send one request to a server that answers so."""
    used = Clock() if clock is None else Clock(clock.wall, clock.mono)

    async def ask() -> Reply:
        async with serving(reply) as served, client(used, **headers) as sender:
            return await sender.ask(f"{served.url}/v1/chat/completions", "the server", b"{}", limits or Limits())

    return asyncio.run(ask())


def said(*data: bytes, status: bytes = b"200 OK", kind: bytes = b"text/event-stream") -> Write:
    """Answer with a whole body at once."""
    body = b"".join(data)
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (status, kind, len(body))

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(head + body)
        await writer.drain()

    return write


def test_each_moment_is_stamped_as_it_is_read() -> None:
    """TTFT ends at the first token, not at the head, a role or a comment; E2E at the last token, not at the usage."""
    clock = StepClock()
    steps = (
        (1.0, b""),
        (2.0, delta(role="assistant", content="")),
        (2.5, b": ping\n\n"),
        (3.0, delta(content="a")),
        (3.5, delta(content="b")),
        (4.5, delta(content="c")),
        (5.0, USAGE),
        (6.0, DONE),
    )
    reply = asked(script(clock, *steps), clock)
    assert (reply.outcome, reply.reason, reply.sent) == (Outcome.OK, "", 0.0)
    assert (reply.first_byte, reply.first_token, reply.first_answer, reply.last_token) == (1.0, 3.0, 3.0, 4.5)
    assert (reply.ended, reply.gaps, reply.chunks) == (6.0, (0.5, 1.0), 3)
    assert reply.usage == Usage(9, 3)
    assert reply.tpot == 0.75


def test_reasoning_is_first_and_the_answer_later() -> None:
    """TTFT counts reasoning, TTFO does not."""
    clock = StepClock()
    steps = ((1.0, b""), (2.0, delta(reasoning="hm")), (4.0, delta(content="a")), (5.0, DONE))
    reply = asked(script(clock, *steps), clock)
    assert (reply.first_token, reply.first_answer) == (2.0, 4.0)


def test_an_event_in_two_pieces_counts_when_it_is_whole() -> None:
    """An event that was cut is stamped with the piece that ends it."""
    clock = StepClock()
    whole = delta(content="ä")
    reply = asked(script(clock, (1.0, b""), (2.0, whole[:30]), (3.0, whole[30:]), (4.0, DONE)), clock)
    assert reply.first_token == 3.0


def test_tpot_is_of_usage_and_never_of_chunks() -> None:
    """Two chunks that hold nine tokens have eight gaps between their tokens; usage beside a choice is read."""
    clock = StepClock()
    usage = {"prompt_tokens": 1, "completion_tokens": 9}
    last = event(choices=[{"index": 0, "delta": {"content": "b"}, "finish_reason": "stop"}], usage=usage)
    reply = asked(script(clock, (1.0, b""), (2.0, delta(content="a")), (4.0, last), (4.0, DONE)), clock)
    assert reply.tpot == 0.25


def test_without_usage_token_numbers_are_not_known() -> None:
    """No usage: TTFT is known, TPOT is not, and nothing is guessed from chunks."""
    reply = asked(said(delta(content="a"), delta(content="b"), DONE))
    assert (reply.outcome, reply.usage, reply.tpot) == (Outcome.OK, None, None)
    assert reply.first_token is not None


def test_the_last_usage_that_says_something_counts() -> None:
    """Running usage in every chunk, and a null at the end: the last that is one is kept."""
    first = event(choices=[{"delta": {"content": "a"}}], usage={"prompt_tokens": 4, "completion_tokens": 1})
    second = event(choices=[{"delta": {"content": "b"}}], usage={"prompt_tokens": 4, "completion_tokens": 2})
    reply = asked(said(first, second, event(choices=[], usage=None), DONE))
    assert reply.usage == Usage(4, 2)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(piece(delta(content="more")))
            await writer.drain()


def test_a_stream_that_never_ends_is_cut_off_by_its_tokens() -> None:
    """A server that overlooks max_tokens is cut off; what was seen stays known."""
    reply = asked(endless, limits=Limits(chunks=20, bytes=10**9))
    assert reply.outcome is Outcome.CUT
    assert (
        reply.reason
        == "the stream had more than 20 chunks for an answer that may have a tenth of them, and was cut off"
    )
    assert reply.first_token is not None


def test_a_stream_that_never_ends_is_cut_off_by_its_bytes() -> None:
    """So is one whose events carry no token."""

    async def pings(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(piece(b": ping\n\n" * 100))
                await writer.drain()

    reply = asked(pings, limits=Limits(bytes=10_000))
    assert (reply.outcome, reply.reason) == (Outcome.CUT, "the stream had more than 10000 bytes, and was cut off")


def test_a_megabyte_in_one_chunk_is_cut_off() -> None:
    """One event of 1 MB is not kept."""
    reply = asked(said(delta(content="x" * 2**20), DONE))
    assert (reply.outcome, reply.first_token) == (Outcome.CUT, None)
    assert reply.reason == "the stream had a line of more than 131072 bytes, and was cut off"


async def silent(_writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def test_no_answer_is_a_timeout() -> None:
    """A server that takes the request and says nothing is left after the deadline, and its time is known."""
    reply = asked(silent, limits=Limits(seconds=0.05))
    assert (reply.outcome, reply.reason, reply.first_byte) == (Outcome.TIMEOUT, "no token in 0.05 s", None)
    assert reply.ended - reply.sent >= 0.05


def test_a_stalled_stream_is_a_timeout_with_its_first_token() -> None:
    """A stream that stalls half way has a TTFT and no end."""

    async def stalls(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + piece(delta(content="a")))
        await asyncio.Event().wait()

    reply = asked(stalls, limits=Limits(seconds=0.2))
    assert (reply.outcome, reply.reason) == (Outcome.TIMEOUT, "no end in 0.2 s")
    assert reply.first_token is not None


def test_what_is_done_is_ok_though_its_connection_stays_open() -> None:
    """A server that says it is done and never closes the body has answered."""

    async def lingers(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + piece(delta(content="a") + DONE))
        await asyncio.Event().wait()

    reply = asked(lingers)
    assert (reply.outcome, reply.reason) == (Outcome.OK, "")


def test_an_error_inside_a_200_is_a_failure() -> None:
    """A stream that began well and reports an error has failed, with what it said."""
    reply = asked(said(delta(content="a"), event(error={"message": "engine died"}), DONE))
    assert (reply.outcome, reply.reason) == (Outcome.FAILED, "an error in the stream: engine died")


def test_a_stream_without_a_token_is_a_failure() -> None:
    """An answer of nothing is none."""
    reply = asked(said(delta(role="assistant"), DONE))
    assert (reply.outcome, reply.reason) == (Outcome.FAILED, "the stream ended without a token")


def test_a_stream_that_breaks_off_is_a_failure() -> None:
    """A connection that ends in the middle is not taken for the end of the answer."""

    async def breaks(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + piece(delta(content="a")))
        await writer.drain()
        raise ConnectionAbortedError

    reply = asked(breaks)
    assert (reply.outcome, reply.reason) == (Outcome.FAILED, "the server broke off its stream")


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (b"503 Busy", Outcome.FAILED, '503: "too busy"'),
        (b"429 Slow", Outcome.FAILED, '429: "too busy"'),
        (b"401 No", Outcome.REFUSED, '401: "too busy": it wants a token; give one with --token-env NAME'),
        (b"404 No", Outcome.REFUSED, '404: "too busy": name a model with --probe-model'),
    ],
)
def test_statuses(status: bytes, outcome: Outcome, reason: str) -> None:
    """A status that speaks of the request is no result of the server; one that speaks of the server is."""
    reply = asked(said(b'{"error": {"message": "too busy"}}', status=status, kind=b"application/json"))
    assert (reply.outcome, reply.reason) == (outcome, reason)


def test_a_redirect_is_not_followed() -> None:
    """Neither prompt nor token go where the server points."""

    async def points(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 307 Away\r\nLocation: http://other.test/\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    assert asked(points).outcome is Outcome.REFUSED


def test_an_answer_that_does_not_stream_is_refused() -> None:
    """JSON instead of a stream cannot be timed, and says so."""
    reply = asked(said(b'{"choices": []}', kind=b"application/json"))
    assert reply.outcome is Outcome.REFUSED
    assert reply.reason.startswith("it answers application/json instead of a stream")


def test_a_secret_that_the_server_echoes_is_not_told() -> None:
    """The value of a header stands in no reason."""
    body = b'{"error": {"message": "bad key sesame-123"}}'
    reply = asked(said(body, status=b"401 No", kind=b"application/json"), Authorization="Bearer sesame-123")
    assert "sesame" not in reply.reason
    assert '"bad key ..."' in reply.reason


def test_nobody_listens() -> None:
    """A refused connection is a failure with a remedy."""

    async def ask() -> Reply:
        async with serving(silent) as served:
            url = served.url
        async with client(Clock()) as sender:
            return await sender.ask(url, url, b"{}", Limits())

    reply = asyncio.run(ask())
    assert reply.outcome is Outcome.FAILED
    assert "refused the connection: is the server running" in reply.reason


def test_a_get_opens_the_connection_that_the_request_uses() -> None:
    """A fresh connection is told from one that was open; a GET for the models opens it, and names them."""

    async def ask() -> tuple[Reply, Reply, tuple[str, ...] | None]:
        async with serving(said(delta(content="a"), DONE)) as served:
            async with client(Clock()) as sender:
                fresh = await sender.ask(served.url, "x", b"{}", Limits())
            async with client(Clock()) as sender:
                names = await sender.models(f"{served.url}/v1/models", 5.0)
                reused = await sender.ask(served.url, "x", b"{}", Limits())
        return fresh, reused, names

    fresh, reused, names = asyncio.run(ask())
    assert (fresh.reused, reused.reused, names) == (False, True, ("served",))
    assert fresh.connecting > 0
    assert reused.connecting == 0


@pytest.mark.parametrize("models", [b"no json", b'{"data": 5}', b"x" * 3_000_000])
def test_models_that_cannot_be_read_are_not_known(models: bytes) -> None:
    """Whatever stands where the models should, nothing is raised."""

    async def ask() -> tuple[str, ...] | None:
        async with serving(silent) as served, client(Clock()) as sender:
            served.models = models
            return await sender.models(f"{served.url}/v1/models", 5.0)

    assert asyncio.run(ask()) is None
