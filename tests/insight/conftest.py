from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from msgspec.structs import replace

from insight.assess import Assessor
from insight.settings import Settings
from metrics.store import Store
from metrics.view import View
from tests.captures import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from metrics.finding import Risk
    from metrics.sample import Sample
    from metrics.snapshot import Snapshot

WALL = 1_800_000_000.0
URL = "http://127.0.0.1:8000"


class Drive:
    """A Store and an Assessor that are fed poll by poll."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.store = Store()
        self.assessor = Assessor(settings or Settings())
        self.now = 0.0
        self.interval = 1.0

    @property
    def view(self) -> View:
        return View(self.store, self.now, WALL + self.now, self.interval)

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


_BEGINS = {"server_start": "starting", "ready": "ready", "server_sigterm": "killed", "phase_end": ""}


def _captured(name: str) -> list[Poll]:
    """Take a capture as polls from second 0 on, each with the phase that it lies in."""
    capture = load(name)
    start = capture.samples[0].mono

    def phase(moment: float) -> str:
        last = [
            e for e in capture.events if e["t"] <= moment and (e["event"] in _BEGINS or e["event"] == "phase_start")
        ]
        return last[-1].get("phase", "") if last[-1]["event"] == "phase_start" else _BEGINS[last[-1]["event"]]

    return [
        Poll(phase(s.mono), replace(s, source=URL, wall=WALL + s.mono - start, mono=s.mono - start))
        for s in capture.samples
    ]


@pytest.fixture(scope="session")
def drive() -> Callable[..., Drive]:
    return Drive


@pytest.fixture(scope="session")
def captures() -> dict[str, list[Poll]]:
    return {name: _captured(name) for name in ("vllm", "llamacpp")}
