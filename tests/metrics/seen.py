"""Samples as a server would give them, for the tests of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.sample import Sample, Source, State
from metrics.store import Store
from metrics.view import SourceView, View

if TYPE_CHECKING:
    from metrics.histogram import Histogram

WALL = 1_800_000_000.0
URL = "http://127.0.0.1:8000"


def ok(
    mono: float,
    counters: dict[str, float] | None = None,
    gauges: dict[str, float] | None = None,
    histograms: dict[str, Histogram] | None = None,
    **facts: str,
) -> Sample:
    return Sample(
        URL,
        Source.SERVER,
        WALL + mono,
        mono,
        counters=counters or {},
        gauges=gauges or {},
        histograms=histograms or {},
        facts=facts,
    )


def failed(mono: float, state: State = State.DOWN, reason: str = "refused") -> Sample:
    return Sample(URL, Source.SERVER, WALL + mono, mono, state=state, reason=reason)


def look(samples: list[Sample], now: float | None = None, store: Store | None = None) -> SourceView:
    store = store or Store()
    for sample in samples:
        store.add(sample)
    mono = samples[-1].mono if now is None else now
    return View(store, mono, WALL + mono).of(samples[0].source)
