"""A scenario watched in virtual time, by the parts that watch a real server: page, parser, dialect, Store, rules."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct

from collectors.command_line import flags
from collectors.engine_process import Found, limits
from collectors.engines import identify
from collectors.engines.dialect import read
from collectors.exposition import Parser
from insight.assess import Assessor
from insight.lifecycle import Phase
from insight.risks import risks
from insight.settings import Settings
from metrics.finding import RiskState, Severity
from metrics.sample import Process, Sample, Source, State
from metrics.store import Store
from metrics.view import View
from simulator.answers import AnswersCollector
from simulator.faults import Ingress, WrongAnswers
from simulator.host import HostCollector
from simulator.nvml import FIRST_PID, GpuCollector
from simulator.page import render
from simulator.probe import ProbeCollector
from simulator.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collectors.collector import Collector
    from metrics.finding import Risk
    from simulator.scenario import Scenario

URL = "http://127.0.0.1:8000"
WALL = 1_800_000_000.0
"""Wall clock of second 0."""


class Alarm(Struct, frozen=True):
    """One rule that fires about one source."""

    rule: str
    source: str
    severity: Severity
    said: str


class Live:
    """A Store and an Assessor that are fed poll by poll from a simulation.

    A probe and questions are sent where a fault needs them to be seen, or where `asked` says so: both are load.
    `at_home` is on the server's own host, where its command line and its processes are seen.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        settings: Settings | None = None,
        *,
        asked: bool = False,
        at_home: bool = False,
    ) -> None:
        self.scenario = scenario
        self._home = _home(scenario) if at_home else Found()
        self.simulation = simulation = Simulation(scenario, seed)
        self.store = Store()
        self.assessor = Assessor(settings or Settings())
        self.now = 0.0
        self._parser = Parser()
        self._collectors: list[Collector] = [
            GpuCollector(simulation.gpus, scenario.gpus.memory_used_gib, WALL, 0.0),
            HostCollector(simulation, WALL, 0.0),
            *([ProbeCollector(simulation, URL, WALL, 0.0)] if asked or _has(scenario, Ingress) else []),
            *([AnswersCollector(simulation, URL, seed, WALL, 0.0)] if asked or _has(scenario, WrongAnswers) else []),
        ]

    @property
    def view(self) -> View:
        """Everything that is known at this moment."""
        return View(self.store, self.now, WALL + self.now, self.scenario.truth.poll_seconds)

    def watch(self, until: float | None = None) -> Iterator[float]:
        """Poll from second 0 on, and yield each moment after its poll; at the end it is that of the last poll."""
        truth = self.scenario.truth
        with asyncio.Runner() as runner:
            while self.now < (truth.watch_seconds if until is None else until):
                self.simulation.advance(self.now)
                self.store.add(self._page())
                for collector in self._collectors:
                    for sample in runner.run(collector.collect()):
                        self.store.add(sample)
                self.assessor.observe(self.view)
                yield self.now
                self.now += truth.poll_seconds
            self.now -= truth.poll_seconds

    def alarms(self) -> list[Alarm]:
        """List what fires now. A Snapshot would tell the same, and takes ten times as long to make."""
        return [
            Alarm(rule, source, life.severity, life.condition.summary)
            for (rule, source), life in self.assessor._lives.items()
            if life.phase is Phase.FIRING
        ]

    def findings(self) -> list[Risk]:
        """List the findings that fire now, in the order in which they are told."""
        return [each for each in risks(self.assessor._lives, self.view) if each.state is RiskState.FIRING]

    def _page(self) -> Sample:
        wall = WALL + self.now
        if not self.simulation.up:
            return Sample(URL, Source.SERVER, wall, self.now, state=State.DOWN, reason="connection refused")
        page = self._parser.parse(render(self.simulation, WALL).encode())
        dialect = identify(page)
        assert dialect is not None
        said = read(dialect, page)
        return Sample(
            URL,
            Source.SERVER,
            wall,
            self.now,
            counters=said.counters,
            gauges=self._home.gauges | said.gauges,
            histograms=said.histograms,
            facts=self._home.facts | said.facts,
            processes=self._home.processes,
        )


def _home(scenario: Scenario) -> Found:
    """Tell what is known of the server's process, by its command line, which is that of its engine."""
    engine, gpus = scenario.engine, scenario.gpus
    line = ["vllm", "serve", engine.model]
    line += ["--max-model-len", str(engine.max_model_len), "--tensor-parallel-size", str(gpus.tensor_parallel)]
    line += ["--max-num-seqs", str(engine.max_num_seqs)]
    line += ["--max-num-batched-tokens", str(engine.max_num_batched_tokens)]
    line += ["--data-parallel-size", str(len(engine.replica_shares))]
    if engine.max_num_queued_reqs is not None:
        line += ["--max-num-queued-reqs", str(engine.max_num_queued_reqs)]
    if engine.speculation is not None:
        line += [
            "--speculative-config",
            f'{{"method": "eagle", "num_speculative_tokens": {engine.speculation.tokens}}}',
        ]
    facts = flags("vllm", line)
    serving = gpus.tensor_parallel * len(engine.replica_shares)
    return Found(facts, limits("vllm", facts), tuple(Process(FIRST_PID + index) for index in range(serving)))


def _has(scenario: Scenario, kind: type) -> bool:
    return any(isinstance(each, kind) for each in scenario.faults)
