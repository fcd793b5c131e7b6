"""What many servers cost: a hundred metrics pages on loopback, polled and made a Snapshot of once a second.

Where a Prometheus is installed, it scrapes the same pages at the same time, to be measured beside. Who serves the pages
has a process of its own, whose time is nobody's.
"""

from __future__ import annotations

import asyncio
import gzip
import math
import multiprocessing
import os
import socket
import tempfile
import time
from itertools import cycle, pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct

from chimera_top.config import Settings
from chimera_top.judge import judge
from chimera_top.session import Session
from collectors.clock import Clock
from collectors.server import ServerCollector
from metrics.sample import Source
from tests.benchmarks.prometheus import scraping

if TYPE_CHECKING:
    from tests.benchmarks.prometheus import Prometheus

PAGES = Path(__file__).parents[1] / "fixtures" / "pages"
TARGETS = 100
SETTLE_SECONDS = 6.0
SECONDS = 8.0
ROUNDS = 3
"""The share of the core is the median of so many times `SECONDS`."""


def serve(listener: socket.socket) -> None:
    """Answer every request for a metrics page with one of two pages of a vLLM in turn, and any other with 404."""
    names = ("vllm-overload", "vllm-overload-next")
    bodies = cycle([gzip.decompress((PAGES / f"{name}.prom.gz").read_bytes()) for name in names])

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                found = b"/metrics" in request.split(b"\r\n", 1)[0]
                status, body = (b"200 OK", next(bodies)) if found else (b"404 Not Found", b"{}")
                head = b"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
                writer.write(head + body)
                await writer.drain()
        except (OSError, EOFError):
            writer.close()

    async def live() -> None:
        server = await asyncio.start_server(handle, sock=listener)
        await server.serve_forever()

    asyncio.run(live())


class Seen(Struct):
    """What both had used and done at one moment."""

    at: float
    ours: float
    """CPU seconds."""
    theirs: float
    load: float


def look(peer: Prometheus | None) -> Seen:
    theirs = peer.cpu_seconds() if peer else math.nan
    return Seen(time.perf_counter(), time.process_time(), theirs, os.getloadavg()[0])


def missed(session: Session) -> float:
    """Count the ticks that we missed since the start."""
    monitors = [each.newest for each in list(session.store.sources.values()) if each.kind is Source.MONITOR]
    return sum(value for each in monitors for name, value in each.counters.items() if name.startswith("polls_missed"))


def missed_by(peer: Prometheus, before: tuple[float, float]) -> float:
    """Count the ticks that it missed since: where one is, the interval between two scrapes is a second longer."""
    count, seconds = peer.intervals()
    return max(0.0, (seconds - before[1]) - (count - before[0]))


def measure() -> list[tuple[str, str, str]]:
    """Measure; each row says what, how much it was, and how much it should be."""
    with socket.create_server(("127.0.0.1", 0), backlog=4 * TARGETS) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        server = multiprocessing.Process(target=serve, args=(listener,), daemon=True)
        server.start()
    paths = [f"/{number}/metrics" for number in range(TARGETS)]
    clock = Clock()
    collectors = [ServerCollector(f"http://{address}{path}", clock=clock) for path in paths]
    session = Session(collectors, judge(Settings(), "live"), interval=1.0, clock=clock, publish=lambda _: None)
    with tempfile.TemporaryDirectory() as folder, scraping(address, paths, Path(folder)) as peer:
        session.start()
        try:
            time.sleep(SETTLE_SECONDS)
            before = peer.intervals() if peer else (0.0, 0.0)
            missed_starting = missed(session)
            seen = [look(peer)]
            for _ in range(ROUNDS):
                time.sleep(SECONDS)
                seen.append(look(peer))
            late = missed_by(peer, before) if peer else math.nan
            missed_then = missed(session) - missed_starting
        finally:
            session.stop()
            server.terminate()
            server.join()
    ours, theirs = (
        median((getattr(after, whose) - getattr(ago, whose)) / (after.at - ago.at) for ago, after in pairwise(seen))
        for whose in ("ours", "theirs")
    )
    what = f"{TARGETS} targets at 1 s, 661 lines each"
    rows = [
        (f"{what}: of one core", f"{ours * 100:.0f} %", "<= 30 %"),
        (f"{what}: ticks missed", f"{missed_then:.0f}", "0"),
        (f"{what}: ticks missed in the first {SETTLE_SECONDS:.0f} s", f"{missed_starting:.0f}", ""),
    ]
    if peer is None:
        return [*rows, (f"{what}: the same by Prometheus", "-", "prometheus is not installed")]
    name = f"the same by Prometheus {peer.version} in the same run"
    return [
        *rows,
        (f"{name}: of one core", f"{theirs * 100:.0f} %", ""),
        (f"{name}: ticks missed", f"{late:.0f}", ""),
        ("load of the machine meanwhile", f"{max(each.load for each in seen):.1f}", f"{os.cpu_count()} cores"),
    ]
