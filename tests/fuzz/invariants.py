"""What holds whatever came in: of a Sample, of a Snapshot, and of everything that is written from one."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from insight.report import FORMATS, render
from insight.report.cells import width
from insight.report.check import check
from metrics.quantity import SIGNED
from metrics.sample import State
from metrics.series import split_series
from metrics.snapshot import Snapshot
from tui.frame import frame
from tui.rows import row_width
from tui.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from metrics.histogram import Histogram, Quantile
    from metrics.observed import Measure, Target
    from metrics.sample import Sample
    from metrics.store import Store
    from tui.rows import Charset
    from tui.view import Page

_PAGES: tuple[Page, ...] = ("overview", "overview", "why", "gpu", "numbers", "help")
_CHARSETS: tuple[Charset, ...] = ("braille", "block", "ascii")
_SIZES = ((80, 24), (120, 40), (40, 12), (200, 50), (10, 3), (1, 1))


def is_harmless(text: str) -> bool:
    """Tell whether nothing in a text can act on a terminal or forge a line."""
    return text.isprintable()


def sound_sample(sample: Sample) -> None:
    """Check what a collector gives: finite numbers, none below 0 that cannot be, whole histograms, harmless text."""
    for name, value in (*sample.counters.items(), *sample.gauges.items()):
        assert is_harmless(name), name
        assert math.isfinite(value), (name, value)
        assert value >= 0 or split_series(name)[0] in SIGNED, (name, value)
    for name, histogram in sample.histograms.items():
        assert is_harmless(name), name
        _whole(name, histogram)
    texts = [sample.source, sample.reason, *sample.facts, *sample.facts.values()]
    texts += [text for each in sample.missing for text in (each.what, each.why, each.consequence)]
    texts += [text for each in sample.events for text in (each.kind, each.text)]
    assert all(map(is_harmless, texts)), [text for text in texts if not is_harmless(text)]


def _whole(name: str, histogram: Histogram) -> None:
    bounds, counts = histogram.bounds, histogram.counts
    assert len(counts) == len(bounds) + 1, name
    assert all(map(math.isfinite, (*bounds, *counts, histogram.sum))), (name, histogram)
    assert all(low < high for low, high in pairwise(bounds)), (name, bounds)
    assert min((*counts, *bounds, histogram.sum)) >= 0, (name, histogram)


def sound_snapshot(snapshot: Snapshot, store: Store) -> None:
    """Check that no number is impossible, and that none is there which nothing that came in told."""
    for path, value in leaves(msgspec.to_builtins(snapshot), "$"):
        assert not isinstance(value, str) or is_harmless(value), (path, value)
        assert not isinstance(value, float) or math.isfinite(value), (path, value)
    for target in snapshot.targets:
        for quantity, measure in target.quantities.items():
            _sound_measure(quantity, measure)
            if measure.source == "server":
                _told(quantity, measure, target, store)
    for quantity, measure in (snapshot.host.quantities if snapshot.host else {}).items():
        _sound_measure(quantity, measure)
    for score in msgspec.structs.astuple(snapshot.scorecard):
        for share in (score.score, score.best):
            assert share is None or 0 <= share <= 100, score


def _told(quantity: str, measure: Measure, target: Target, store: Store) -> None:
    """Check that somebody told this quantity, and that a value of now is one of the last page."""
    history = store.sources[target.id]
    assert quantity in history.columns.by_quantity, quantity
    if measure.value is not None:
        assert history.newest_ok is not None, quantity
        assert target.state in {State.OK, State.STALE}, (quantity, target.state)
        assert any(split_series(name)[0] == quantity for name in history.newest_ok.gauges), (quantity, measure)


def _sound_measure(quantity: str, measure: Measure) -> None:
    least = [measure.rate, measure.increase, measure.count, measure.window_seconds]
    least += [] if quantity in SIGNED else [measure.value, measure.mean, measure.max]
    assert all(each is None or each >= 0 for each in least), (quantity, measure)
    if measure.count == 0:
        assert (measure.mean, measure.p50, measure.p99) == (None, None, None), (quantity, measure)
    quantiles = [each for each in (measure.p50, measure.p90, measure.p95, measure.p99) if each is not None]
    for each in quantiles:
        _sound_quantile(quantity, each)
    for lower, higher in pairwise(quantiles):
        assert lower.lo <= higher.lo, (quantity, lower, higher)
    for part in measure.by.values():
        _sound_measure(quantity, part)


def _sound_quantile(quantity: str, each: Quantile) -> None:
    assert each.lo >= 0, (quantity, each)
    if each.hi is not None:
        assert each.lo <= each.hi, (quantity, each)
    if each.estimate is not None:
        slack = 1e-9 * abs(each.estimate)
        assert each.lo <= each.estimate + slack, (quantity, each)
        assert each.hi is None or each.estimate <= each.hi + slack, (quantity, each)


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """List what stands in plain data, names included, and where."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield f"{path} key", name
            yield from leaves(each, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from leaves(each, f"{path}[{index}]")
    else:
        yield path, value


def sound_outputs(snapshot: Snapshot, random: Random) -> None:
    """Write the Snapshot in every form: each is harmless, what is read by machines can be, the screen is exact."""
    for name in FORMATS:
        text = render(snapshot, name).decode()
        assert all(map(is_harmless, text.split("\n"))), [line for line in text.split("\n") if not is_harmless(line)]
        if name == "text":
            assert max(map(width, text.split("\n"))) <= 80, [line for line in text.split("\n") if width(line) > 80]
    decoded = msgspec.json.decode(render(snapshot, "json"), type=Snapshot)
    assert msgspec.to_builtins(decoded) == msgspec.to_builtins(snapshot)
    lines, _ = check(snapshot)
    assert all(map(is_harmless, lines)), lines
    for size in (random.choice(_SIZES), (random.randint(1, 250), random.randint(1, 70))):
        _sound_frame(snapshot, View(page=random.choice(_PAGES), charset=random.choice(_CHARSETS)), *size)


def _sound_frame(snapshot: Snapshot, view: View, columns: int, lines: int) -> None:
    rows = frame(snapshot, view, columns, lines)
    assert len(rows) == lines
    for row in rows:
        assert row_width(row) == columns, (view, row)
        text = "".join(text for text, _ in row)
        assert is_harmless(text), text
        assert view.charset != "ascii" or text.isascii(), text
