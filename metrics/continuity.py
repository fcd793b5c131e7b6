"""Cumulative values that never go back: what a server counts, carried over its restarts.

A counter that falls was reset, so what it shows was counted since (the Prometheus rule). Here that is decided once,
when a Sample comes in: the carried value is the raw one plus everything counted before the last reset, and every
window after that is a plain difference. A histogram is one object: if any of its parts falls or its buckets change, all
of it was reset. Series of one engine or model restart together, so a fall of one is a reset of all of that one's.
"""

from __future__ import annotations

from operator import lt
from typing import TYPE_CHECKING, TypeVar

from metrics.histogram import Histogram
from metrics.series import split_series

if TYPE_CHECKING:
    from metrics.sample import Sample

Value = TypeVar("Value", float, Histogram)

# A process start time is printed with 10 ms at best; below this it did not change.
_SAME_START_SECONDS = 1.0
CLOCK_SECONDS = 300.0
"""The server's clock may differ from ours by so much. A start by its clock says that another server answers only where
it lies longer than this before our last answer; within it, what a replacement counted before is taken for new."""
_Process = tuple[str | None, str | None]


class Continuity:
    """Follows the cumulative series of one source."""

    def __init__(self) -> None:
        self._raw: dict[str, float] = {}
        self._before: dict[str, float] = {}
        self._raw_histograms: dict[str, Histogram] = {}
        self._before_histograms: dict[str, Histogram] = {}
        self._last: Sample | None = None
        self._start_time: float | None = None
        self._identity: tuple[str | None, str | None] | None = None

    def carry(self, sample: Sample) -> tuple[dict[str, float], dict[str, Histogram], str | None]:
        """Carry the counters and histograms of a Sample over resets.

        The third value is None, or what was noticed: `restart` (the process, or one of its engines, began anew) or
        `replaced` (another server answers in its place; what that one counted before is not counted here).
        """
        start_time = sample.gauges.get("start_time_seconds")
        identity = (sample.facts.get("engine"), sample.facts.get("uuid"))
        noticed: str | None = None
        reset: set[_Process] = set()
        last = self._last
        if (last is not None and self._identity != identity) or self._started_elsewhere(start_time):
            noticed = "replaced"
            self._forget(sample.counters, sample.histograms)
        elif last is not None and (self._started_anew(start_time) or not _goes_on(sample, last)):
            self._forget(
                _returned(sample.counters, last.counters, self._raw),
                _returned(sample.histograms, last.histograms, self._raw_histograms),
            )
            reset = self._fallen(sample)
            if reset or self._started_anew(start_time):
                noticed = "restart"
            if self._started_anew(start_time):
                reset = {_process(name) for name in (*self._raw, *self._raw_histograms)}
            self._close(sample, reset)
        self._start_time = start_time if start_time is not None else self._start_time
        self._identity, self._last = identity, sample
        return self._carry_counters(sample.counters, reset), self._carry_histograms(sample.histograms, reset), noticed

    def _started_anew(self, start_time: float | None) -> bool:
        if self._start_time is None or start_time is None:
            return False
        return abs(start_time - self._start_time) > _SAME_START_SECONDS

    def _started_elsewhere(self, start_time: float | None) -> bool:
        """Tell whether this process was certainly running already while the one before it still answered."""
        if start_time is None or self._last is None or not self._started_anew(start_time):
            return False
        return start_time < self._last.wall - CLOCK_SECONDS

    def _fallen(self, sample: Sample) -> set[_Process]:
        fallen = {_process(name) for name, raw in sample.counters.items() if raw < self._raw.get(name, raw)}
        for name, raw in sample.histograms.items():
            last = self._raw_histograms.get(name)
            if last is not None and _fell(raw, last):
                fallen.add(_process(name))
        return fallen

    def _close(self, sample: Sample, reset: set[_Process]) -> None:
        """Count what the reset series that the page lacks showed last: when they come back, they begin at 0."""
        for name in self._raw.keys() - sample.counters.keys():
            if _process(name) in reset:
                self._carry_counter(name, 0.0, reset=True)
        for name in self._raw_histograms.keys() - sample.histograms.keys():
            if _process(name) in reset:
                self._carry_histogram(name, _empty(self._raw_histograms[name]), reset=True)

    def _forget(self, counters: dict[str, float], histograms: dict[str, Histogram]) -> None:
        """Take what these show now as counted elsewhere: their increase so far is nothing."""
        for name, raw in counters.items():
            carried = self._raw.get(name, 0.0) + self._before.get(name, 0.0)
            self._raw[name], self._before[name] = raw, carried - raw
        for name, histogram in histograms.items():
            last = self._carried_histogram(name)
            base = last if last is not None and last.bounds == histogram.bounds else _empty(histogram)
            self._raw_histograms[name], self._before_histograms[name] = histogram, _combine(base, histogram, -1.0)

    def _carry_counters(self, raw: dict[str, float], reset: set[_Process]) -> dict[str, float]:
        if not reset and not self._before:
            self._raw.update(raw)
            return raw
        return {name: self._carry_counter(name, one, reset=_process(name) in reset) for name, one in raw.items()}

    def _carry_histograms(self, raw: dict[str, Histogram], reset: set[_Process]) -> dict[str, Histogram]:
        if not reset and not self._before_histograms:
            self._raw_histograms.update(raw)
            return raw
        return {name: self._carry_histogram(name, one, reset=_process(name) in reset) for name, one in raw.items()}

    def _carry_counter(self, name: str, raw: float, *, reset: bool) -> float:
        if reset:
            self._before[name] = self._before.get(name, 0.0) + self._raw.get(name, 0.0)
        self._raw[name] = raw
        return raw + self._before.get(name, 0.0)

    def _carry_histogram(self, name: str, raw: Histogram, *, reset: bool) -> Histogram:
        if reset:
            last = self._carried_histogram(name)
            # Other buckets than before cannot be added to them: those observations leave the windows.
            keeps = last is not None and last.bounds == raw.bounds
            self._before_histograms[name] = last if last is not None and keeps else _empty(raw)
        self._raw_histograms[name] = raw
        before = self._before_histograms.get(name)
        return raw if before is None else _combine(raw, before, 1.0)

    def _carried_histogram(self, name: str) -> Histogram | None:
        raw, before = self._raw_histograms.get(name), self._before_histograms.get(name)
        return raw if raw is None or before is None else _combine(raw, before, 1.0)


