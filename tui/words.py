"""How names of the core are said on a screen, where every cell counts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from metrics import units

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from metrics.histogram import Quantile
    from metrics.snapshot import Effect, Measure

ENGINES = {"vllm": "vLLM", "llamacpp": "llama.cpp"}
"""Engines as their makers write them."""
QUANTITIES = {
    "ttft_seconds": "TTFT",
    "itl_seconds": "ITL",
    "tpot_seconds": "TPOT",
    "e2e_seconds": "E2E",
    "output_tokens_total": "output",
    "prompt_tokens_total": "prompt",
    "requests_waiting": "waiting",
    "requests_running": "running",
    "kv_cache_usage": "KV cache",
}
THROTTLES = {
    "hw_thermal": "THERMAL",
    "sw_thermal": "THERMAL",
    "hw_slowdown": "HW SLOWDOWN",
    "hw_power_brake": "POWER BRAKE",
    "sw_power_cap": "power cap",
    "sync_boost": "sync boost",
    "applications_clocks": "clocks set",
    "display_clocks": "display clocks",
    "gpu_idle": "idle",
}
"""Throttle reasons of the driver; capitals where heat or the hardware itself holds the clocks down."""


_UNIT = re.compile("_(seconds|bytes|joules|watts|hertz|celsius)(?=_|$)")
"""Units at the end of a name: a value is written with its own."""


def quantity(name: str) -> str:
    """Say a quantity by its short name."""
    said = QUANTITIES.get(name)
    if said is None:
        said = _UNIT.sub("", name).replace("_", " ")
    return said


def clock(wall: float) -> str:
    """Write the local time of day of a moment, seconds since the epoch."""
    return datetime.fromtimestamp(wall, UTC).astimezone().strftime("%H:%M:%S")


def clock_of(rfc3339: str | None) -> str:
    """Write the local time of day of an RFC 3339 moment; `—` where it is none."""
    try:
        return datetime.fromisoformat(rfc3339 or "").astimezone().strftime("%H:%M:%S")
    except ValueError:
        return units.UNKNOWN


def throttles(reasons: Iterable[str]) -> str:
    """Say why the clocks of a GPU are held down, the grave reasons first, each once."""
    said = {THROTTLES.get(reason, reason.replace("_", " ")) for reason in reasons} - {"idle"}
    if "THERMAL" in said:
        said.discard("HW SLOWDOWN")  # the driver sets both, and the first says more
    return " + ".join(sorted(said))


def mean(one: Measure | None) -> str:
    """Write the mean of a histogram."""
    return units.UNKNOWN if one is None else units.value(one.mean, one.unit)


def bounds(one: Measure | None, quantile: str) -> str:
    """Write the interval of a quantile, `p95` say; `—` where it is not known."""
    if one is None:
        return units.UNKNOWN
    found: Quantile | None = getattr(one, quantile)
    return units.bounds(found, one.unit)


def rate(one: Measure | None, unit: str = "1") -> str:
    """Write a counter's rate."""
    return units.UNKNOWN if one is None else units.rate(one.rate, unit)


def share(part: Measure | None, whole: Measure | None) -> str:
    """Write what share of a counter's increase another one's is; `—` where nothing was counted."""
    if part is None or whole is None or part.increase is None or not whole.increase:
        return units.UNKNOWN
    return units.value(part.increase / whole.increase, "ratio")


def part(used: float | None, total: float | None, unit: str) -> str:
    """Write how much of a whole: `70.1/80 GiB`, `519 MiB/23.5 GiB`; the part alone where the whole is not known."""
    if used is None or total is None:
        return units.value(used, unit)
    number, suffix = units.scaled(used, unit)
    whole, whole_suffix = units.scaled(total, unit)
    return f"{number}/{whole} {suffix}" if suffix == whole_suffix else f"{number} {suffix}/{whole} {whole_suffix}"


def effect(one: Effect) -> str:
    """Write what advice is expected to bring, in one unit: `TTFT 33 -> 0.7 s (0.5-1, B)`."""
    numbers = (one.now, one.mid, one.lo, one.hi)
    factor, unit = _common_unit([number for number in numbers if number is not None], one.unit)
    now, mid, low, high = (units.digits(None if number is None else number / factor) for number in numbers)
    unit = f" {unit}" if unit else ""
    if one.mid is None:
        return f"{quantity(one.quantity)} {now} -> {low}-{high}{unit} ({one.grade.value})"
    return f"{quantity(one.quantity)} {now} -> {mid}{unit} ({low}-{high}, {one.grade.value})"


def _common_unit(numbers: Sequence[float], unit: str) -> tuple[float, str]:
    if unit == "s" and max(map(abs, numbers), default=1.0) < 1:
        return 1e-3, "ms"
    factors = {
        "ratio": (0.01, "%"),
        "bytes": (2.0**30, "GiB"),
        "Hz": (1e6, "MHz"),
        "celsius": (1.0, "°C"),
        "1": (1.0, ""),
    }
    return factors.get(unit, (1.0, unit))


def latest(values: Mapping[str, Measure], name: str) -> float | None:
    """Find the newest value of a gauge."""
    found = values.get(name)
    return None if found is None else found.value
