"""What many servers cost: a hundred metrics pages on loopback, polled and made a Snapshot of once a second."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import multiprocessing
import socket
import time
from pathlib import Path

from chimera_top.config import Settings
from chimera_top.judge import judge
from chimera_top.session import Session
from collectors.clock import Clock
from collectors.server import ServerCollector
from metrics.sample import Source

PAGES = Path(__file__).parents[1] / "fixtures" / "pages"
TARGETS = 100
SETTLE_SECONDS = 6.0
SECONDS = 15.0


def serve(listener: socket.socket) -> None:
    """Answer every request for a metrics page with one of two pages of a vLLM in turn, and any other with 404."""
    names = ("vllm-overload", "vllm-overload-next")
    bodies = itertools.cycle([gzip.decompress((PAGES / f"{name}.prom.gz").read_bytes()) for name in names])

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


def measure() -> list[tuple[str, str, str]]:
    """Measure; each row says what, how much it was, and how much it should be."""
    with socket.create_server(("127.0.0.1", 0), backlog=TARGETS) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = multiprocessing.Process(target=serve, args=(listener,), daemon=True)
        server.start()
    clock = Clock()
    collectors = [ServerCollector(f"{url}/{number}/metrics", clock=clock) for number in range(TARGETS)]
    session = Session(collectors, judge(Settings(), "live"), interval=1.0, clock=clock, publish=lambda _: None)
    session.start()
    try:
        time.sleep(SETTLE_SECONDS)
        began, cpu = time.perf_counter(), time.process_time()
        time.sleep(SECONDS)
        share = (time.process_time() - cpu) / (time.perf_counter() - began)
    finally:
        session.stop()
        server.terminate()
        server.join()
    monitors = [each.newest for each in session.store.sources.values() if each.kind is Source.MONITOR]
    missed = sum(value for each in monitors for name, value in each.counters.items() if name.startswith("polls_missed"))
    what = f"{TARGETS} targets at 1 s, 661 lines each"
    return [
        (f"{what}: of one core", f"{share * 100:.0f} %", "<= 30 %"),
        (f"{what}: ticks missed", f"{missed:.0f}", "0"),
    ]
