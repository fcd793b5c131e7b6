"""One GPU: who it is, its history on one clock, its processes, everything that the driver tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics import units
from metrics.quantity import QUANTITIES
from metrics.sample import State
from tui import words
from tui.panes.moments import moments
from tui.panes.page import graph, heading, side_by_side, text
from tui.rows import fit, fit_row
from tui.view import chosen_gpu

if TYPE_CHECKING:
    from metrics.observed import Gpu
    from metrics.snapshot import Snapshot
    from tui.palette import StyleName
    from tui.rows import Row
    from tui.view import View


def device(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show one GPU: who it is, its history on one clock, its processes, everything that the driver tells."""
    gpu = chosen_gpu(snapshot, view)
    if gpu is None:
        return [fit_row(((" no GPU is visible", "plain"),), width)]
    index = units.UNKNOWN if gpu.index is None else gpu.index
    rows = [heading(f"GPU {index}  {words.gpu(gpu.name or '')}", width, gpu.uuid)]
    rows += _condition(snapshot, gpu, width)
    rows += _gpu_graphs(snapshot, gpu, view, width, height)
    rows.append(heading("PROCESSES", width))
    if gpu.processes is None:
        rows += text("not visible: the driver tells processes only to some users", width, "dim")
    elif not gpu.processes:
        rows += text("none", width, "dim")
    for process in gpu.processes or ():
        memory = units.value(process.memory_bytes, "bytes")
        who = f"{process.pid:>8}  {fit(process.user or units.UNKNOWN, 12)}"
        said = f"   {who} {memory:>10}  {process.name or units.UNKNOWN}"
        rows.append(fit_row(((said, "plain"),), width))
    rows.append(heading("NUMBERS", width))
    facts = {
        "energy_joules": gpu.energy_joules,
        "memory_temperature_celsius": gpu.memory_temperature_celsius,
        "sm_clock_max_hertz": gpu.sm_clock_max_hertz,
        "ecc_uncorrected": gpu.ecc_uncorrected,
        **gpu.gauges,
    }
    for name, number in sorted(facts.items(), key=lambda fact: words.quantity(fact[0])):
        known = QUANTITIES.get(name.partition("{")[0])
        shown = units.value(number, known.unit if known else "1")
        rows.append(
            fit_row(((f"   {fit(words.quantity(name), min(36, width // 2))} ", "dim"), (shown, "plain")), width)
        )
    return rows


def _condition(snapshot: Snapshot, gpu: Gpu, width: int) -> list[Row]:
    """Say how it is: its state, what holds its clocks down and since when, its temperature and its errors."""
    if gpu.state is not State.OK:
        age = f", last heard of {units.duration(gpu.age_seconds)} ago" if gpu.age_seconds is not None else ""
        style: StyleName = "warning" if gpu.state is State.STALE else "critical"
        return text(f"{gpu.state.value.upper()}{age}: {gpu.reason}", width, style)
    clock = words.part(gpu.sm_clock_hertz, gpu.sm_clock_max_hertz, "Hz")
    numbers = f"clock {clock}, {units.value(gpu.temperature_celsius, 'celsius')}"
    held = words.throttles(gpu.throttle_reasons or ())
    if gpu.throttled_seconds is not None:
        since = words.clock(snapshot.generated_wall - gpu.throttled_seconds)
        rows = text(f"clocks held down by {held or 'the hardware'} since {since}: {numbers}", width, "warning")
    elif gpu.throttle_reasons is None:
        rows = text(f"ok; {numbers}; the driver does not tell what holds the clocks down", width)
    else:
        rows = text(f"ok; {numbers}; {f'clocks limited by {held}' if held else 'nothing holds the clocks down'}", width)
    errors = [f"XID {', '.join(map(str, gpu.xids))}"] if gpu.xids else []
    errors += [f"{units.count(gpu.ecc_uncorrected)} uncorrected ECC errors"] if gpu.ecc_uncorrected else []
    return rows + (text(", ".join(errors), width, "critical") if errors else [])


def _gpu_graphs(snapshot: Snapshot, gpu: Gpu, view: View, width: int, height: int) -> list[Row]:
    names = [
        name for name in ("utilisation", "power_watts", "sm_clock_hertz", "temperature_celsius") if name in gpu.tracks
    ]
    if not names or height < 10 or width < 30:
        return []
    across = 2 if width >= 76 else 1
    tall = 8 if height >= 34 else 5
    size = (width - across + 1) // across
    events = moments(snapshot, f"gpu:{gpu.uuid}")
    drawn = [graph(words.quantity(each), gpu.tracks[each], view.charset, size, tall, None, events) for each in names]
    return side_by_side(drawn, width, across)
