"""What could not be seen, and what a reader needs to judge a report or to repeat it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from insight.report.document import Block, Column, Heading, Paragraph, Table
from insight.report.words import engine_name, known, quantity_name, subject, titled
from metrics import units
from metrics.quantity import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.snapshot import Snapshot


def not_visible(snapshot: Snapshot) -> list[Block]:
    """List what could not be seen, and what cannot be said because of it."""
    heading = Heading(2, "What was not visible")
    if not snapshot.not_visible:
        return [heading, Paragraph("Nothing is known to be missing.")]
    rows = []
    for each in snapshot.not_visible:
        title = titled(each.what, subject(snapshot, each.target))
        rows.append((title, known(each.why), known(each.consequence)))
    return [heading, Table(tuple(map(Column, ("what", "why", "consequence"))), tuple(rows), prose=True)]


def environment(snapshot: Snapshot) -> list[Block]:
    """Say with what, on what and against what all this was measured."""
    facts = tuple((name, known(fact or "")) for name, fact in (*_facts(snapshot), *_told(snapshot)))
    blocks: list[Block] = [Heading(2, "Environment"), Table((Column("fact"), Column("value")), facts)]
    objectives = tuple(
        (
            f"{quantity_name(each.quantity)} p{units.digits(each.q * 100)}",
            units.value(each.limit, QUANTITIES[each.quantity].unit if each.quantity in QUANTITIES else "1"),
            "nobody: the default of this program" if each.default else "the user",
        )
        for each in snapshot.objectives
    )
    if objectives:
        blocks.append(Table((Column("objective"), Column("at most", right=True), Column("set by")), objectives))
    return blocks


def _facts(snapshot: Snapshot) -> Iterator[tuple[str, str | None]]:
    """Say what this program is and did, and what it runs on."""
    yield "tool", f"{snapshot.tool.name} {snapshot.tool.version}, JSON schema {snapshot.schema_version}"
    yield "mode", f"{snapshot.mode}, simulated" if snapshot.simulated else snapshot.mode
    yield "window asked for", units.duration(snapshot.asked_window_seconds)
    yield "window seen", units.duration(snapshot.window_seconds)
    for name, value in snapshot.monitor.items():
        yield f"own {name.replace('_', ' ')}", units.count(value)
    driver = snapshot.driver
    if driver:
        yield "GPU driver", driver.version or f"{units.UNKNOWN} ({driver.reason or driver.state.value})"
        yield "CUDA", driver.cuda_version
    models = Counter(gpu.name or "unknown model" for gpu in snapshot.gpus)
    yield "GPUs", ", ".join(f"{units.count(number)} x {name}" for name, number in models.items())
    yield "host", snapshot.host.name if snapshot.host else None


def _told(snapshot: Snapshot) -> Iterator[tuple[str, str | None]]:
    """Repeat what host and servers tell about themselves in words."""
    if snapshot.host:
        yield from ((f"host {name}", fact) for name, fact in snapshot.host.facts.items() if name != "name")
    several = len(snapshot.targets) > 1
    for target in snapshot.targets:
        where = f" ({target.url})" if several else ""
        yield f"engine{where}", f"{engine_name(target.engine)} {target.engine_version or ''}"
        yield f"model{where}", target.model
        yield from (
            (f"{name}{where}", fact)
            for name, fact in target.facts.items()
            if name not in {"engine", "engine_version", "model"}
        )
