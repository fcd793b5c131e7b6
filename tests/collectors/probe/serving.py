"""A server that streams as badly as it is told to, and a clock that moves only when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


class StepClock:
    """Tells the time that was set, and notes that it was asked."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.asked = asyncio.Event()

    def mono(self) -> float:
        self.asked.set()
        return self.now

    def wall(self) -> float:
        return 1_800_000_000.0 + self.now


def piece(data: bytes) -> bytes:
    """Frame bytes as one chunk of a chunked body; none is the last."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(**payload: Any) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def delta(**channels: Any) -> bytes:
    return event(choices=[{"index": 0, "delta": channels}])


class Served:
    """What a server was asked, and how it answers a POST."""

    def __init__(self, reply: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> None:
        self.reply = reply
        self.models = b'{"object": "list", "data": [{"id": "served"}]}'
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        """Method and path, headers (names in lower case), and body."""
        self.closes = False
        """Each connection is closed after a GET."""
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode()
                    first, *lines = head.strip().split("\r\n")
                    headers = {
                        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
                    }
                    body = await reader.readexactly(int(headers.get("content-length", "0")))
                    self.requests.append((first.rpartition(" ")[0], headers, body))
                    if first.startswith("GET"):
                        writer.write(
                            f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.models)}\r\n\r\n".encode() + self.models
                        )
                        await writer.drain()
                        if self.closes:
                            break
                    else:
                        await self.reply(writer)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def serving(reply: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[Served]:
    """Listen on loopback for the time of the block."""
    served = Served(reply)
    tasks: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(served.serve(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def script(
    clock: StepClock, *steps: tuple[float, bytes], head: bytes = HEAD, end: bool = True
) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    """Send the head at the first moment and each piece at its own; the client has stamped one before the next goes."""

    async def write(writer: asyncio.StreamWriter) -> None:
        for index, (moment, data) in enumerate(steps):
            clock.now = moment
            clock.asked.clear()
            writer.write(head if index == 0 else piece(data))
            await writer.drain()
            await clock.asked.wait()
        if end:
            writer.write(piece(b""))
            await writer.drain()

    return write
