"""The order in which a report says things: what is wrong, how bad, what to do, why, and what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.report import findings, machines, summary, surroundings

if TYPE_CHECKING:
    from insight.report.document import Block
    from metrics.snapshot import Snapshot

SECTIONS = (
    summary.head,
    summary.verdict,
    summary.summary,
    machines.gpus,
    machines.host,
    findings.recommendations,
    findings.risk_table,
    findings.evidence,
    surroundings.not_visible,
    surroundings.environment,
)
"""GPUs and host are the tail of the executive summary."""


def outline(snapshot: Snapshot) -> list[Block]:
    """Write a Snapshot as the blocks of a report."""
    return [block for section in SECTIONS for block in section(snapshot)]
