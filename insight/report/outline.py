"""The order in which a report says things: what is wrong, how bad, what to do, why, and what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.report import findings, machines, summary, surroundings
from insight.report.document import Table
from insight.report.narrative import told
from insight.report.precision import precise

if TYPE_CHECKING:
    from insight.report.document import Block
    from insight.report.narrative import Narrative
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
    surroundings.method,
)
"""GPUs and host are the tail of the executive summary."""


def outline(snapshot: Snapshot, narrative: Narrative | None = None) -> list[Block]:
    """Write a Snapshot as the blocks of a report; what a model told of it stands below the verdict, marked as such."""
    blocks: list[Block] = []
    for section in SECTIONS:
        blocks += section(snapshot)
        if section is summary.verdict and narrative is not None:
            blocks += told(narrative)
    return [precise(block) if isinstance(block, Table) else block for block in blocks]
