"""Times of a simulated server, lived through in virtual time: as Samples, as recordings, as sides of a comparison."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from msgspec.structs import replace

from collectors.engines import identify
from collectors.engines.dialect import read
from collectors.exposition import Parser
from insight.assess import Assessor
from insight.settings import Settings
from insight.verification.side import of_recording
from metrics.recording import Packer
from metrics.sample import Event, Sample, Source
from metrics.store import Store
from metrics.view import View
from simulator.page import render
from simulator.scenario import load
from simulator.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from insight.verification.side import Side
    from simulator.scenario import Scenario

URL = "http://127.0.0.1:8000"
WALL = 1_800_000_000.0
OTHER_DAY = 100_000.0


def healthy(rate: float = 12.0, **engine: bool | int) -> Scenario:
    """Take the scenario `healthy` at another rate, or with an engine that is set up otherwise."""
    whole = load("healthy")
    workload = replace(whole.workload, requests_per_second=rate)
    return replace(whole, workload=workload, engine=replace(whole.engine, **engine))


def seen(
    scenario: Scenario, seconds: int, seed: int = 1, wall: float = WALL, *, every: int = 1, **facts: str
) -> Iterator[Sample]:
    """Poll every `every` seconds; the command line tells the limit on running requests."""
    simulation, parser = Simulation(scenario, seed), Parser()
    told = {"flag_max_num_seqs": str(scenario.engine.max_num_seqs), **facts}
    for second in range(0, seconds, every):
        simulation.advance(float(second))
        page = parser.parse(render(simulation, wall).encode())
        dialect = identify(page)
        assert dialect is not None
        said = read(dialect, page)
        yield Sample(
            URL,
            Source.SERVER,
            wall + second,
            float(second),
            0.01,
            counters=said.counters,
            gauges=said.gauges,
            histograms=said.histograms,
            facts={**said.facts, **told},
        )


def marked(samples: Iterable[Sample], *marks: tuple[float, str]) -> Iterator[Sample]:
    """Put marks (second, text) between Samples, as a session does."""
    left = sorted(marks)
    for sample in samples:
        while left and left[0][0] <= sample.mono:
            second, text = left.pop(0)
            event = Event(sample.wall - sample.mono + second, "mark", text)
            yield Sample("monitor", Source.MONITOR, event.wall, second, events=(event,))
        yield sample


def recorded(path: Path, samples: Iterable[Sample]) -> Path:
    """Write a recording, or add to one."""
    with path.open("ab") as file:
        packer = Packer()
        for sample in samples:
            file.write(packer.pack(sample))
    return path


def side_of(samples: Iterable[Sample], label: str = "a.rec", every: int = 1) -> Side:
    """Take what was seen of the server by polls every so many seconds."""
    store, last = Store(), None
    for last in samples:
        store.add(last)
    assert last is not None
    view = View(store, last.mono, last.wall, every)
    snapshot = Assessor(Settings(window=last.mono)).snapshot(view)
    return of_recording(snapshot, snapshot.targets[0], view.of(URL), label)


@cache
def side(seed: int, seconds: int = 300, rate: float = 12.0, *, caching: bool = True, slots: int = 128) -> Side:
    """Live through some minutes of the healthy server, once for all tests."""
    scenario = healthy(rate, enable_prefix_caching=caching, max_num_seqs=slots)
    return side_of(seen(scenario, seconds, seed, WALL + OTHER_DAY * seed, every=3), f"seed {seed}", 3)


@cache
def throttled(seconds: int = 420) -> Side:
    """Live through some minutes of a server one of whose GPUs is too hot."""
    return side_of(seen(load("thermal_throttle"), seconds, 1, WALL + OTHER_DAY, every=3), "hot.rec", 3)
