from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from collectors.engines import identify
from collectors.engines.dialect import read
from collectors.exposition import Parser
from insight.assess import Assessor
from insight.settings import Settings
from metrics.sample import Sample, Source, State
from metrics.store import Store
from metrics.view import View

if TYPE_CHECKING:
    from collections.abc import Callable

    from metrics.snapshot import Risk, Snapshot

CAPTURES = Path(__file__).parents[1] / "fixtures" / "captures"
WALL = 1_800_000_000.0
URL = "http://127.0.0.1:8000"


class Drive:
    """A Store and an Assessor that are fed poll by poll."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.store = Store()
        self.assessor = Assessor(settings or Settings())
        self.now = 0.0

    @property
    def view(self) -> View:
        return View(self.store, self.now, WALL + self.now)

    def poll(self, mono: float, *samples: Sample) -> None:
        self.now = mono
        for sample in samples:
            self.store.add(sample)
        self.assessor.observe(self.view)

    def snapshot(self) -> Snapshot:
        return self.assessor.snapshot(self.view)

    def risk(self, name: str) -> Risk:
        return next(risk for risk in self.snapshot().risks if risk.id == name)

    def states(self) -> dict[str, str]:
        return {risk.id: risk.state.value for risk in self.snapshot().risks}


class Poll(NamedTuple):
    phase: str
    sample: Sample


def _captured(name: str) -> list[Poll]:
    parser = Parser()
    polls = []
    with lzma.open(CAPTURES / f"{name}.jsonl.xz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            wall, mono = WALL + row["t"], row["t"]
            if "error" in row:
                sample = Sample(URL, Source.SERVER, wall, mono, state=State.DOWN, reason=row["error"])
            else:
                page = parser.parse(row["page"].encode())
                dialect = identify(page)
                assert dialect is not None
                said = read(dialect, page)
                sample = Sample(
                    URL,
                    Source.SERVER,
                    wall,
                    mono,
                    counters=said.counters,
                    gauges=said.gauges,
                    histograms=said.histograms,
                    facts=said.facts,
                    missing=said.missing,
                )
            polls.append(Poll(row["phase"], sample))
    return polls


@pytest.fixture(scope="session")
def drive() -> Callable[..., Drive]:
    return Drive


@pytest.fixture(scope="session")
def captures() -> dict[str, list[Poll]]:
    return {name: _captured(name) for name in ("vllm", "llamacpp")}
