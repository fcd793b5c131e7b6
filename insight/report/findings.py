"""What was found and what to do: recommendations, the risk table, and the evidence behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.report.document import Block, Bullets, Column, Heading, Paragraph, Table, columns
from insight.report.words import effect_text, evidence_cell, known, opening, quantity_name, sentence, subject, titled
from metrics import units
from metrics.effect import Grade
from metrics.finding import RiskState
from metrics.sample import State

if TYPE_CHECKING:
    from metrics.finding import Recommendation, Risk
    from metrics.snapshot import Snapshot

ACTIVE = frozenset({RiskState.FIRING, RiskState.PENDING, RiskState.RESOLVING})
GRADES = {
    Grade.A: "measured, before and after or side by side",
    Grade.B: "a fitted model, within the range that was observed",
    Grade.C: "a bound or an extrapolation",
    Grade.D: "in words only",
}
MOST_EVENTS = 50
"""The newest that the timeline shows."""


def active(snapshot: Snapshot) -> list[Risk]:
    """Pick the risks that are under way, in the order of the Snapshot: worst first."""
    return [risk for risk in snapshot.risks if risk.state in ACTIVE]


def recommendations(snapshot: Snapshot) -> list[Block]:
    """Say what to do, what it is expected to bring, and why."""
    blocks: list[Block] = [Heading(2, "Optimisation recommendations")]
    if not snapshot.recommendations:
        return [*blocks, Paragraph(_no_advice(snapshot)), *_withheld(snapshot)]
    for number, each in enumerate(snapshot.recommendations, 1):
        blocks += [
            Heading(3, f"{number}. {titled(each.title, subject(snapshot, each.target))}"),
            *_changes(each),
            Bullets(tuple(_points(snapshot, each))),
        ]
    if snapshot.track_record:
        blocks.append(Paragraph(snapshot.track_record))
    return [*blocks, *_withheld(snapshot)]


def _changes(recommendation: Recommendation) -> list[Block]:
    """Show the settings to change, as they are and as they are to be."""
    if not recommendation.changes:
        return []
    rows = tuple(
        (
            each.flag,
            "not told by the server" if each.now is None else known(each.now),
            each.proposed,
            "yes" if each.restart else "no",
        )
        for each in recommendation.changes
    )
    return [Table(tuple(map(Column, ("flag", "now", "proposed", "takes a restart"))), rows)]


def _withheld(snapshot: Snapshot) -> list[Block]:
    """List the advice that would usually be given here, and why it is not."""
    if not snapshot.withheld:
        return []
    rows = tuple((titled(each.title, subject(snapshot, each.target)), known(each.why)) for each in snapshot.withheld)
    return [Heading(3, "Advice withheld"), Table((Column("advice"), Column("why not")), rows, prose=True)]


def _no_advice(snapshot: Snapshot) -> str:
    if active(snapshot):
        return "None beyond the mitigations in the risk table."
    if any(target.state is State.OK for target in snapshot.targets):
        return "None: no risk that was seen calls for a change."
    return "None: no server was seen that advice could be about."


def _points(snapshot: Snapshot, recommendation: Recommendation) -> list[str]:
    titles = {risk.id: risk.title for risk in snapshot.risks}
    points = [f"Do: {action}" for action in recommendation.actions]
    points.append(f"Effect: {sentence(effect_text(recommendation))}")
    effect = recommendation.effect
    if effect:
        points.append(f"Grade {effect.grade.value}: {GRADES[effect.grade]}.")
        points += [f"To be measured first: {sentence(effect.needs)}"] if effect.needs else []
        points += [f"Assumes: {sentence(assumption)}" for assumption in effect.assumptions]
        points += [f"Holds only if: {sentence(condition)}" for condition in effect.valid_if]
    points += [f"Because: {sentence(reason)}" for reason in recommendation.because]
    for words, said in (
        ("Costs", recommendation.cost),
        ("May get worse", recommendation.harm),
        ("Disproved by", recommendation.disproved_by),
    ):
        points += [f"{words}: {sentence(said)}"] if said else []
    if recommendation.risks:
        points.append(f"Answers: {', '.join(titles.get(risk, risk) for risk in recommendation.risks)}.")
    return points


def risk_table(snapshot: Snapshot) -> list[Block]:
    """Give every risk its row, worst first."""
    blocks: list[Block] = [Heading(2, "Risk table")]
    if not snapshot.risks:
        return [*blocks, Paragraph("No risk was judged: nothing was seen that a rule could judge.")]
    titles = ("risk", "state", "description", "mitigation", "likelihood", "impact")
    rows = tuple(
        (
            _title(snapshot, risk),
            _state(risk),
            *map(known, (risk.description, risk.mitigation, risk.likelihood, risk.impact)),
        )
        for risk in snapshot.risks
    )
    return [*blocks, Table(tuple(map(Column, titles)), rows, prose=True)]


def _title(snapshot: Snapshot, risk: Risk) -> str:
    return titled(risk.title, subject(snapshot, risk.target))


def _state(risk: Risk) -> str:
    words = risk.state.value.replace("_", " ")
    return f"{words}, {risk.severity.value}" if risk.state in ACTIVE else words


def evidence(snapshot: Snapshot) -> list[Block]:
    """Show the numbers behind every risk that fires, is about to, or has just ceased, and what happened when."""
    found = active(snapshot)
    blocks: list[Block] = [Heading(2, "Evidence")]
    if not found:
        blocks.append(Paragraph("No risk fires, is pending or is resolving."))
    for risk in found:
        blocks += _findings(snapshot, risk)
    return [*blocks, *_timeline(snapshot)]


def _findings(snapshot: Snapshot, risk: Risk) -> list[Block]:
    since = f"since {risk.since}" if risk.since else "since when is not known"
    lasted = f", {risk.state.value} for {units.duration(risk.seconds_in_state)}" if risk.seconds_in_state else ""
    soon = f", fires in {units.duration(risk.fires_in_seconds)}" if risk.fires_in_seconds is not None else ""
    said = f" {opening(risk.summary)}" if risk.summary else ""
    blocks: list[Block] = [
        Heading(3, f"{_title(snapshot, risk)}: {_state(risk)}"),
        Paragraph(f"{since[0].upper()}{since[1:]}{lasted}{soon}.{said}"),
    ]
    rows = tuple(
        (
            quantity_name(each.quantity),
            evidence_cell(each),
            units.value(each.threshold, each.unit),
            units.duration(each.window_seconds),
            units.count(each.count),
            each.text,
        )
        for each in risk.evidence
    )
    if rows:
        numbers = columns("quantity", "value", "threshold", "window", "n")
        blocks.append(Table((*numbers, Column("in words")), rows))
    else:
        blocks.append(Paragraph("It came with no numbers."))
    return blocks


def _timeline(snapshot: Snapshot) -> list[Block]:
    """Put events and the begin and end of every firing on one clock."""
    happened = [(units.rfc3339(event.wall), event.kind, event.text) for event in snapshot.events]
    for risk in snapshot.risks:
        title = _title(snapshot, risk)
        for begin, end in risk.episodes:
            happened.append((begin, "risk", f"{title} begins"))
            if end is not None:
                happened.append((end, "risk", f"{title} is over"))
    blocks: list[Block] = [Heading(3, "Timeline")]
    if not happened:
        return [*blocks, Paragraph("No event is known: no restart, no GPU error, no mark, no risk that fired.")]
    # Moments are RFC 3339 in UTC to the second, so their order as text is their order in time.
    happened.sort(key=lambda each: each[0])
    if len(happened) > MOST_EVENTS:
        blocks.append(Paragraph(f"The newest {MOST_EVENTS} of {units.count(len(happened))}; the JSON has all."))
    rows = tuple(happened[-MOST_EVENTS:])
    return [*blocks, Table(tuple(map(Column, ("when", "kind", "what"))), rows)]
