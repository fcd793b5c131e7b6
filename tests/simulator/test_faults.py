"""Each fault, as those see it that poll the simulated server, its GPUs, its host and a client of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from metrics.histogram import Histogram
from metrics.sample import Sample, State
from metrics.series import series
from simulator.faults import (
    BadRequests,
    Clock,
    CoolingLoss,
    DriverHang,
    Errors,
    Fault,
    GpuError,
    HostPressure,
    Ingress,
    Neighbour,
    PowerCap,
    Shift,
    Slow,
)
from simulator.host import HostCollector
from simulator.lengths import Choice
from simulator.nvml import GpuCollector
from simulator.page import render
from simulator.probe import ProbeCollector
from simulator.scenario import Speculation, load
from simulator.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable

AT = 10.0


@pytest.fixture
def with_fault() -> Callable[..., Simulation]:
    """A healthy server of which something goes wrong at second 10."""

    def make(*faults: Fault) -> Simulation:
        return Simulation(replace(load("healthy"), faults=faults, warm_up_seconds=60.0), seed=1)

    return make


def polled(simulation: Simulation, at: float) -> dict[str, Sample]:
    simulation.advance(at)
    collector = GpuCollector(simulation.gpus, 70.0, wall=1e9, mono=0.0)
    return {sample.source: sample for sample in asyncio.run(_samples(collector))}


async def _samples(collector: GpuCollector) -> list[Sample]:
    return list(await collector.collect())


def test_other_requests_come_after_a_shift(with_fault: Callable[..., Simulation]) -> None:
    """Prompts of 1200 tokens and answers of 7 that share no prefix: the means go there, and hits cease."""
    shift = Shift(at=AT, prompt_tokens=Choice(of=(1200,)), output_tokens=Choice(of=(7,)), shared_prefix_share=0.0)
    simulation = with_fault(shift)
    simulation.advance(45.0)  # what was there before has ended by then
    counters = simulation.engine.counters
    prompts, answers = counters.request_prompt_tokens, counters.request_output_tokens
    before = prompts.sum, prompts.count, answers.sum, counters.prefix_hits
    simulation.advance(75.0)
    count = prompts.count - before[1]
    assert (prompts.sum - before[0]) / count == pytest.approx(1200, rel=0.02)
    assert (answers.sum - before[2]) / count == pytest.approx(7, rel=0.3)
    assert counters.prefix_hits == before[3]


def test_requests_that_fail_are_counted_as_errors(with_fault: Callable[..., Simulation]) -> None:
    """A fifth of the requests ends with an error and HTTP 500, none before the fault."""
    simulation = with_fault(Errors(at=AT, share=0.2))
    simulation.advance(AT)
    counters = simulation.engine.counters
    assert counters.finished["error"] == 0
    before = sum(counters.finished.values())
    simulation.advance(100.0)
    failed = counters.finished["error"]
    assert failed / (sum(counters.finished.values()) - before) == pytest.approx(0.2, abs=0.05)
    assert sum(count for (_, _, status), count in counters.answers.items() if status == "5xx") == failed


def test_bad_requests_are_refused_by_http(with_fault: Callable[..., Simulation]) -> None:
    """A tenth of the requests gets a 400 and never reaches the engine; a fault that ended does so no more."""
    simulation = with_fault(BadRequests(at=AT, seconds=50.0, share=0.1))
    simulation.advance(60.0)
    counters = simulation.engine.counters
    refused = sum(count for (_, _, status), count in counters.answers.items() if status == "4xx")
    assert refused == pytest.approx(0.1 * 12.0 * 50.0, rel=0.4)
    simulation.advance(100.0)
    assert sum(count for (_, _, status), count in counters.answers.items() if status == "4xx") == refused


def test_a_slow_host_makes_every_step_longer(with_fault: Callable[..., Simulation]) -> None:
    """Steps take 1.4 times as long while the GPUs show no reason."""
    plain, slow = with_fault(), with_fault(Slow(at=0.0, factor=1.4))
    for simulation in (plain, slow):
        simulation.advance(60.0)
    one, two = (each.engine.counters.itl.sum / each.engine.counters.itl.count for each in (plain, slow))
    assert two > 1.3 * one
    assert all(not reading.reasons for reading in slow.gpus.readings)


def test_a_client_waits_longer_than_the_server_knows(with_fault: Callable[..., Simulation]) -> None:
    """With 0.8 s on the way, the probe's TTFT is 0.8 s longer; the server's own is as before."""

    async def mean(simulation: Simulation) -> float:
        probe = ProbeCollector(simulation, "http://a", 1e9, 0.0)
        seen = Histogram((), (0.0,), 0.0)
        for second in range(60):
            simulation.advance(float(second))
            (sample,) = await probe.collect()
            seen = sample.histograms[series("probe_ttft_seconds", prefix="cold")]
        assert seen.mean is not None
        return seen.mean

    near, far = with_fault(), with_fault(Ingress(at=0.0, delay=0.8))
    assert asyncio.run(mean(far)) - asyncio.run(mean(near)) == pytest.approx(0.8, abs=0.05)
    one, two = (each.engine.counters.ttft.sum / each.engine.counters.ttft.count for each in (near, far))
    assert two == pytest.approx(one, rel=0.1)


def test_a_power_cap_takes_clock_and_says_so(with_fault: Callable[..., Simulation]) -> None:
    """At a limit of 250 W every GPU that works stays below it, at a lower clock, with sw_power_cap as the reason."""
    samples = polled(with_fault(PowerCap(at=AT, watts=250.0)), 40.0)
    gpus = [sample for name, sample in samples.items() if name.startswith("gpu:")]
    for gpu in gpus:
        assert gpu.gauges["power_limit_watts"] == 250.0
        assert gpu.gauges["power_watts"] <= 251.0
    assert any(gpu.gauges[series("throttle", reason="sw_power_cap")] == 1.0 for gpu in gpus)


@pytest.mark.parametrize("reason", ["", "hw_slowdown", "hw_power_brake"])
def test_a_clock_can_be_held_for_a_reason_or_for_none(with_fault: Callable[..., Simulation], reason: str) -> None:
    """GPU 2 runs at 990 MHz; the driver tells the reason, or none."""
    simulation = with_fault(Clock(at=AT, gpu=2, mhz=990.0, reason=reason))  # type: ignore[arg-type] # one of the three
    samples = polled(simulation, 20.0)
    gauges = samples["gpu:SIM-00000002"].gauges
    assert gauges["sm_clock_hertz"] == 990e6
    said = {name for name, value in gauges.items() if name.startswith("throttle") and value == 1.0}
    assert said == ({series("throttle", reason=reason)} if reason else set())
    assert samples["gpu:SIM-00000001"].gauges["sm_clock_hertz"] == 1980e6


def test_two_reasons_may_hold_one_clock(with_fault: Callable[..., Simulation]) -> None:
    """A hot GPU under a power cap shows both."""
    simulation = with_fault(CoolingLoss(at=0.0, gpu=3, factor=3.8), PowerCap(at=0.0, watts=200.0))
    seen: set[str] = set()
    for second in range(120):
        simulation.advance(float(second))
        seen |= simulation.gpus.readings[3].reasons
    assert {"sw_power_cap"} <= seen


@pytest.mark.parametrize(
    ("what", "gauge", "value"),
    [
        ("pcie_width", "pcie_width", 4.0),
        ("nvlink", "nvlink_links_active", 17.0),
        ("row_remap", "remapped_rows_pending", 1),
    ],
)
def test_faults_of_the_hardware_are_told(
    with_fault: Callable[..., Simulation], what: str, gauge: str, value: float
) -> None:
    """What NVML tells of a fault is there from its second on, on that GPU alone."""
    simulation = with_fault(GpuError(at=AT, gpu=1, what=what))  # type: ignore[arg-type] # one of those there are
    before = polled(simulation, AT - 1)["gpu:SIM-00000001"].gauges[gauge]
    after = polled(simulation, AT + 1)
    assert after["gpu:SIM-00000001"].gauges[gauge] == value != before
    assert after["gpu:SIM-00000000"].gauges[gauge] == before


def test_an_uncorrectable_error_and_replays_are_counted(with_fault: Callable[..., Simulation]) -> None:
    """One ECC error once, PCIe replays twice a second."""
    samples = polled(with_fault(GpuError(at=AT, gpu=1, what="ecc"), GpuError(at=AT, gpu=2, what="pcie_replays")), 20.0)
    assert samples["gpu:SIM-00000001"].counters["ecc_uncorrected"] == 1.0
    assert samples["gpu:SIM-00000002"].counters["pcie_replays"] == pytest.approx(20.0)


def test_an_xid_is_told_once(with_fault: Callable[..., Simulation]) -> None:
    """The driver gives an event when it happens, and none later."""
    simulation = with_fault(GpuError(at=AT, gpu=5, what="xid", code=94))
    collector = GpuCollector(simulation.gpus, 70.0, wall=1e9, mono=0.0)

    async def codes() -> list[int | None]:
        seen: list[int | None] = []
        for second in range(20):
            simulation.advance(float(second))
            seen += [event.code for sample in await collector.collect() for event in sample.events]
        return seen

    assert asyncio.run(codes()) == [94]


def test_a_lost_gpu_takes_the_server_with_it(with_fault: Callable[..., Simulation]) -> None:
    """The GPU is down with XID 79, the driver counts one less, and nobody answers any more."""
    simulation = with_fault(GpuError(at=AT, gpu=6, what="lost"))
    samples = polled(simulation, 30.0)
    gone = samples["gpu:SIM-00000006"]
    assert gone.state is State.DOWN
    assert [event.code for event in gone.events] == [79]
    assert samples["nvml"].gauges["gpu_count"] == 7.0
    assert not simulation.up


def test_a_driver_that_hangs_tells_nothing(with_fault: Callable[..., Simulation]) -> None:
    """No GPU is told of while it hangs; afterwards all are again."""
    simulation = with_fault(DriverHang(at=AT, seconds=10.0))
    hanging = polled(simulation, 15.0)
    assert [(name, each.state) for name, each in hanging.items()] == [("nvml", State.DOWN)]
    assert len(polled(simulation, 25.0)) == 9


def test_a_neighbour_takes_memory_and_time(with_fault: Callable[..., Simulation]) -> None:
    """Its process is there with its memory, and the engine's steps take 1 / (1 - share) times as long."""
    plain, crowded = with_fault(), with_fault(Neighbour(at=0.0, gpu=4, memory_gib=6.0, share=0.3))
    plain.advance(60.0)
    names = [each.name for each in polled(crowded, 60.0)["gpu:SIM-00000004"].processes]
    assert names == ["VLLM::Worker_TP4", "python train.py"]
    one, two = (each.engine.counters.itl.sum / each.engine.counters.itl.count for each in (plain, crowded))
    assert two > one / 0.75


