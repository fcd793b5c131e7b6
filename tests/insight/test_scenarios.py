"""The rules held against simulated servers, of which it is known what is wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from collectors.engines import identify
from collectors.engines.dialect import read
from collectors.exposition import Parser
from metrics.sample import Sample, Source, State
from metrics.snapshot import RiskState
from simulator.gpus import GpuCollector
from simulator.page import render
from simulator.scenario import load, names
from simulator.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.insight.conftest import Drive

WALL = 1_800_000_000.0
LATEST = 20.0
"""Seconds after it is there in truth that a finding has to fire at the latest."""
SECONDS = 75


@pytest.mark.parametrize("name", names())
def test_what_is_wrong_is_found_and_nothing_else(drive: Callable[[], Drive], name: str) -> None:
    """Every risk of the scenario fires in time and none before it is there; a healthy one fires nothing at all."""
    scenario = load(name)
    simulation = Simulation(scenario, 1)
    gpus = GpuCollector(lambda: simulation.gpus.readings, scenario.gpus.memory_used_gib, WALL, 0.0)
    parser, driven = Parser(), drive()
    fired: dict[str, float] = {}
    advised: set[str] = set()
    for second in range(SECONDS):
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
        snapshot = driven.snapshot()
        for risk in snapshot.risks:
            if risk.state is RiskState.FIRING:
                fired.setdefault(risk.id, mono)
        advised |= {each.id for each in snapshot.recommendations}
    for truth in scenario.truth.risks:
        assert truth.since <= fired[truth.id] <= truth.since + LATEST
    assert set(scenario.truth.advice) <= advised
    assert min(fired.values(), default=LATEST) >= min((each.since for each in scenario.truth.risks), default=0.0)
    if not scenario.truth.risks:
        assert not fired
