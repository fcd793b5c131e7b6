"""A web server on loopback that behaves as badly as it is told to, and a /proc that says what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    type_of_reply = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


CERTIFICATE = Path(__file__).parent.parent / "fixtures" / "served" / "localhost.pem"


class Web:
    """Answers each path with fixed bytes, or lets a function write the answer; an unknown path gets 404."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Path and headers (names in lower case) of every request."""
        self.connections = 0
        self.requests_per_connection = 1_000_000
        """The request after so many on one connection is answered by closing it."""
        self.port = 0
        self._replies: dict[str, type_of_reply] = {}
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    def answer(
        self,
        path: str,
        body: bytes,
        status: int = 200,
        content_type: str = "text/plain; version=0.0.4; charset=utf-8",
        **headers: str,
    ) -> None:
        """Answer a path with this from now on."""
        lines = [f"HTTP/1.1 {status} Status", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._replies[path] = "\r\n".join([*lines, "", ""]).encode() + body

    def reply(self, path: str, reply: type_of_reply) -> None:
        """Answer a path with these raw bytes, or let a function write."""
        self._replies[path] = reply

    def start(self, context: ssl.SSLContext | None = None) -> None:
        self._thread.start()

        async def listen() -> None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
            self.port = server.sockets[0].getsockname()[1]
            self._server = server

        asyncio.run_coroutine_threadsafe(listen(), self._loop).result(10)

    def stop(self) -> None:
        async def end() -> None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                for _ in range(self.requests_per_connection):
                    await self._one(reader, writer)
                await reader.readuntil(b"\r\n\r\n")
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start = await reader.readexactly(1)
        if start == b"\x16":  # a client that says hello in TLS
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            raise ConnectionAbortedError
        head = start + await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().strip().split("\r\n")
        path = first.split()[1]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.requests.append((path, headers))
        reply = self._replies.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        if isinstance(reply, bytes):
            writer.write(reply)
            await writer.drain()
        else:
            await reply(writer)


@pytest.fixture
def web() -> Iterator[Web]:
    """One web server."""
    server = Web()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def other_web() -> Iterator[Web]:
    """Another one, on another port."""
    server = Web()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def tls_web() -> Iterator[Web]:
    """One with a certificate of its own making."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server = Web()
    server.start(context)
    yield server
    server.stop()


class Proc:
    """A tree like that of /proc, with network namespaces, processes and what they listen on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tables: dict[tuple[str, str], list[str]] = {}
        self._pids: dict[str, list[str]] = {"": ["self"]}
        self._namespace("self", "")

    def process(
        self, pid: int, name: str, *cmdline: str, space: str = "", sockets: Sequence[int] = (), parent: int = 1
    ) -> None:
        """Add a process in a namespace, `""` that of the host; it holds the sockets with these numbers."""
        folder = self.root / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(f"{name}\n")
        (folder / "cmdline").write_bytes("".join(f"{each}\0" for each in cmdline).encode())
        (folder / "stat").write_text(f"{pid} ({name}) S {parent} 0 0\n")
        (folder / "cgroup").write_text(f"0::/system.slice/docker-{space}.scope\n" if space else "0::/user.slice\n")
        for number, inode in enumerate(sockets):
            (folder / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
        self._pids.setdefault(space, []).append(str(pid))
        self._namespace(str(pid), space)
        self._write()

    def listen(self, space: str, address: str, port: int, inode: int) -> None:
        """Let something listen in a namespace."""
        packed = ipaddress.ip_address(address).packed
        words = "".join(packed[start : start + 4][::-1].hex().upper() for start in range(0, len(packed), 4))
        rest = "00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0"
        table = "tcp" if len(packed) == 4 else "tcp6"
        self._tables.setdefault((space, table), []).append(f"   0: {words}:{port:04X} {rest} {inode} 1 0 100")
        self._write()

    def address(self, pid: int, *addresses: str) -> None:
        """Give the namespace of a process addresses of its own."""
        leaves = "".join(f"           |-- {each}\n              /32 host LOCAL\n" for each in addresses)
        (self.root / str(pid) / "net" / "fib_trie").write_text(f"Main:\n  +-- 0.0.0.0/1 2 0 2\n{leaves}")

    def route(self, *rows: str) -> None:
        """Let the host know these routes, each `DESTINATION MASK` in the kernel's hexadecimal."""
        lines = [f"eth0 {row.split()[0]} 00000000 0001 0 0 0 {row.split()[1]} 0 0 0" for row in rows]
        (self.root / "net" / "route").write_text("\n".join(["Iface Destination ...", *lines]))

    def _namespace(self, pid: str, space: str) -> None:
        (self.root / pid / "ns").mkdir(parents=True)
        (self.root / pid / "ns" / "net").symlink_to(f"net:[{space}]")

    def _write(self) -> None:
        for (space, table), rows in self._tables.items():
            for pid in self._pids.get(space, []):
                folder = self.root / "net" if pid == "self" else self.root / pid / "net"
                folder.mkdir(exist_ok=True)
                (folder / table).write_text("\n".join(["  sl  local_address", *rows, ""]))


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    """A /proc of a host on which nothing listens."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text("")
    return Proc(tmp_path)
