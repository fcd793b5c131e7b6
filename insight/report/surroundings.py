"""What could not be seen, and what a reader needs to judge a report or to repeat it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from insight.report.document import Block, Bullets, Column, Heading, Paragraph, Table
from insight.report.findings import GRADES
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


NOTES = (
    (
        "The window is the real time between the oldest and the newest poll that a number speaks of, not the time that "
        "was asked for; tables in which it differs from row to row have it as a column."
    ),
    (
        "Rates are differences of counters over that time. A restart of the server begins a new count, and nothing is "
        "counted across it."
    ),
    (
        "What the server measures and what a probe of this program measures are different quantities and stand on "
        "different rows."
    ),
    (
        "A score is the share of what was seen that certainly met its objective; two numbers are the least and the "
        "most that the buckets of a histogram allow."
    ),
    (
        "A risk fires once its condition has lasted; until then it is pending. Not observed means watched and not "
        "seen, with the rate that this still allows; unknown means that what it needs cannot be seen."
    ),
    (
        f"Effects are graded: {'; '.join(f'{grade.value}, {meaning}' for grade, meaning in GRADES.items())}. In [ ] "
        "stands the interval of an effect, n counts the windows, requests or samples that it rests on."
    ),
)


def method(snapshot: Snapshot) -> list[Block]:
    """Say how to read all this, the same for every report."""
    del snapshot
    return [Heading(2, "Method"), Bullets(NOTES)]


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
