from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from metrics.quantity import QUANTITIES, Kind
from metrics.sample import Sample, Source
from metrics.series import series, split_series
from simulator.faults import Restart
from simulator.gpus import LEAST_MHZ, MOST_MHZ, TICK, Gpu
from simulator.nvml import THROTTLE_REASONS, GpuCollector
from simulator.page import render
from simulator.scenario import load
from simulator.simulation import Simulation

if TYPE_CHECKING:
    from simulator.scenario import Scenario, Workload


def _collect(simulation: Simulation) -> dict[str, Sample]:
    collector = GpuCollector(simulation.gpus, 70.0, wall=1e9, mono=500.0)
    return {sample.source: sample for sample in asyncio.run(_poll(collector))}


async def _poll(collector: GpuCollector) -> list[Sample]:
    samples = list(await collector.collect())
    await collector.close()
    return samples


def test_energy_is_the_integral_of_power() -> None:
    """Between two looks the energy counter grows by the power of every tick between them, to the joule."""
    simulation = Simulation(load("overload"), 1)
    for index in range(len(simulation.gpus.readings)):
        before, joules = simulation.gpus.readings[index].joules, 0.0
        begin = simulation.now
        for tick in range(1, 101):
            simulation.advance(begin + tick * TICK)
            joules += simulation.gpus.readings[index].watts * TICK
        assert simulation.gpus.readings[index].joules - before == pytest.approx(joules, rel=1e-9)


def test_healthy_is_healthy() -> None:
    """No queue, ITL between 12 and 20 ms, TTFT p95 below 0.5 s, no preemption, cool GPUs that draw 300 to 600 W."""
    simulation = Simulation(load("healthy"), 1)
    simulation.advance(300.0)
    engine, counters = simulation.engine, simulation.engine.counters
    assert engine.requests_waiting < 5
    assert 0.012 < counters.itl.sum / counters.itl.count < 0.020
    assert sum(counters.ttft.counts[:10]) > 0.95 * counters.ttft.count
    assert counters.preemptions == counters.rejected == 0
    assert all(300 < each.watts < 600 and each.celsius < 70 and not each.reasons for each in simulation.gpus.readings)


def test_overload_queues() -> None:
    """From 20 s on more arrives than leaves: within 15 s tens of requests wait, within a minute hundreds."""
    simulation = Simulation(load("overload"), 1)
    simulation.advance(20.0)
    assert simulation.engine.requests_waiting < 5
    simulation.advance(35.0)
    assert simulation.engine.requests_waiting > 30
    simulation.advance(80.0)
    assert simulation.engine.requests_waiting > 400
    assert simulation.engine.requests_running >= 120


def test_a_hot_gpu_slows_the_others() -> None:
    """GPU 3 passes 87 °C, its clock falls to 1155 MHz, and every token takes longer; the others stay cool."""
    simulation = Simulation(load("thermal_throttle"), 1)
    simulation.advance(20.0)
    itl = simulation.engine.counters.itl
    before = itl.sum, itl.count
    healthy = itl.sum / itl.count
    simulation.advance(35.0)
    hot = simulation.gpus.readings[3]
    assert hot.reasons == {"hw_slowdown", "hw_thermal"}
    assert hot.celsius > 84
    assert hot.mhz == LEAST_MHZ
    assert [each.index for each in simulation.gpus.readings if each.reasons] == [3]
    assert all(each.celsius < 70 and each.mhz == MOST_MHZ for each in simulation.gpus.readings if each.index != 3)
    simulation.advance(90.0)
    assert simulation.gpus.readings[3].reasons
    assert (itl.sum - before[0]) / (itl.count - before[1]) > 1.7 * healthy
    sample = _collect(simulation)["gpu:SIM-00000003"]
    assert sample.gauges[series("throttle", reason="hw_thermal")] == 1.0
    assert sample.gauges[series("throttle", reason="sw_power_cap")] == 0.0


def test_waiting_for_a_slow_gpu_draws_less_than_working() -> None:
    """A GPU waits for a slower neighbour in every step, which draws less than working and more than idling."""
    watts = []
    for busy, slowest in ((0.0, 1.0), (1.0, LEAST_MHZ / MOST_MHZ), (1.0, 1.0)):
        gpu = Gpu(0, serving=True, faults=())
        gpu.advance(TICK, busy, prompts=0.0, intensity=0.5, slowest=slowest)
        watts.append(gpu.watts)
    assert watts == sorted(watts)
    assert watts[0] < 0.5 * watts[1]
    assert watts[1] < 0.9 * watts[2]


def test_decoding_reads_and_prompts_compute() -> None:
    """Decoding takes the bandwidth of the memory, prompts the tensor cores; one held up does less of both."""
    shares = []
    for prompts, slowest in ((0.0, 1.0), (1.0, 1.0), (1.0, 0.5)):
        gpu = Gpu(0, serving=True, faults=())
        gpu.advance(TICK, 1.0, prompts, intensity=0.5, slowest=slowest)
        reading = gpu.reading(TICK, up=True)
        shares.append((reading.dram, reading.tensor))
    (decode_dram, decode_tensor), (prompt_dram, prompt_tensor), held = shares
    assert decode_dram > 0.6 > prompt_dram
    assert prompt_tensor > 0.5 > decode_tensor
    assert held == pytest.approx((prompt_dram / 2, prompt_tensor / 2))


