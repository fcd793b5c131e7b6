"""The rules held against simulated servers, of which it is known what is wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from collectors.engines import identify
from collectors.engines.dialect import read
from collectors.exposition import Parser
from metrics.sample import Sample, Source, State
from metrics.snapshot import Risk, RiskState, Severity
from simulator.nvml import GpuCollector
from simulator.page import render
from simulator.scenario import load, names
from simulator.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from metrics.snapshot import Snapshot
    from tests.insight.conftest import Drive

WALL = 1_800_000_000.0
LATEST = 20.0
"""Seconds after it is there in truth that a finding has to fire at the latest."""
SECONDS = 75


def live(driven: Drive, name: str, seconds: int = SECONDS) -> Iterator[tuple[float, Snapshot]]:
    """Poll a scenario once a second of simulated time; yields each moment and what was concluded."""
    scenario = load(name)
    simulation = Simulation(scenario, 1)
    gpus = GpuCollector(simulation.gpus, scenario.gpus.memory_used_gib, WALL, 0.0)
    parser = Parser()
    for second in range(seconds):
        simulation.advance(float(second))
        wall, mono = WALL + second, float(second)
        sample = Sample("http://a", Source.SERVER, wall, mono, state=State.DOWN, reason="connection refused")
        if simulation.up:
            page = parser.parse(render(simulation, WALL).encode())
            dialect = identify(page)
            assert dialect is not None
            said = read(dialect, page)
            sample = Sample(
                "http://a",
                Source.SERVER,
                wall,
                mono,
                counters=said.counters,
                gauges=said.gauges,
                histograms=said.histograms,
                facts=said.facts,
            )
        driven.poll(mono, sample, *asyncio.run(gpus.collect()))
        yield mono, driven.snapshot()


def firing(snapshot: Snapshot) -> list[Risk]:
    return [risk for risk in snapshot.risks if risk.state is RiskState.FIRING]


@pytest.mark.parametrize("name", names())
def test_what_is_wrong_is_found_and_nothing_else(drive: Callable[[], Drive], name: str) -> None:
    """Every risk of the scenario fires in time and none before it is there; a healthy one fires nothing at all."""
    truth = load(name).truth
    fired: dict[str, float] = {}
    advised: set[str] = set()
    for moment, snapshot in live(drive(), name):
        for risk in firing(snapshot):
            fired.setdefault(risk.id, moment)
        advised |= {each.id for each in snapshot.recommendations}
    for each in truth.risks:
        assert each.since <= fired[each.id] <= each.since + LATEST
    assert set(truth.advice) <= advised
    assert min(fired.values(), default=LATEST) >= min((each.since for each in truth.risks), default=0.0)
    if not truth.risks:
        assert not fired


def test_a_full_cache_stays_the_verdict_when_the_queue_it_makes_is_critical(drive: Callable[[], Drive]) -> None:
    """Minutes later the queue and TTFT fire as well, but the sentence and the advice speak of the cache."""
    seen = [snapshot for _, snapshot in live(drive(), "cache_pressure", 150) if len(firing(snapshot)) >= 3]
    assert seen
    for snapshot in seen:
        assert {"cache_saturation", "model_overloading"} <= {risk.id for risk in firing(snapshot)}
        assert snapshot.verdict.text.startswith("cache saturation")
        assert snapshot.recommendations[0].id == "kv_cache_capacity"
        actions = [action for each in snapshot.recommendations for action in each.actions]
        assert not any("--max-num-seqs higher" in action for action in actions)


def test_an_overload_says_how_much_comes_and_how_much_is_done(drive: Callable[[], Drive]) -> None:
    """Arrivals are what was finished and what the queue grew by: about 31/s against 18/s in this scenario."""
    *_, (_, last) = live(drive(), "overload")
    evidence = {each.quantity: each.value for each in firing(last)[0].evidence}
    assert evidence["requests_arrived"] == pytest.approx(31.0, rel=0.15)
    assert evidence["requests_finished"] == pytest.approx(18.5, rel=0.15)


def test_a_server_that_serves_nobody_has_no_score(drive: Callable[[], Drive]) -> None:
    """While the engine stands still, what it did minutes ago is no 100 %."""
    *_, (_, last) = live(drive(), "stuck")
    for score in (last.scorecard.throughput, last.scorecard.ttft):
        assert score.score is None
        assert score.text.startswith("stuck server: no progress for")


def test_a_restart_tells_how_long_nobody_was_answered(drive: Callable[[], Drive]) -> None:
    """The outage before a restart is not forgotten: neither in the note nor in the verdict."""
    *_, (_, last) = live(drive(), "restart", 70)
    restart = next(risk for risk in last.risks if risk.id == "server_restart")
    assert restart.summary.endswith("without an answer")
    assert restart.evidence[0].value == pytest.approx(15.0, abs=3.0)
    assert last.verdict.severity is Severity.INFO
    assert "no risk now; server unreachable ended" in last.verdict.text
