"""The numbers of one inference server: on a line, and in tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.report.document import Block, Heading, Paragraph, Table, columns
from insight.report.estimates import estimates
from insight.report.words import (
    engine_name,
    known,
    measure_cells,
    opening,
    quantile_cell,
    quantity_name,
    sentence,
    state_text,
    window_cell,
)
from metrics import units
from metrics.sample import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metrics.observed import Measure, Target
    from metrics.snapshot import Snapshot

    Cells = tuple[str, ...]

LEVELS = ("requests_running", "requests_waiting", "kv_cache_usage")
TOLD = ("prefix_cache_hit_rate", "spec_acceptance_rate", "spec_acceptance_length")
"""What some servers tell as they have it, over a time of their own choosing: only its newest value says something."""
RATES = (
    "requests_finished",
    "requests_failed",
    "requests_rejected",
    "output_tokens_total",
    "output_tokens_without_probe",
    "prompt_tokens_total",
    "prompt_tokens_without_probe",
    "prompt_tokens_cached",
    "preemptions",
    "probe_requests",
    "probe_skipped",
    "probe_tokens",
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
    "probe_ttft_seconds",
    "probe_itl_seconds",
    "probe_tpot_seconds",
    "probe_e2e_seconds",
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
WITHOUT_PAGE = frozenset({"openai", "ollama"})
"""Engines that have no metrics page."""
MOST_PARTS = 6
"""What the server splits further than this (engines x reasons) is shown without its parts."""


def called(target: Target) -> str:
    """Name a server by where it is and what it serves."""
    return target.url if target.model is None else f"{target.url} ({target.model})"


def glance(target: Target) -> str:
    """Put the most important numbers of a server on one line; of a server that is not ok, why it is not."""
    if target.state is not State.OK:
        return state_text(target.state, target.reason)
    latencies = [
        f"{quantity_name(seen)} p95 {quantile_cell(target.quantities[seen].p95, target.quantities[seen].unit)}"
        for name in ("ttft_seconds", "itl_seconds")
        if (seen := next((each for each in (name, f"probe_{name}") if each in target.quantities), None)) is not None
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
    return ", ".join((*latencies, *rates, *levels)) or _nothing(target)


def _nothing(target: Target) -> str:
    if target.engine in WITHOUT_PAGE:
        return "no metrics page: only --probe shows what a client gets"
    return "nothing was measured over a window yet"


def server(snapshot: Snapshot, target: Target) -> list[Block]:
    """Say what a server is, how it is, and what it measured."""
    version = f" {target.engine_version}" if target.engine_version else ""
    facts = [
        f"{'SIMULATED ' if target.simulated else ''}{engine_name(target.engine)}{version}",
        f"model {known(target.model or '')}",
        f"state {target.state.value}",
    ]
    if target.age_seconds is None:
        facts.append("it never answered")
    else:
        facts.append(f"up {units.duration(target.uptime_seconds)}")
        facts.append(f"last answer {units.duration(target.age_seconds)} before this report")
    blocks: list[Block] = [Heading(3, target.url), Paragraph(sentence(", ".join(facts)))]
    if target.state is not State.OK:
        blocks.append(Paragraph(sentence(state_text(target.state, target.reason)), strong=True))
    if target.quantities:
        blocks += [*_levels(target), _rates(target), *_notes(target), _distributions(target)]
    blocks += estimates(target)
    if probe := target.facts.get("probe"):
        blocks.append(
            Paragraph(sentence(f"The probe sends requests of its own, which the server counts as well: {probe}"))
        )
    unseen = [f"{each.what} ({each.why})" for each in snapshot.not_visible if each.target == target.id]
    return [*blocks, Paragraph(sentence(f"Not seen here: {'; '.join(unseen)}"))] if unseen else blocks


def _shown(target: Target, quantities: Sequence[str]) -> list[tuple[str, Measure | None]]:
    found = target.quantities
    return [(name, found.get(name)) for name in quantities if name in found or name in ALWAYS]


def _levels(target: Target) -> list[Block]:
    rows = (*_rows(target, LEVELS, measure_cells), *_rows(target, TOLD, _told_cells))
    table = Table(columns("level", "now", "mean", "max", "window"), rows)
    found = (target.quantities.get(name) for name in LEVELS)
    if any(each and each.by and each.mean is None for each in found):
        return [table, Paragraph("Mean and max are not put together over several engines.")]
    return [table]


def _told_cells(measure: Measure | None) -> Cells:
    """Write the newest value alone: a mean of means over unknown times would be a number of nothing."""
    now = units.UNKNOWN if measure is None else units.value(measure.value, measure.unit)
    return (now, "", "", "as the server has it")


def _rates(target: Target) -> Table:
    return Table(columns("rate", "per second", "in the window", "window"), _rows(target, RATES, _rate_cells))


def _notes(target: Target) -> list[Block]:
    """Say what has to be known of how a counter moves to read its rate."""
    noted = [(name, target.quantities[name].note) for name in RATES if name in target.quantities]
    return [Paragraph(opening(f"{quantity_name(name)}: {note}")) for name, note in noted if note]


def _distributions(target: Target) -> Table:
    rows = tuple(_distribution(name, each) for name, each in _shown(target, DISTRIBUTIONS))
    return Table(columns("observed", "n", "mean", "p50", "p95", "p99", "window"), rows)


def _rows(target: Target, quantities: Sequence[str], cells: Callable[[Measure | None], Cells]) -> tuple[Cells, ...]:
    """Give every quantity its row, and those parts of it theirs to which something was added, if these are few."""
    rows: list[Cells] = []
    for name, measure in _shown(target, quantities):
        rows.append((quantity_name(name), *cells(measure)))
        parts = {label: part for label, part in measure.by.items() if part.increase != 0} if measure else {}
        if measure and len(measure.by) > 1 and len(parts) <= MOST_PARTS:
            rows += [(f"- {label}", *cells(part)) for label, part in parts.items()]
    return tuple(rows)


def _rate_cells(measure: Measure | None) -> Cells:
    if measure is None:
        return (units.UNKNOWN,) * 3
    return (units.rate(measure.rate, measure.unit), units.value(measure.increase, measure.unit), window_cell(measure))


def _distribution(name: str, measure: Measure | None) -> Cells:
    if measure is None:
        return (quantity_name(name), *[units.UNKNOWN] * 6)
    tokens = measure.unit == "tokens"
    # The word stands once, in the title: six times in a row it would leave no room for the numbers.
    title, unit = (f"{quantity_name(name)} (tokens)", "1") if tokens else (quantity_name(name), measure.unit)
    quantiles = (quantile_cell(each, unit) for each in (measure.p50, measure.p95, measure.p99))
    return (title, units.count(measure.count), units.value(measure.mean, unit), *quantiles, window_cell(measure))
