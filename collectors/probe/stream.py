"""One streaming request, timed as a client sees it.

Every piece is stamped straight after it was read from the socket, before anything in it is looked at. Whatever a server
does, the request ends: by its deadline, by the bytes it may send, or by the chunks it may send. With
`collectors.fetch`, one of the two modules that import aiohttp: import it where it is first needed.
"""

from __future__ import annotations

import asyncio
import contextlib
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING

import aiohttp
import msgspec
from msgspec import Struct

from collectors.answer import quote
from collectors.clean import clean
from collectors.fetch import explain, open_session, secrets_of
from collectors.probe.chunk import read_chunk
from collectors.probe.reply import Limits, Outcome, Reply
from collectors.probe.sse import OversizeError, Parser

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from collectors.clock import Clock
    from collectors.probe.chunk import Usage

_LINGER = 0.5
"""Seconds that a stream which said that it is done has to end, so that its connection can be used again."""
_HEADERS = {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Content-Type": "application/json"}
_MAX_ERROR_BODY = 16 * 2**10
_MAX_MODELS_BODY = 2 * 2**20
_OURS = frozenset((400, 401, 403, 404, 405, 413, 415, 422))
"""Statuses that speak of the request, not of how the server does."""


class _Timeline:
    """What has been seen of a stream so far."""

    def __init__(self, limits: Limits) -> None:
        self.parser = Parser()
        self.limits = limits
        self.first_byte: float | None = None
        self.status: int | None = None
        self.moments: list[float] = []
        self.first_answer: float | None = None
        self.usage: Usage | None = None
        self.error = ""
        self.done_at: float | None = None
        self.bytes = 0

    def take(self, piece: bytes, now: float) -> str:
        """Take in what was read at `now`; returns why it has to be cut off, or nothing."""
        self.bytes += len(piece)
        try:
            events = self.parser.feed(piece)
        except OversizeError as error:
            return str(error)
        for event in events:
            chunk = read_chunk(event.data, event.name)
            if chunk.token:
                self.moments.append(now)
                if chunk.answer and self.first_answer is None:
                    self.first_answer = now
            self.usage = chunk.usage or self.usage
            self.error = self.error or chunk.error
            if chunk.done:
                self.done_at = now
                return ""
        if len(self.moments) > self.limits.chunks:
            return f"more than {self.limits.chunks} chunks for an answer that may have a tenth of them"
        return f"more than {self.limits.bytes} bytes" if self.bytes > self.limits.bytes else ""

    def is_done(self) -> bool:
        """Tell whether the stream has said that it is."""
        return self.done_at is not None

    def verdict(self) -> tuple[Outcome, str]:
        """Tell the outcome of a stream that has ended, and why it is not ok."""
        if self.error:
            return Outcome.FAILED, f"an error in the stream: {self.error}"
        return (Outcome.OK, "") if self.moments else (Outcome.FAILED, "the stream ended without a token")


class Client:
    """Sends requests to one server over one connection that is kept alive, one at a time.

    `headers` go with every request and appear in no reason. Redirects are not followed.
    """

    def __init__(self, headers: Mapping[str, str], trust: ssl.SSLContext | None, clock: Clock) -> None:
        self._clock = clock
        self._secrets = secrets_of(headers)
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(self._on_reused)
        trace.on_connection_create_start.append(self._on_connecting)
        trace.on_connection_create_end.append(self._on_connected)
        self._session = open_session({"User-Agent": "chimera-top", **headers}, trust, [trace])

    async def close(self) -> None:
        """Close the connection."""
        await self._session.close()

    async def models(self, url: str, seconds: float) -> tuple[str, ...] | None:
        """Ask what is served; None where that is not answered in time. It opens the connection for what follows."""
        with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError, ValueError):
            async with asyncio.timeout(seconds), self._session.get(url, allow_redirects=False) as response:
                if response.status == 200:
                    return _model_names(await _at_most(response, _MAX_MODELS_BODY))
                await _at_most(response, _MAX_ERROR_BODY)
        return None

    async def ask(self, url: str, shown: str, body: bytes, limits: Limits) -> Reply:
        """Send one request and follow its stream to the end; reasons call it `shown`. Raises only CancelledError."""
        seen = _Timeline(limits)
        connection = SimpleNamespace(reused=False, began=None, seconds=0.0)
        sent = self._clock.mono()
        outcome, reason = Outcome.OK, ""
        try:
            async with asyncio.timeout(limits.seconds) as limit:
                outcome, reason = await self._follow(url, body, seen, connection, limit)
        except TimeoutError:
            outcome, reason = Outcome.TIMEOUT, f"no {'end' if seen.moments else 'token'} in {limits.seconds:g} s"
        except aiohttp.ClientPayloadError:
            outcome, reason = Outcome.FAILED, f"{shown} broke off its stream"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            outcome, reason = Outcome.FAILED, explain(error, url, shown)
        if seen.is_done():  # however its connection ended
            outcome, reason = seen.verdict()
        ended = self._clock.mono() if seen.done_at is None else seen.done_at
        moments = seen.moments
        return Reply(
            outcome,
            sent,
            ended,
            self._clean(reason),
            status=seen.status,
            first_byte=seen.first_byte,
            first_token=moments[0] if moments else None,
            first_answer=seen.first_answer,
            last_token=moments[-1] if moments else None,
            gaps=tuple(after - before for before, after in pairwise(moments)),
            chunks=len(moments),
            usage=seen.usage,
            reused=connection.reused,
            connecting=connection.seconds,
        )

    async def _follow(
        self, url: str, body: bytes, seen: _Timeline, connection: SimpleNamespace, limit: asyncio.Timeout
    ) -> tuple[Outcome, str]:
        request = self._session.post(
            url, data=body, headers=_HEADERS, allow_redirects=False, trace_request_ctx=connection
        )
        async with request as response:
            seen.first_byte, seen.status = self._clock.mono(), response.status
            if response.status != 200:
                return _refused(response.status, quote(await _at_most(response, _MAX_ERROR_BODY)))
            if not response.content_type.startswith("text/event-stream"):
                said = quote(await _at_most(response, _MAX_ERROR_BODY))
                return Outcome.REFUSED, f"it answers {response.content_type} instead of a stream: {said}"
            async for piece in response.content.iter_any():
                now = self._clock.mono()
                if seen.is_done():  # what follows the end is of no interest
                    continue
                if why := seen.take(piece, now):
                    response.close()
                    return Outcome.CUT, f"the stream had {why}, and was cut off"
                if seen.is_done():
                    limit.reschedule(asyncio.get_running_loop().time() + _LINGER)
        return seen.verdict()

    def _clean(self, reason: str) -> str:
        for secret in self._secrets:
            reason = reason.replace(secret, "...")
        return clean(reason, 300)

    async def _on_reused(self, _session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        if context.trace_request_ctx is not None:
            context.trace_request_ctx.reused = True

    async def _on_connecting(self, _session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        if context.trace_request_ctx is not None:
            context.trace_request_ctx.began = self._clock.mono()

    async def _on_connected(self, _session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
        if context.trace_request_ctx is not None:
            context.trace_request_ctx.seconds = self._clock.mono() - context.trace_request_ctx.began


def _refused(status: int, said: str) -> tuple[Outcome, str]:
    remedy = {401: "it wants a token; give one with --token-env NAME", 404: "name a model with --probe-model"}
    reason = ": ".join(part for part in (str(status), said, remedy.get(status, "")) if part)
    return (Outcome.REFUSED if status in _OURS or 300 <= status < 400 else Outcome.FAILED), reason


async def _at_most(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body; one that is longer is cut off, and so is its connection."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > limit:
            response.close()
            break
    return bytes(body[:limit])


def _model_names(body: bytes) -> tuple[str, ...]:
    """Read the names out of `{"data": [{"id": NAME}, ...]}`. Raises ValueError where it is something else."""
    return tuple(each.id for each in msgspec.json.decode(body, type=_Models).data)


class _Model(Struct, frozen=True):
    id: str


class _Models(Struct, frozen=True):
    data: list[_Model]
