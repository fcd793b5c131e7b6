from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from collectors.engines import identify
from collectors.engines.dialect import read
from collectors.exposition import Parser
from insight.describe import target
from insight.recommend.case import Case
from insight.recommend.knowledge import Knowledge
from insight.settings import Settings
from metrics.finding import Evidence, Risk, RiskState, Severity
from metrics.sample import Sample, Source
from metrics.store import Store
from metrics.track import Tracks
from metrics.view import View
from simulator.page import render
from simulator.scenario import load
from simulator.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable

    from insight.recommend.known import Known
    from simulator.scenario import Scenario

WALL = 1_800_000_000.0
URL = "http://a"


class Watched:
    """A simulated server that is polled once a second of its own time."""

    def __init__(self, scenario: Scenario, seconds: int, facts: dict[str, str] | None = None) -> None:
        simulation = Simulation(scenario, 1)
        self.store, self.knowledge, self.now = Store(), Knowledge(), 0.0
        parser = Parser()
        for second in range(seconds):
            simulation.advance(float(second))
            page = parser.parse(render(simulation, WALL).encode())
            dialect = identify(page)
            assert dialect is not None
            said = read(dialect, page)
            self.now = float(second)
            self.store.add(
                Sample(
                    URL,
                    Source.SERVER,
                    WALL + second,
                    self.now,
                    counters=said.counters,
                    gauges=said.gauges | _limits(facts or {}),
                    histograms=said.histograms,
                    facts={**said.facts, **(facts or {})},
                )
            )
            self.knowledge.observe(self.view.of(URL))

    @property
    def view(self) -> View:
        return View(self.store, self.now, WALL + self.now)

    def known(self, settings: Settings | None = None, slow_since: float | None = None) -> Known:
        found = self.knowledge.of(self.view.of(URL), settings or Settings(), slow_since)
        assert found is not None
        return found

    def case(self, risk: str, *evidence: Evidence, slow_since: float | None = None) -> Case:
        settings = Settings(window=120.0)
        return Case(
            risk=Risk(
                id=risk,
                title=risk,
                state=RiskState.FIRING,
                severity=Severity.WARNING,
                likelihood="",
                impact="",
                description="",
                mitigation="",
                since=None,
                target=URL,
                evidence=evidence,
            ),
            target=target(self.view.of(URL), Tracks(), settings.window),
            known=self.known(settings, slow_since),
            gpus=(),
            present=frozenset((risk,)),
            settings=settings,
        )


def _limits(facts: dict[str, str]) -> dict[str, float]:
    """Read the slots off the command line, as the collector of processes does."""
    slots = facts.get("flag_max_num_seqs")
    return {"max_running_requests": float(slots)} if slots else {}


@pytest.fixture(scope="session")
def watched() -> Callable[..., Watched]:
    """Watch a scenario, changed as the caller says; each is made once."""
    made: dict[str, Watched] = {}

    def watch(name: str, seconds: int = 180, facts: dict[str, str] | None = None, **changes: object) -> Watched:
        key = repr((name, seconds, facts, changes))
        if key not in made:
            scenario = load(name)
            parts: dict[str, object] = {}
            for part, values in changes.items():
                assert isinstance(values, dict)
                parts[part] = replace(getattr(scenario, part), **values)
            made[key] = Watched(replace(scenario, **parts), seconds, facts)
        return made[key]

    return watch
