"""Where it hurts in the host, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics import units
from metrics.sample import State
from tui import words
from tui.rows import cells, fit_row
from tui.view import alarms

if TYPE_CHECKING:
    from metrics.snapshot import Snapshot
    from tui.palette import StyleName
    from tui.rows import Row, Span
    from tui.view import View


_SHOWN = {
    "host_memory_available_bytes": "host_memory_used_bytes",
    "pressure_memory_full": "pressure_memory",
    "pressure_cpu": "cpu_usage",
}
"""What stands in the line for a quantity that a finding rests on, where it is another one."""


def host(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show the host in one line."""
    del view, height
    machine = snapshot.host
    if machine is None:
        return []
    alarm = {_SHOWN.get(quantity, quantity): style for quantity, style in alarms(snapshot, "host").items()}
    get = machine.quantities

    def number(name: str) -> float | None:
        return words.latest(get, name)

    count = number("cpu_count")
    cpus = f" of {units.count(count)} core{'s' if count > 1 else ''}" if count else ""
    load = number("load1")
    used, total = number("host_memory_used_bytes"), number("host_memory_total_bytes")
    memory = words.part(used, total, "bytes")
    parts: list[tuple[str, str, str]] = [
        ("cpu_usage", "CPU", units.value(number("cpu_usage"), "ratio") + cpus),
        ("load1", "load", units.digits(load if load is None else round(load, 2))),
        ("host_memory_used_bytes", "memory", memory),
        ("swap_used_bytes", "swap", units.value(number("swap_used_bytes"), "bytes")),
        ("pressure_io", "io wait", units.value(number("pressure_io"), "ratio")),
        ("pressure_memory", "mem wait", units.value(number("pressure_memory"), "ratio")),
        ("cpu_steal", "steal", units.value(number("cpu_steal"), "ratio")),
    ]
    spans: list[Span] = [(f"{' HOST':<7}", "bold")]
    left = width - 7
    if snapshot.simulated and machine.facts.get("simulated") != "true":  # so that nobody reads it as part of the demo
        spans = [(" HOST ", "bold"), ("this machine  ", "dim")]
        left = width - 20
    kept: list[str] = []
    for quantity, label, text in sorted(parts, key=lambda part: part[0] not in alarm):  # what it is about stays
        size = cells(label) + cells(text) + 4
        if size - 3 > left:
            break
        left -= size
        kept.append(quantity)
    for quantity, label, text in (part for part in parts if part[0] in kept):
        style: StyleName = "dim" if text == units.UNKNOWN or machine.state is not State.OK else "plain"
        spans += [(f"{label} ", "dim"), (text, alarm.get(quantity, style)), ("   ", "plain")]
    if machine.state is not State.OK and machine.reason:
        spans.append((machine.reason, "warning"))
    return [fit_row(spans, width)]
