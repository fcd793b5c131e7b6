"""What the servers run on: the GPUs and the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.report.document import Block, Column, Heading, Paragraph, Table, columns
from insight.report.words import gpu_name, measure_cells, quantity_name, sentence, state_text, window_cell
from metrics import units
from metrics.quantity import QUANTITIES, Kind
from metrics.sample import State

if TYPE_CHECKING:
    from metrics.observed import Gpu, Measure
    from metrics.snapshot import Snapshot

NOTE = f"util: {QUANTITIES['utilisation'].meaning}. ECC: {QUANTITIES['ecc_uncorrected'].meaning}."

_SHARES = {"dram_utilisation": "memory bandwidth", "tensor_utilisation": "tensor cores"}


def gpus(snapshot: Snapshot) -> list[Block]:
    """Show every GPU on a row, and what is wrong with those that are not ok."""
    blocks: list[Block] = [Heading(3, "GPUs")]
    if not snapshot.gpus:
        return [*blocks, Paragraph(sentence(f"None seen: {_why_none(snapshot)}"))]
    numbers = columns("GPU", "util", "memory", "power", "SM clock", "temp")
    rows = tuple(_gpu(gpu) for gpu in snapshot.gpus)
    blocks.append(Table((*numbers, Column("clock held down by"), Column("errors")), rows))
    blocks.append(Paragraph(f"{NOTE}{_activity(snapshot.gpus)}"))
    troubled = (gpu for gpu in snapshot.gpus if gpu.state is not State.OK)
    return [
        *blocks,
        *(
            Paragraph(sentence(f"{gpu_name(gpu)}: {state_text(gpu.state, gpu.reason)}"), strong=True)
            for gpu in troubled
        ),
    ]


def _activity(gpus: tuple[Gpu, ...]) -> str:
    """Say between which shares the memory bandwidth and the tensor cores of the GPUs that tell them are in use."""
    found = [[gpu.gauges[name] for gpu in gpus if name in gpu.gauges] for name in _SHARES]
    if not all(found):
        return ""
    said = " and ".join(f"{_between(each)} of the {what}" for each, what in zip(found, _SHARES.values(), strict=True))
    return f" In use at the last poll (GPM): {said}."


def _between(shares: list[float]) -> str:
    least, most = (units.value(each, "ratio") for each in (min(shares), max(shares)))
    return least if least == most else f"{least} to {most}"


def _why_none(snapshot: Snapshot) -> str:
    driver = snapshot.driver
    return "they were not looked at" if driver is None else driver.reason or "the driver reports none"


def _gpu(gpu: Gpu) -> tuple[str, ...]:
    return (
        f"{gpu_name(gpu).removeprefix('GPU ')}{' (simulated)' if gpu.simulated else ''}",
        units.value(gpu.utilisation, "ratio"),
        _of(gpu.memory_used_bytes, gpu.memory_total_bytes, "bytes"),
        _of(gpu.power_watts, gpu.power_limit_watts, "W"),
        _of(gpu.sm_clock_hertz, gpu.sm_clock_max_hertz, "Hz"),
        units.value(gpu.temperature_celsius, "celsius"),
        _throttle(gpu),
        _errors(gpu),
    )


def _of(now: float | None, limit: float | None, unit: str) -> str:
    return units.value(now, unit) if limit is None else f"{units.value(now, unit)}\nof {units.value(limit, unit)}"


def _throttle(gpu: Gpu) -> str:
    if gpu.throttle_reasons is None:
        return units.UNKNOWN
    reasons = ", ".join(reason.replace("_", " ") for reason in gpu.throttle_reasons) or "nothing"
    return reasons if gpu.throttled_seconds is None else f"{reasons}\nfor {units.duration(gpu.throttled_seconds)}"


def _errors(gpu: Gpu) -> str:
    return ",\n".join((*(f"XID {xid}" for xid in gpu.xids), f"ECC {units.count(gpu.ecc_uncorrected)}"))


def host(snapshot: Snapshot) -> list[Block]:
    """Show the machine that this program runs on."""
    machine = snapshot.host
    if machine is None:
        return [Heading(3, "Host"), Paragraph("Not looked at.")]
    blocks: list[Block] = [Heading(3, f"Host {machine.name or ''}")]
    if machine.state is not State.OK:
        blocks.append(Paragraph(sentence(state_text(machine.state, machine.reason)), strong=True))
    rows = [row for name, measure in machine.quantities.items() for row in _rows(name, measure)]
    if not rows:
        return [*blocks, Paragraph("Nothing was measured on it.")]
    return [*blocks, Table(columns("quantity", "now", "mean", "max", "window"), tuple(rows))]


def _rows(name: str, measure: Measure) -> list[tuple[str, ...]]:
    """Write a quantity on one row, or one that is not added up (disks) on a row a part."""
    if measure.by and measure.value is None and measure.rate is None:
        return [(f"{quantity_name(name)}, {label}", *_cells(name, part)) for label, part in measure.by.items()]
    return [(quantity_name(name), *_cells(name, measure))]


def _cells(name: str, measure: Measure) -> tuple[str, ...]:
    """Write a gauge as its three values; all that is known of a counter is its mean rate."""
    if name in QUANTITIES and QUANTITIES[name].kind is Kind.COUNTER:
        return ("", units.rate(measure.rate, measure.unit), "", window_cell(measure))
    return measure_cells(measure)
