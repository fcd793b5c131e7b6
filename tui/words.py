"""How names of the core are said on a screen, where every cell counts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from metrics import units
from metrics.sample import State
from tui.rows import cells, crop

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metrics.finding import Change
    from metrics.histogram import Quantile
    from metrics.observed import Measure, Target

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
TITLES = {
    "ecc_uncorrected": "Uncorrectable ECC errors",
    "driver_unresponsive": "GPU driver silent",
    "quality_regression": "Quality regression",
    "model_drift": "Model drift",
}
"""Titles of risks in short, where the whole one does not fit."""
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


_LABEL = re.compile(r'^(\w+)\{\w+="([^"]*)"\}$')
"""A series with one label: its quantity and the value of the label."""


def quantity(name: str) -> str:
    """Say a quantity, or a series with one label, by its short name: `throttled by hw thermal`."""
    if labelled := _LABEL.match(name):
        base, value = labelled.groups()
        said = value.replace("_", " ")
        return f"throttled by {said}" if base == "throttle" else f"{quantity(base)}, {said}"
    return QUANTITIES.get(name) or _UNIT.sub("", name).replace("_", " ")


def model(name: str, room: int) -> str:
    """Name a model, without its maker or folder where there is no room for that."""
    return crop(name if cells(name) <= room else name.rsplit("/", 1)[-1], room)


def gpu(name: str) -> str:
    """Name a GPU; that it is simulated stands in the header."""
    return name.removesuffix(" (simulated)")


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


_BYTES = {"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40}


def part(used: float | None, total: float | None, unit: str) -> str:
    """Write how much of a whole, in the unit of the whole: `70.1/80 GiB`; the part alone where there is no whole."""
    if used is None or not total:
        return units.value(used, unit)
    number, suffix = units.scaled(used, unit)
    whole, whole_suffix = units.scaled(total, unit)
    if suffix != whole_suffix and unit == "bytes":
        number = f"{used / _BYTES[whole_suffix]:.2f}"
    return f"{number}/{whole} {whole_suffix}"


_NOTES = re.compile(r" \((now[^()]*|takes a restart)\)$")
"""What the advice says of an action behind it: the value in force, and that it takes a restart."""


def action(text: str) -> str:
    """Write an action with its notes in short: `--max-num-seqs lower (now 8, restart)`."""
    found = _NOTES.search(text)
    if found is None:
        return text
    parts = [part.strip() for part in found[1].split(";")]
    short = [part.replace("takes a restart", "restart") for part in parts if not part.startswith("now: not told")]
    return f"{text[: found.start()]} ({', '.join(short)})" if short else text[: found.start()]


def remark(step: str, change: Change) -> str | None:
    """Find what an action says beside the flag that it sets; empty where nothing, None where it sets another one."""
    said = _NOTES.sub("", step)
    for head in (f"{change.flag} {change.proposed}", change.flag):
        if said == head or said.startswith(f"{head}: "):
            return said[len(head) + 2 :]
    return None


def gist(step: str) -> str:
    """Keep of an action what is typed, and whether that takes a restart: `--max-num-queued-reqs N (restart)`."""
    head = re.split(r": |; |, " if step.startswith("-") else "; ", step, maxsplit=1)[0]
    return f"{head} (restart)" if "restart)" in step and "restart)" not in head else head


def within(quantile: Quantile | None, scale: float, *, estimate: bool = False) -> str:
    """Write a quantile in a given unit, without it: its bounds `20-40`, `>160`, `<5`, or `~18.2`."""
    if quantile is None:
        return units.UNKNOWN
    if quantile.hi is None:
        return f">{_digits(quantile.lo / scale)}"
    if estimate and quantile.estimate is not None:
        return f"~{_digits(quantile.estimate / scale)}"
    low, high = _digits(quantile.lo / scale), _digits(quantile.hi / scale)
    return f"<{high}" if quantile.lo == 0 else f"{low}-{high}"


def _digits(value: float) -> str:
    """Write a latency, below 1 s not more finely than in ms: the slots have room for `0.1-0.25`."""
    return units.digits(round(value, 3) or value)


def of(part: float, whole: float) -> str:
    """Write how much of a length of time: `67 s/5 min`, `4 min/5 min`."""
    size, name = next(((size, name) for size, name in ((3600, "h"), (60, "min")) if part >= 2 * size), (1, "s"))
    return f"{part // size:.0f} {name}/{units.duration(whole)}"


def output_now(target: Target) -> float | None:
    """Find the newest rate of output tokens, per second; None while the server does not answer."""
    track = target.tracks.get("output_tokens_rate")
    return track.values[-1] if track is not None and track.values and target.state is State.OK else None


def latest(values: Mapping[str, Measure], name: str) -> float | None:
    """Find the newest value of a gauge."""
    found = values.get(name)
    return None if found is None else found.value


def lower(title: str) -> str:
    """Write a title within a sentence; an abbreviation at its beginning stays as it is."""
    return title if title[:2].isupper() else title[:1].lower() + title[1:]