def test_simulated_gpus_tell_what_gpm_does() -> None:
    """Under load the gauges of GPM lie between 0 and 1, and an idle GPU has none of it in use."""
    simulation = Simulation(load("healthy"), 1)
    simulation.advance(30.0)
    gauges = _collect(simulation)["gpu:SIM-00000000"].gauges
    assert 0.5 < gauges["dram_utilisation"] < 1.0
    assert 0.0 < gauges["tensor_utilisation"] < 0.5
    idle = Gpu(0, serving=False, faults=())
    idle.advance(TICK, 0.0, 0.0, 0.0, idle.pace)
    assert (idle.reading(TICK, up=True).dram, idle.reading(TICK, up=True).tensor) == (0.0, 0.0)


def test_cache_pressure_preempts() -> None:
    """The cache fills before the slots do, and running requests are pushed back to the queue."""
    simulation = Simulation(load("cache_pressure"), 1)
    simulation.advance(20.0)
    assert simulation.engine.counters.preemptions == 0
    simulation.advance(80.0)
    assert simulation.engine.counters.preemptions > 50
    assert simulation.engine.kv_cache_usage > 0.9
    assert simulation.engine.requests_running < 80


def test_a_stuck_engine_looks_alive() -> None:
    """From 20 s on the page stays what it was, with requests that run, and the GPUs spin at full use and less power."""
    simulation = Simulation(load("stuck"), 1)
    simulation.advance(20.0)
    page, watts = render(simulation, 0.0), simulation.gpus.readings[0].watts
    simulation.advance(60.0)
    assert render(simulation, 0.0) == page
    assert simulation.engine.requests_running > 10
    assert simulation.up
    assert simulation.gpus.readings[0].utilisation == 1.0
    assert simulation.gpus.readings[0].watts < 0.8 * watts


def test_a_restart_begins_anew() -> None:
    """From 20 s to 35 s nobody answers."""
    simulation = Simulation(load("restart"), 1)
    up = []
    for second in (19.75, 20.0, 30.0, 34.75, 35.0):
        simulation.advance(second)
        up.append(simulation.up)
    assert up == [True, False, False, False, True]


def test_gpus_idle_while_the_server_is_gone() -> None:
    """Its memory and its processes are gone as well, and the counters begin at zero when it is back."""
    simulation = Simulation(load("restart"), 1)
    simulation.advance(30.0)
    gpu = _collect(simulation)["gpu:SIM-00000000"]
    assert gpu.gauges[series("throttle", reason="gpu_idle")] == 1.0
    assert gpu.gauges["memory_used_bytes"] < 1e9
    assert gpu.processes == ()
    simulation.advance(36.0)
    assert simulation.started_at == 20.0
    assert simulation.engine.counters.ttft.count < 30
    assert "process_start_time_seconds 1020.0\n" in render(simulation, 1000.0)


def test_restarts_come_in_their_turn(quiet: Scenario, workload: Workload) -> None:
    """Each restart of a scenario happens once."""
    faults = (Restart(at=10.0, seconds=1.0), Restart(at=5.0, seconds=1.0))
    simulation = Simulation(replace(quiet, workload=workload, faults=faults), seed=1)
    starts = set()
    for second in range(20):
        simulation.advance(float(second))
        starts.add(simulation.started_at)
    assert starts == {0.0, 5.0, 10.0}


def test_gpus_tell_what_nvml_tells(quiet: Scenario, workload: Workload) -> None:
    """Every series is a known quantity of the right kind, names and marks are there, and idle GPUs say so."""
    simulation = Simulation(replace(quiet, workload=workload), seed=1)
    simulation.advance(10.1)
    samples = _collect(simulation)
    assert list(samples) == ["nvml", "gpu:SIM-00000000", "gpu:SIM-00000001"]
    assert samples["nvml"].kind is Source.DRIVER
    assert samples["nvml"].gauges == {"gpu_count": 2.0}
    for sample in samples.values():
        assert sample.facts["simulated"] == "true"
        assert (sample.wall, sample.mono) == (1e9 + 10.0, 510.0)
        assert {QUANTITIES[split_series(name)[0]].kind for name in sample.gauges} == {Kind.GAUGE}
        assert {QUANTITIES[split_series(name)[0]].kind for name in sample.counters} <= {Kind.COUNTER}
    serving, idle = samples["gpu:SIM-00000000"], samples["gpu:SIM-00000001"]
    assert serving.facts["name"] == "NVIDIA H100 80GB HBM3 (simulated)"
    assert serving.facts["index"] == "0"
    assert {series("throttle", reason=reason) for reason in THROTTLE_REASONS} <= serving.gauges.keys()
    assert serving.gauges["utilisation"] > 0.5 > idle.gauges["utilisation"] == 0.0
    assert serving.gauges["power_watts"] > 2 * idle.gauges["power_watts"]
    assert idle.gauges["sm_clock_hertz"] == 345e6
    assert idle.gauges[series("throttle", reason="gpu_idle")] == 1.0
    assert len(serving.processes) == 1
    assert idle.processes == ()


def test_time_never_goes_back(quiet: Scenario) -> None:
    """A look into the past changes nothing."""
    simulation = Simulation(quiet, seed=1)
    simulation.advance(10.0)
    simulation.advance(3.0)
    assert simulation.now == 10.0


def test_a_limit_of_requests_is_one_for_all_engines() -> None:
    """What the router sends mostly to one engine is refused when all of them together have so many in flight."""
    scenario = load("uneven_replicas")
    limited = replace(scenario, engine=replace(scenario.engine, max_num_queued_reqs=140))
    simulation = Simulation(limited, 1)
    simulation.advance(75.0)
    assert sum(engine.counters.rejected for engine in simulation.engines) > 100
    assert sum(engine.in_flight for engine in simulation.engines) == pytest.approx(140, abs=10)
    assert simulation.engines[0].elsewhere == pytest.approx(simulation.engines[1].in_flight, abs=3)
