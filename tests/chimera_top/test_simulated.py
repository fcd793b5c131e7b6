from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from collectors.clock import Clock
from collectors.server import ServerCollector
from simulator.http import serve_in_thread
from simulator.scenario import load

if TYPE_CHECKING:
    from metrics.sample import Sample


def test_a_simulated_server_says_so_through_its_page() -> None:
    """Whoever watches the simulator over HTTP knows that its numbers are simulated."""
    clock = Clock()
    server = serve_in_thread(load("healthy"), seed=1, clock=clock)
    try:
        sample = asyncio.run(_poll(ServerCollector(server.url, clock=clock)))
    finally:
        server.close()
    assert sample.facts["simulated"] == "true"
    assert sample.facts["scenario"] == "healthy"


async def _poll(collector: ServerCollector) -> Sample:
    samples = await collector.collect()
    await collector.close()
    return samples[0]
