"""What is wrong with a GPU, in a few words: of one the worst, of several what they have and how many of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from metrics import units
from metrics.finding import RiskState
from metrics.sample import State
from tui import words
from tui.rows import cells
from tui.view import open_risks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.observed import Gpu
    from metrics.snapshot import Snapshot
    from tui.palette import StyleName

_IN_SHORT = {
    "thermal_throttle": "THERMAL",
    "hw_slowdown": "HW SLOWDOWN",
    "power_cap": "power cap",
    "gpu_lost": "LOST",
    "ecc_uncorrected": "ECC",
    "row_remap": "row remapping",
    "xid": "XID",
    "pcie_degraded": "PCIe",
    "nvlink_degraded": "NVLink",
}
"""Risks of a GPU by the word that its line has for them; the others by their titles."""


def note(snapshot: Snapshot, gpu: Gpu, room: int) -> tuple[str, StyleName]:
    """Say what is wrong with a GPU, the worst alone; or what holds its clocks down for a good reason."""
    reason = gpu.reason or (snapshot.driver.reason if snapshot.driver is not None else "")
    if gpu.state is State.STALE:
        old = f"{units.duration(gpu.age_seconds)} old"
        whole = f"{old}: {reason}"
        return whole if reason and cells(whole) <= room else f"{old}, no answer", "warning"
    if gpu.state is not State.OK:
        return f"{gpu.state.value.upper()}{f': {reason}' if reason else ''}", "critical"
    if gpu.ecc_uncorrected:
        return f"ECC: {units.count(gpu.ecc_uncorrected)} uncorrected", "critical"
    if gpu.throttled_seconds is not None:
        held = words.throttles(gpu.throttle_reasons or ()) or "SLOWED"
        return f"{held} since {words.clock(snapshot.generated_wall - gpu.throttled_seconds)}", "warning"
    if gpu.xids:
        return "XID " + ", ".join(map(str, gpu.xids)), "warning"
    held = words.throttles(gpu.throttle_reasons or ())
    fires = ", ".join(each for each in _risks(snapshot, gpu, firing=True) if each != held)
    return " · ".join(filter(None, (held, fires))), "warning" if fires else "dim"


def of_several(snapshot: Snapshot, gpus: Sequence[Gpu]) -> str:
    """Count the GPUs with findings, and name those, the most frequent first: `7 with findings: power cap`."""
    found = [_all(snapshot, gpu) for gpu in gpus]
    bad = sum(1 for each in found if each)
    if not bad:
        return "all ok"
    many = Counter(one for each in found for one in each)
    said = [one if times == bad else f"{one} ({times})" for one, times in many.most_common()]
    return f"{bad} with findings: {', '.join(said)}"


def _all(snapshot: Snapshot, gpu: Gpu) -> tuple[str, ...]:
    """Name all that is wrong with one GPU, each once."""
    found: list[str] = []
    if gpu.state is not State.OK:
        found.append(gpu.state.value)
    if gpu.ecc_uncorrected:
        found.append("ECC")
    if gpu.throttled_seconds is not None:
        found.append(words.throttles(gpu.throttle_reasons or ()) or "SLOWED")
    found += [f"XID {each}" for each in gpu.xids]
    told = {"XID"} if gpu.xids else set()
    found += [each for each in _risks(snapshot, gpu, firing=False) if each not in told]
    return tuple(dict.fromkeys(found))


def _risks(snapshot: Snapshot, gpu: Gpu, *, firing: bool) -> list[str]:
    """Name the open risks of a GPU, or those that fire."""
    about = [each for each in open_risks(snapshot) if each.target == f"gpu:{gpu.uuid}"]
    if firing:
        about = [each for each in about if each.state is RiskState.FIRING]
    return [_IN_SHORT.get(each.id) or words.lower(each.title) for each in about]
