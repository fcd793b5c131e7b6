"""The probe as a collector, on a real thread against the simulated server over real HTTP."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from collectors.clock import Clock
from collectors.probe.collector import ProbeCollector, cost
from collectors.probe.overhear import Overheard
from collectors.probe.schedule import Heard, Plan
from collectors.server import ServerCollector
from metrics.sample import Sample, Source, State
from simulator.http import serve_in_thread
from simulator.scenario import load
from tests.collectors.probe.serving import DONE, HEAD, delta, piece, serving

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(probe: ProbeCollector, seen: Callable[[Sample], bool]) -> Sample:
    """Poll until a Sample shows what is wanted; a minute is the end of patience, not a wait."""
    async with asyncio.timeout(60):
        while True:
            (sample,) = await probe.collect()
            if seen(sample):
                return sample
            await asyncio.sleep(0.02)


def answered(sample: Sample) -> float:
    return sample.counters.get('probe_requests{outcome="ok"}', 0.0)


def observed(sample: Sample) -> set[str]:
    return {name for name, each in sample.histograms.items() if each.count}


def test_it_measures_the_simulated_server() -> None:
    """TTFT cold and warm, TPOT and cost come of real requests, with the key that the server wants."""
    wanted = {'probe_ttft_seconds{prefix="cold"}', 'probe_ttft_seconds{prefix="warm"}'}
    wanted |= {"probe_e2e_seconds", "probe_tpot_seconds", "probe_itl_seconds", "probe_first_byte_seconds"}
    server = serve_in_thread(load("healthy"), seed=1, clock=Clock(), api_key="sesame")

    async def probe() -> Sample:
        collector = ProbeCollector(
            server.url,
            Plan(interval=0.3, tokens_per_hour=1e6),
            clock=Clock(),
            headers={"authorization": "Bearer sesame"},
        )
        try:
            return await until(collector, lambda sample: observed(sample) >= wanted)
        finally:
            await collector.close()

    try:
        sample = asyncio.run(probe())
    finally:
        server.close()
    assert (sample.source, sample.kind, sample.state) == (f"probe:{server.url}", Source.PROBE, State.OK)
    assert sample.missing == ()
    assert sample.counters['probe_left_out{reason="warm_up"}'] == 2
    assert sample.counters['probe_tokens{kind="output"}'] == 16 * answered(sample)
    for prefix in ("cold", "warm"):
        ttft = sample.histograms[f'probe_ttft_seconds{{prefix="{prefix}"}}'].mean
        e2e = sample.histograms["probe_e2e_seconds"].mean
        assert ttft is not None
        assert e2e is not None
        assert 0.001 < ttft < e2e < 30
    assert "tokens so far" in sample.facts["probe"]
    assert "sesame" not in repr(sample)


def test_what_it_cannot_measure_it_says() -> None:
    """A server that sends no usage and closes every connection leaves TPOT and TTFT unknown, with the reason."""

    async def close_each(writer: asyncio.StreamWriter) -> None:
        head = HEAD.replace(b"Transfer", b"Connection: close\r\nTransfer")
        writer.write(head + piece(delta(content="a") + delta(content="b") + DONE) + piece(b""))
        await writer.drain()
        raise ConnectionAbortedError

    async def probe() -> Sample:
        async with serving(close_each) as served:
            served.closes = True
            collector = ProbeCollector(served.url, Plan(interval=0.3, tokens_per_hour=1e6), clock=Clock())
            try:
                return await until(collector, lambda sample: answered(sample) >= 3)
            finally:
                await collector.close()

    sample = asyncio.run(probe())
    assert [each.what for each in sample.missing] == ["TPOT and ITL of the probe", "TTFT of the probe"]
    assert not {"probe_tpot_seconds", "probe_itl_seconds"} & observed(sample)
    assert sample.facts["probe"].startswith("at most ")


def test_a_server_that_refuses_is_told() -> None:
    """Nothing that listens is a reason, not a fault of the probe."""

    async def probe() -> Sample:
        collector = ProbeCollector("http://127.0.0.1:9", Plan(interval=0.3), clock=Clock())
        try:
            return await until(collector, lambda sample: bool(sample.missing))
        finally:
            await collector.close()

    sample = asyncio.run(probe())
    assert sample.state is State.OK
    assert sample.missing[0].what == "an answer to the probe"
    assert "refused the connection" in sample.missing[0].why


def test_it_ends_while_a_request_is_under_way() -> None:
    """Closing does not wait for a server that never answers, and its thread is gone."""
    asked = threading.Event()

    async def silent(_writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    async def probe() -> None:
        async with serving(silent) as served:
            collector = ProbeCollector(served.url, Plan(interval=0.3), clock=Clock())
            await until(collector, lambda _sample: asked.is_set())
            await collector.close()
            mine = [each for each in threading.enumerate() if each.name == collector.name]
            for thread in mine:
                thread.join(10)
                assert not thread.is_alive()

    asyncio.run(probe())


def test_closing_before_the_first_poll_is_harmless() -> None:
    """A probe that never began has nothing to end."""
    asyncio.run(ProbeCollector("http://127.0.0.1:9", Plan(), clock=Clock()).close())


def test_a_server_is_overheard() -> None:
    """What a server's own metrics say reaches its probe."""
    server = serve_in_thread(load("healthy"), seed=1, clock=Clock())
    heard = Heard()

    async def poll() -> Overheard:
        collector = Overheard(ServerCollector(server.url, clock=Clock()), heard)
        await collector.collect()
        await collector.close()
        return collector

    try:
        collector = asyncio.run(poll())
    finally:
        server.close()
    assert (collector.name, collector.kind, collector.interval) == (server.url, Source.SERVER, None)
    assert heard.engine == "vllm"


@pytest.mark.parametrize(
    ("spent", "seconds", "price", "estimated", "text"),
    [
        (0.0, 5.0, None, False, "0 tokens so far, 52,560 an hour; never more than 60,000 an hour"),
        (
            1460.0,
            100.0,
            2.0,
            False,
            "1,460 tokens so far, 52,560 an hour; $0.0029 so far, $0.1051 an hour; never more than 60,000 an hour",
        ),
        (146.0, 3600.0, None, True, "at most 146 tokens so far, 146 an hour; never more than 60,000 an hour"),
    ],
)
def test_the_cost_is_told(spent: float, seconds: float, price: float | None, estimated: bool, text: str) -> None:
    """Tokens so far and an hour, and money where a price is known; a sum that is a bound is called one."""
    assert cost(Plan(price=price), spent, seconds, estimated=estimated) == text
