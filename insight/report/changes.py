"""What changed: which quantity first, and what a server does under normal and under heavy load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.report.document import Block, Column, Heading, Paragraph, Table, columns
from insight.report.words import opening, quantile_cell, quantity_name, sentence, subject
from metrics import units
from metrics.track import GPU_TRACKS, SERVER_TRACKS

if TYPE_CHECKING:
    from metrics.finding import LoadLevel, Onset
    from metrics.snapshot import Snapshot

MOST_ONSETS = 12
"""Quantities in the one sentence; the table has all."""


def onsets(snapshot: Snapshot) -> list[Block]:
    """Say in which order quantities left what they had been; nothing where none is known to have."""
    if not snapshot.onsets:
        return []
    rows = tuple(
        (
            clock(each.at),
            track_name(each.quantity),
            subject(snapshot, each.target),
            units.value(each.before, each.unit),
            units.value(each.after, each.unit),
            units.duration(each.within_seconds),
        )
        for each in snapshot.onsets
    )
    heads = (
        *map(Column, ("when (UTC)", "what", "of")),
        Column("before", right=True),
        Column("after", right=True),
        Column("earlier by at most"),
    )
    return [
        Heading(3, "What changed first"),
        Paragraph(opening(first_changes(snapshot))),
        Table(heads, rows),
        Paragraph(
            "A change is three points of a graph in a row outside of what had been: half of what was seen before the "
            "fault. The order is certain only where the moments lie further apart than 'earlier by at most'; it is no "
            "proof of cause."
        ),
    ]


def first_changes(snapshot: Snapshot) -> str:
    """Put what changed on one line, in order: `KV cache in use 14:01:50, requests waiting 14:02:05`."""
    return ", ".join(_short(snapshot, each) for each in snapshot.onsets[:MOST_ONSETS])


def _short(snapshot: Snapshot, onset: Onset) -> str:
    alone = len(snapshot.targets) == 1 and onset.target == snapshot.targets[0].id
    about = "" if alone else f" of {subject(snapshot, onset.target)}"
    return f"{track_name(onset.quantity)}{about} {clock(onset.at)}"


def track_name(track: str) -> str:
    """Name a track for a reader: `TTFT p95`, `requests finished`, `KV cache in use`."""
    spec = SERVER_TRACKS.get(track) or GPU_TRACKS.get(track)
    if spec is None or spec.q is not None:
        return quantity_name(track)
    return quantity_name(spec.quantity)


def clock(moment: str) -> str:
    """Write the time of day of an RFC 3339 moment."""
    return moment[11:19]


def levels(snapshot: Snapshot) -> list[Block]:
    """Show what each server did at each level of load that the data tells apart."""
    blocks: list[Block] = []
    for target in snapshot.targets:
        own = [each for each in snapshot.levels if each.target == target.id]
        if not own:
            continue
        title = "Normal and heavy load" if len(own) > 1 else "Load"
        about = f" of {target.url}" if len(snapshot.targets) > 1 else ""
        blocks += [Heading(3, f"{title}{about}"), _levels(own), Paragraph(sentence(opening(own[0].why)))]
    return blocks


def _levels(found: list[LoadLevel]) -> Table:
    heads = columns("load", "time", "in flight", "finished", "output", "TTFT p95", "ITL p95", "E2E p95")
    return Table(heads, tuple(map(_level, found)))


def _level(level: LoadLevel) -> tuple[str, ...]:
    rates = [
        units.rate(found.rate, found.unit) if (found := level.quantities.get(name)) else units.UNKNOWN
        for name in ("requests_finished", "output_tokens_total")
    ]
    tails = [
        quantile_cell(found.p95, found.unit) if (found := level.quantities.get(name)) else units.UNKNOWN
        for name in ("ttft_seconds", "itl_seconds", "e2e_seconds")
    ]
    return level.name, units.duration(level.seconds), units.value(level.in_flight, "1"), *rates, *tails
