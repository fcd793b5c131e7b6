"""What one quantity of one source was over a window: the rows of every table, screen and report.

Parts are put together by these rules: counters add; histograms add bucket by bucket where their bounds agree; gauges as
`GAUGE_RULES` says. Quantiles and means are never averaged.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from metrics.histogram import Histogram, quantile
from metrics.lumps import PLAIN_SECONDS
from metrics.observed import Measure
from metrics.quantity import QUANTITIES, Kind
from metrics.series import series, split_series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from metrics.view import SourceView

GAUGE_RULES: Mapping[str, Callable[[list[float]], float]] = {
    "requests_running": math.fsum,
    "requests_waiting": math.fsum,
    "max_running_requests": math.fsum,
    "kv_cache_capacity_tokens": math.fsum,
    "max_model_len": min,
    "start_time_seconds": max,
    "sleeping": min,
}
"""How the engines of one server make one value. `kv_cache_usage` is weighted by capacity, see `total_gauge`; what is
not named here (disks, throttle reasons) is not added up."""


def measure(source: SourceView, quantity: str, window: float) -> Measure | None:
    """Put together what a quantity was over the window; None where nothing of it is known."""
    parts = source.parts(quantity)
    if not parts:
        return None
    whole = _MEASURES[QUANTITIES[quantity].kind](source, quantity, parts, window)
    split = source.split(quantity)
    if whole is None or not split:
        return whole
    by = {_label(name): each for name in split if (each := _part(source, quantity, name, window)) is not None}
    return replace(whole, by=by)


def measures(source: SourceView, window: float) -> dict[str, Measure]:
    """Put together every quantity that the source has, in the order of the catalogue."""
    known = source.history.columns.by_quantity
    found = ((name, measure(source, name, window)) for name in QUANTITIES if name in known)
    return {name: each for name, each in found if each is not None}


def total_gauge(source: SourceView, quantity: str, seconds: float = 0.0, end: float | None = None) -> float | None:
    """Put a gauge together over the engines of a server: its newest value, or its mean over `seconds` up to `end`.

    An engine that the newest page lacks has gone. None where the page gave one, but no number.
    """
    parts = source.parts(quantity)

    def value(name: str) -> float | None:
        return source.gauge(name) if end is None else source.gauge_mean_at(name, seconds, end)

    known = {name: each for name in parts if (each := value(name)) is not None}
    if not known or (len(known) < len(parts) and _is_missing(source, quantity)):
        return None
    return _together(quantity, known, value)


def _mean(source: SourceView, quantity: str, window: float) -> float | None:
    """Put together the means over the window of the engines that are there now."""

    def value(name: str) -> float | None:
        return None if source.gauge(name) is None else source.gauge_mean_at(name, window, source.view.mono)

    known = {name: mean for name in source.parts(quantity) if (mean := value(name)) is not None}
    return _together(quantity, known, value)


def _together(quantity: str, known: Mapping[str, float], value: Callable[[str], float | None]) -> float | None:
    """Make one value of those of the engines by the rule of the quantity; None where there is no rule."""
    if not known:
        return None
    if len(known) == 1:
        return next(iter(known.values()))
    if quantity == "kv_cache_usage":
        capacities = [series("kv_cache_capacity_tokens", **dict(split_series(name)[1])) for name in known]
        return _weighted(list(known.values()), [each for each in map(value, capacities) if each])
    rule = GAUGE_RULES.get(quantity)
    return rule(list(known.values())) if rule else None


def _is_missing(source: SourceView, quantity: str) -> bool:
    newest = source.newest_ok
    return newest is not None and any(each.what == quantity for each in newest.missing)


def _weighted(usages: list[float], capacities: list[float]) -> float:
    """Weigh each engine's usage by the capacity of its cache; where that is not known, all alike."""
    if len(capacities) < len(usages):
        return math.fsum(usages) / len(usages)
    return math.fsum(map(operator.mul, usages, capacities)) / math.fsum(capacities)


def _counter(source: SourceView, quantity: str, names: list[str], window: float) -> Measure | None:
    increase = source.increase_of(names, window)
    if increase is None:
        return None
    unit = QUANTITIES[quantity].unit
    whole = Measure(unit, rate=increase.rate, increase=increase.value, window_seconds=increase.seconds)
    if not source.is_lumpy(quantity):
        return whole
    if increase.seconds >= PLAIN_SECONDS:
        return replace(whole, note="the server counts this when a request ends")
    return _smoothed(source, names, window, whole)


def _smoothed(source: SourceView, names: list[str], window: float, plain: Measure) -> Measure:
    """Take the rate of a counter that moves when a request ends between two moments at which it was right."""
    steady = source.pace_of(names, window)
    if steady is None:
        why = "the server counts this when a request ends, and too few have ended to tell a rate"
        return replace(plain, rate=None, note=why)
    note = (
        f"the server counts this when a request ends: the rate is that of the {steady.seconds:.0f} s until the last end"
    )
    return replace(plain, rate=steady.rate, note=note)


def _gauge(source: SourceView, quantity: str, names: list[str], window: float) -> Measure | None:
    unit = QUANTITIES[quantity].unit
    if len(names) > 1:
        value = total_gauge(source, quantity)
        if value is None and quantity in GAUGE_RULES:
            return None
        return Measure(unit, value=value, mean=None if value is None else _mean(source, quantity, window))
    stats = source.gauge_over(names[0], window)
    if stats is None:
        return None
    newest = source.gauge(names[0])
    return Measure(unit, value=newest, mean=stats.mean, max=stats.peak, window_seconds=stats.seconds)


def _histogram(source: SourceView, quantity: str, names: list[str], window: float) -> Measure | None:
    observed = source.histogram_of(names, window)
    if observed is None:
        return None
    return describe(observed, QUANTITIES[quantity].unit, source.seconds(window))


def describe(observed: Histogram, unit: str, seconds: float | None) -> Measure:
    """Write the count, the exact mean and the quantiles of what was observed."""
    return Measure(
        unit,
        count=observed.count,
        mean=observed.mean,
        p50=quantile(observed, 0.50),
        p90=quantile(observed, 0.90),
        p95=quantile(observed, 0.95),
        p99=quantile(observed, 0.99),
        window_seconds=seconds,
    )


_MEASURES = {Kind.COUNTER: _counter, Kind.GAUGE: _gauge, Kind.HISTOGRAM: _histogram}


def _part(source: SourceView, quantity: str, name: str, window: float) -> Measure | None:
    return _MEASURES[QUANTITIES[quantity].kind](source, quantity, [name], window)


def _label(name: str) -> str:
    return ",".join(f"{label}={value}" for label, value in split_series(name)[1])
