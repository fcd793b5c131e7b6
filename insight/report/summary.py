"""The head of a report, its verdict, and the executive summary of model performance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.report.changes import levels, onsets
from insight.report.document import Block, Bullets, Column, Heading, Paragraph, Table, columns
from insight.report.over_time import over_time
from insight.report.servers import called, glance, server
from insight.report.words import effect_text, known, opening, quantity_name, sentence
from metrics import units
from metrics.finding import RiskState, Severity

if TYPE_CHECKING:
    from metrics.observed import Measure, Target
    from metrics.snapshot import Snapshot

ALARMING = frozenset({Severity.CRITICAL, Severity.WARNING})
MOST_GLANCES = 6
"""Servers that have their line under the verdict; the others follow in the summary."""

LEGEND = (
    "~ marks a quantile that is interpolated within a bucket of the server's histogram; in [ ] stand the bounds that "
    "certainly hold it. Means are exact. A — among the quantiles of a row with observations means that these are too "
    "few for it (p50 needs 2, p95 20, p99 100)."
)


def head(snapshot: Snapshot) -> list[Block]:
    """Say what this is, of when, of where, and loudly if it is not the present of a real host."""
    blocks: list[Block] = [Heading(1, f"{snapshot.tool.name} report of {snapshot.generated_at}")]
    if snapshot.simulated:
        blocks.append(Paragraph("SIMULATED: servers or GPUs in this report were made up by a simulator.", strong=True))
    if snapshot.mode == "replay":
        blocks.append(Paragraph("REPLAY: made from a recording; it speaks of that time, not of now.", strong=True))
    host = snapshot.host.name if snapshot.host else None
    where = f"Host {host}, mode {snapshot.mode}." if host else f"Mode {snapshot.mode}."
    asked = units.duration(snapshot.asked_window_seconds)
    if snapshot.window_seconds is None:
        window = f"Nothing was seen over a window yet; {asked} was asked for."
    else:
        window = f"The numbers speak of {units.duration(snapshot.window_seconds)} ({asked} asked for)."
    return [*blocks, Paragraph(f"{where} {window}")]


def verdict(snapshot: Snapshot) -> list[Block]:
    """Say what is wrong in one sentence, the few numbers that tell how bad it is, and what to do first."""
    severity = snapshot.verdict.severity
    said = snapshot.verdict.text
    words = sentence(f"{severity.value.upper()}: {said}") if severity else opening(said)
    targets = worst_first(snapshot)
    items = [sentence(f"{called(target)}: {glance(target)}") for target in targets[:MOST_GLANCES]]
    if len(targets) > MOST_GLANCES:
        items.append(f"{units.count(len(targets) - MOST_GLANCES)} more servers stand in the summary.")
    if snapshot.recommendations:
        first = snapshot.recommendations[0]
        items.append(f"What to do first: {sentence(first.title)} Effect: {sentence(effect_text(first))}")
    blocks: list[Block] = [Heading(2, "Verdict"), Paragraph(words, severity in ALARMING, severity)]
    return [*blocks, Bullets(tuple(items))] if items else blocks


def worst_first(snapshot: Snapshot) -> list[Target]:
    """Order the servers: those that a firing risk is about first, in the order of the risks."""
    firing = [risk.target for risk in snapshot.risks if risk.state is RiskState.FIRING]
    return sorted(snapshot.targets, key=lambda each: firing.index(each.id) if each.id in firing else len(firing))


def summary(snapshot: Snapshot) -> list[Block]:
    """Tell how the servers do: the scorecard, what changed, the graphs, the levels of load, the numbers of each."""
    targets = worst_first(snapshot)
    blocks: list[Block] = [Heading(2, "Executive summary of model performance"), _scorecard(snapshot)]
    blocks += [*onsets(snapshot), *over_time(snapshot, targets), *levels(snapshot)]
    if snapshot.quality:
        blocks += [Heading(3, "Quality"), _quality(snapshot.quality)]
    if not snapshot.targets:
        return [*blocks, Paragraph("No inference server was seen.")]
    blocks += [block for target in targets for block in server(snapshot, target)]
    if any(target.quantities for target in snapshot.targets):
        blocks.append(Paragraph(LEGEND))
    return blocks


def _scorecard(snapshot: Snapshot) -> Table:
    card = snapshot.scorecard
    scores = (
        ("throughput", card.throughput),
        ("TTFT", card.ttft),
        ("quality", card.quality),
        ("efficiency", card.efficiency),
    )
    rows = (
        (
            name,
            units.score(score.score, score.best),
            known(score.objective or ""),
            known(score.text),
        )  # the text says why there is none
        for name, score in scores
    )
    heads = (Column("dimension"), Column("score", right=True), Column("objective"), Column("why"))
    return Table(heads, tuple(rows), tiles=True)


def _quality(measures: dict[str, Measure]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, measure in measures.items():
        rows.append(_quality_row(quantity_name(name), measure))
        rows += [_quality_row(f"  {label}", part) for label, part in measure.by.items()]
    return Table(columns("quality", "n", "value", "95 % interval"), tuple(rows))


def _quality_row(name: str, measure: Measure) -> tuple[str, ...]:
    unit = measure.unit
    interval = "" if measure.lo is None else f"{units.value(measure.lo, unit)} to {units.value(measure.hi, unit)}"
    return name, units.count(measure.count), units.value(measure.value, unit), known(interval)