def _goes_on(page: Sample, last: Sample) -> bool:
    """Tell whether a page shows the same series as the one before it and none fell: nearly all do, so this is quick."""
    return (
        [*page.counters] == [*last.counters]
        and [*page.histograms] == [*last.histograms]
        and not any(map(lt, page.counters.values(), last.counters.values()))
        and not any(map(_fell, page.histograms.values(), last.histograms.values()))
    )


def _fell(now: Histogram, last: Histogram) -> bool:
    return now.bounds != last.bounds or any(map(lt, now.counts, last.counts))


def _returned(page: dict[str, Value], last: dict[str, Value], known: dict[str, Value]) -> dict[str, Value]:
    """Find the series that come back in place of others: the last page told their quantity apart by other labels.

    The one engine that is left when the other of two has gone need not be the one whose name it takes.
    """
    back = known.keys() & (page.keys() - last.keys())
    apart: dict[str, set[tuple[str, ...]]] = {}
    for name in last if back else ():
        quantity, labels = _labels(name)
        apart.setdefault(quantity, set()).add(labels)
    replaced: dict[str, Value] = {}
    for name in back:
        quantity, labels = _labels(name)
        if labels not in apart.get(quantity, {labels}):
            replaced[name] = page[name]
    return replaced


def _labels(name: str) -> tuple[str, tuple[str, ...]]:
    quantity, labels = split_series(name)
    return quantity, tuple(label for label, _ in labels)


def _process(name: str) -> _Process:
    """Find the part of the source that restarts as one: its engine, its model, or the source as a whole."""
    labels = dict(split_series(name)[1])
    return labels.get("engine"), labels.get("model")


def _empty(like: Histogram) -> Histogram:
    return Histogram(like.bounds, (0.0,) * len(like.counts), 0.0)


def _combine(one: Histogram, other: Histogram, sign: float) -> Histogram:
    counts = tuple(a + sign * b for a, b in zip(one.counts, other.counts, strict=True))
    return Histogram(one.bounds, counts, one.sum + sign * other.sum)