@pytest.mark.parametrize(
    ("resource", "share", "gauge", "low", "high"),
    [
        ("cpu", 0.4, "pressure_cpu", 0.39, 0.41),
        ("memory", 0.03, "pressure_memory_full", 0.1, 0.4),
        ("disk", 0.05, series("disk_used_bytes", mount="/"), 3.5e12, 3.6e12),
    ],
)
def test_a_host_runs_short_of_what_is_named(
    with_fault: Callable[..., Simulation], resource: str, share: float, gauge: str, low: float, high: float
) -> None:
    """The gauge is quiet before the fault and tells it then."""
    simulation = with_fault(HostPressure(at=AT, resource=resource, share=share))  # type: ignore[arg-type] # a name of one
    host = HostCollector(simulation, 1e9, 0.0)

    async def gauge_at(moment: float) -> float:
        simulation.advance(moment)
        (sample,) = await host.collect()
        return sample.gauges[gauge]

    assert asyncio.run(gauge_at(5.0)) < low
    assert low <= asyncio.run(gauge_at(15.0)) <= high


def test_speculation_gives_tokens_faster_and_is_counted() -> None:
    """With 0.8 of 3 drafted tokens accepted in turn, 1.95 are accepted a draft and a token takes half as long."""
    scenario = load("healthy")
    quick = replace(scenario.engine, speculation=Speculation(tokens=3, acceptance=0.8, draft_ms=2.0))
    plain, fast = Simulation(scenario, 1), Simulation(replace(scenario, engine=quick), 1)
    for simulation in (plain, fast):
        simulation.advance(60.0)
    counters = fast.engine.counters
    assert counters.accepted_tokens / counters.drafts == pytest.approx(0.8 + 0.64 + 0.512)
    one, two = (each.engine.counters.itl.sum / each.engine.counters.itl.count for each in (plain, fast))
    assert two < 0.7 * one
    assert "vllm:spec_decode_num_drafts_total" in render(fast, 1e9)
    assert "spec_decode" not in render(plain, 1e9)


def test_replicas_get_their_shares_and_their_lines() -> None:
    """Three of four requests go to the first of two engines; the page tells both, HTTP counts them together."""
    scenario = load("healthy")
    gpus = replace(scenario.gpus, tensor_parallel=4)
    simulation = Simulation(
        replace(scenario, gpus=gpus, engine=replace(scenario.engine, replica_shares=(0.75, 0.25))), 1
    )
    simulation.advance(60.0)
    one, two = (sum(engine.counters.finished.values()) for engine in simulation.engines)
    assert one / (one + two) == pytest.approx(0.75, abs=0.04)
    page = render(simulation, 1e9)
    assert 'vllm:num_requests_running{engine="0"' in page
    assert 'vllm:num_requests_running{engine="1"' in page
    assert (
        f'http_requests_total{{handler="/v1/chat/completions",method="POST",status="2xx"}} {float(one + two)!r}' in page
    )
    assert all(reading.serving for reading in simulation.gpus.readings)
