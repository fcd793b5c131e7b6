"""The numbers of one inference server: on a line, and in tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.report.document import Block, Heading, Paragraph, Table, columns
from insight.report.words import (
    engine_name,
    known,
    measure_cells,
    quantile_cell,
    quantity_name,
    sentence,
    state_text,
    window_cell,
)
from metrics import units
from metrics.sample import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.snapshot import Measure, Snapshot, Target

LEVELS = ("requests_running", "requests_waiting", "kv_cache_usage")
RATES = (
    "requests_finished",
    "requests_failed",
    "requests_rejected",
    "output_tokens_total",
    "prompt_tokens_total",
    "prompt_tokens_cached",
    "preemptions",
)
DISTRIBUTIONS = (
    "ttft_seconds",
    "queue_seconds",
    "prefill_seconds",
    "itl_seconds",
    "tpot_seconds",
    "e2e_seconds",
    "prompt_tokens",
    "output_tokens",
)
ALWAYS = frozenset(LEVELS) | {
    "requests_finished",
    "output_tokens_total",
    "prompt_tokens_total",
    "ttft_seconds",
    "queue_seconds",
    "itl_seconds",
    "e2e_seconds",
}
"""What has its row also where nothing is known of it: a server that does not tell its TTFT is a finding."""
MOST_PARTS = 6
"""A counter that the server splits further than this (engines x reasons) is shown without its parts."""


def called(target: Target) -> str:
    """Name a server by where it is and what it serves."""
    return target.url if target.model is None else f"{target.url} ({target.model})"


def glance(target: Target) -> str:
    """Put the most important numbers of a server on one line; of a server that is not ok, why it is not."""
    if target.state is not State.OK:
        return state_text(target.state, target.reason)
    latencies = [
        f"{quantity_name(name)} p95 {quantile_cell(found.p95, found.unit)}"
        for name in ("ttft_seconds", "itl_seconds")
        if (found := target.quantities.get(name)) is not None
    ]
    rates = [
        f"{units.rate(found.rate, what)}{rest}"
        for name, what, rest in (
            ("requests_finished", "requests", " finished"),
            ("output_tokens_total", "output tokens", ""),
        )
        if (found := target.quantities.get(name)) is not None
    ]
    levels = [
        f"{quantity_name(name)} {units.value(found.value, found.unit)}"
        for name in LEVELS
        if (found := target.quantities.get(name)) is not None
    ]
    return ", ".join((*latencies, *rates, *levels)) or "nothing was measured over a window yet"


def server(snapshot: Snapshot, target: Target) -> list[Block]:
    """Say what a server is, how it is, and what it measured."""
    version = f" {target.engine_version}" if target.engine_version else ""
    facts = (
        f"{'SIMULATED ' if target.simulated else ''}{engine_name(target.engine)}{version}",
        f"model {known(target.model or '')}",
        f"state {target.state.value}",
        f"up {units.duration(target.uptime_seconds)}",
        f"last answer {units.duration(target.age_seconds)} before this report",
    )
    blocks: list[Block] = [Heading(3, target.url), Paragraph(sentence(", ".join(facts)))]
    if target.state is not State.OK:
        blocks.append(Paragraph(sentence(state_text(target.state, target.reason)), strong=True))
    if target.quantities:
        blocks += [_levels(target), _rates(target), _distributions(target)]
    unseen = [f"{each.what} ({each.why})" for each in snapshot.not_visible if each.target == target.id]
    return [*blocks, Paragraph(sentence(f"Not seen here: {'; '.join(unseen)}"))] if unseen else blocks


def _shown(target: Target, quantities: Sequence[str]) -> list[tuple[str, Measure | None]]:
    found = target.quantities
    return [(name, found.get(name)) for name in quantities if name in found or name in ALWAYS]


def _levels(target: Target) -> Table:
    rows = ((quantity_name(name), *measure_cells(measure)) for name, measure in _shown(target, LEVELS))
    return Table(columns("level", "now", "mean", "max", "window"), tuple(rows))


def _rates(target: Target) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, measure in _shown(target, RATES):
        rows.append((quantity_name(name), *_rate_cells(measure)))
        parts = measure.by if measure else {}
        if 1 < len(parts) <= MOST_PARTS:
            rows += [(f"- {label}", *_rate_cells(part)) for label, part in parts.items()]
    return Table(columns("rate", "per second", "in the window", "window"), tuple(rows))


def _rate_cells(measure: Measure | None) -> tuple[str, ...]:
    if measure is None:
        return (units.UNKNOWN,) * 3
    return (units.rate(measure.rate, measure.unit), units.value(measure.increase, measure.unit), window_cell(measure))


def _distributions(target: Target) -> Table:
    rows = ((quantity_name(name), *_distribution_cells(each)) for name, each in _shown(target, DISTRIBUTIONS))
    return Table(columns("per request", "n", "mean", "p50", "p95", "p99", "window"), tuple(rows))


def _distribution_cells(measure: Measure | None) -> tuple[str, ...]:
    if measure is None:
        return (units.UNKNOWN,) * 6
    quantiles = (quantile_cell(each, measure.unit) for each in (measure.p50, measure.p95, measure.p99))
    return (units.count(measure.count), units.value(measure.mean, measure.unit), *quantiles, window_cell(measure))
