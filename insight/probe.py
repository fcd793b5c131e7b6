"""What a probe of a server found, as quantities of that server that never mix with its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from metrics.censored import describe_censored
from metrics.measure import measures
from metrics.sample import Source
from metrics.series import series, split_series

if TYPE_CHECKING:
    from metrics.snapshot import Measure
    from metrics.view import SourceView, View

CENSORED = {"probe_ttft_seconds": "probe_ttft_censored_seconds", "probe_e2e_seconds": "probe_e2e_censored_seconds"}
"""Latencies, and how long those certainly were that were not seen to their end."""


def probe_measures(view: View, target: str, window: float) -> dict[str, Measure]:
    """Put together what the probe of a target found over the window; empty where there is no probe."""
    source = _probe(view, target)
    if source is None:
        return {}
    found = measures(source, window)
    for quantity, censored in CENSORED.items():
        if quantity in found or censored in found:
            whole = _latency(source, quantity, censored, window)
            if whole is not None:
                found[quantity] = whole
    return {name: _labelled(each) for name, each in found.items()}


def probe_facts(view: View, target: str) -> dict[str, str]:
    """Tell what is known in words of the probe of a target."""
    source = _probe(view, target)
    return {} if source is None else source.facts


def _probe(view: View, target: str) -> SourceView | None:
    name = f"probe:{target}"
    return view.of(name) if name in view.ids(Source.PROBE) else None


def _latency(source: SourceView, quantity: str, censored: str, window: float) -> Measure | None:
    """Put a latency together whole and by its labels, what was not seen to its end included."""
    known = [split_series(name)[1] for name in (*source.split(quantity), *source.split(censored))]
    by = {}
    for labels in sorted(set(known)):
        part = describe_censored(
            source.histogram_of([series(quantity, **dict(labels))], window),
            source.histogram_of([series(censored, **dict(labels))], window),
            "s",
            source.seconds(window),
        )
        if part is not None:
            by[",".join(f"{label}={value}" for label, value in labels)] = part
    whole = describe_censored(
        source.histogram(quantity, window), source.histogram(censored, window), "s", source.seconds(window)
    )
    return None if whole is None else replace(whole, by=by)


def _labelled(measure: Measure) -> Measure:
    return replace(measure, source="probe", by={label: _labelled(part) for label, part in measure.by.items()})
