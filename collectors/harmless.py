"""A Sample from a file of somebody else's, made as harmless as one that a collector made."""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from collectors.clean import clean
from collectors.exposition import MAX_LABEL_CHARACTERS
from metrics.histogram import is_possible
from metrics.quantity import MOST, QUANTITIES, Kind, impossibility
from metrics.sample import Event, Missing, Process, Sample
from metrics.series import series, split_series

if TYPE_CHECKING:
    from collections.abc import Collection

    from metrics.quality import Graded

_Value = TypeVar("_Value")
_MAX_WALL = 250_000_000_000.0  # the year 9892: later moments cannot be written as a date
_MAX_MONO = 1e11  # 3000 years of uptime


def harmless(sample: Sample) -> tuple[Sample | None, int]:
    """Clean what a foreign recording may hold: its text is as much from outside as a server's, and its numbers too.

    Gives the Sample, None where its times are impossible, and how many of its values were left out because they cannot
    be true: numbers that are not finite, or below 0, histograms whose buckets and counts do not match, events at no
    moment.
    Series of quantities that this version does not know are left out as well, and not counted.
    """
    if not (_is_moment(sample.wall) and abs(sample.mono) <= _MAX_MONO and 0 <= sample.duration <= _MAX_MONO):
        return None, 1
    counters, impossible = _true(sample.counters, Kind.COUNTER)
    gauges, more = _true(sample.gauges, Kind.GAUGE)
    histograms = {name: each for name, each in sample.histograms.items() if is_possible(each)}
    events = tuple(Event(e.wall, clean(e.kind), clean(e.text), e.code) for e in sample.events if _is_moment(e.wall))
    graded = tuple(_harmless_graded(each) for each in sample.graded if _is_true(each))
    left_out = impossible + more + len(sample.histograms) + len(sample.events) + len(sample.graded)
    left_out -= len(histograms) + len(events) + len(graded)
    made = replace(
        sample,
        source=clean(sample.source),
        reason=clean(sample.reason, 400),
        counters=counters,
        gauges=gauges,
        histograms=_known(histograms, Kind.HISTOGRAM),
        facts={clean(name): clean(value) for name, value in sample.facts.items()},
        processes=tuple(map(_harmless_process, sample.processes)),
        events=events,
        missing=tuple(Missing(clean(m.what), clean(m.why), clean(m.consequence)) for m in sample.missing),
        graded=graded,
    )
    return made, left_out


def _is_moment(wall: float) -> bool:
    return 0 <= wall <= _MAX_WALL  # false for what is no number


def _true(values: dict[str, float], kind: Kind) -> tuple[dict[str, float], int]:
    """Give what can be true under names that are known, and how many of the values cannot be."""
    if not values:
        return values, 0
    never_0 = _plain(tuple(values), kind)
    if never_0 is not None and _are_ordinary(values.values()) and all(values[name] for name in never_0):
        return values, 0
    possible = {name: value for name, value in values.items() if not impossibility(split_series(name)[0], value)}
    return _known(possible, kind), len(values) - len(possible)


def _are_ordinary(values: Collection[float]) -> bool:
    """Tell whether all are such as every plain quantity may have: one by one takes ten times as long."""
    return min(values) >= 0 and max(values) <= MOST and isfinite(sum(values))


@lru_cache(maxsize=1024)
def _plain(names: tuple[str, ...], kind: Kind) -> tuple[str, ...] | None:
    """List those that are never 0, where all are series of known quantities, written as here; else None."""
    if any(_harmless_name(name, kind) != name for name in names):
        return None
    return tuple(name for name in names if impossibility(split_series(name)[0], 0.0))


def _is_true(graded: Graded) -> bool:
    numbers = (graded.f1, graded.relevancy, graded.coherence)
    return _is_moment(graded.wall) and all(isfinite(each) for each in numbers if each is not None)


def _known(named: dict[str, _Value], kind: Kind) -> dict[str, _Value]:
    cleaned = ((_harmless_name(name, kind), value) for name, value in named.items())
    return {name: value for name, value in cleaned if name is not None}


@lru_cache(maxsize=16_384)
def _harmless_name(name: str, kind: Kind) -> str | None:
    """Write a series anew, each label's value as long as a live page's may be; None where it is of nothing known."""
    quantity, labels = split_series(name)
    if quantity not in QUANTITIES or QUANTITIES[quantity].kind is not kind:
        return None
    values = {label: clean(value, MAX_LABEL_CHARACTERS) for label, value in labels}
    return None if "quantity" in values else series(quantity, **values)  # `series` has that name for itself


def _harmless_process(process: Process) -> Process:
    numbers = (process.memory_bytes, process.cpu_usage)
    memory, usage = (each if each is not None and isfinite(each) else None for each in numbers)
    return replace(
        process,
        name=None if process.name is None else clean(process.name),
        user=None if process.user is None else clean(process.user),
        memory_bytes=memory,
        cpu_usage=usage,
    )


def _harmless_graded(graded: Graded) -> Graded:
    return replace(
        graded,
        item=clean(graded.item),
        family=clean(graded.family),
        why=clean(graded.why),
        expected=clean(graded.expected),
        said=clean(graded.said),
        digest=clean(graded.digest),
    )
