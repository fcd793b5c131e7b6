"""What changed first: when each quantity left what it had been, for those that changed around a fault.

`KV 14:01:50, queue 14:02:05, TTFT 14:02:20` tells cause from effect better than any rule: what changed last brought
nothing about.
"""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING

from metrics import units
from metrics.snapshot import Onset, RiskState, Severity
from metrics.track import RATE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from metrics.snapshot import Gpu, Risk, Target, Track

OF_SERVER = (
    *("requests_rate", "kv_cache_usage", "requests_running", "requests_waiting"),
    *("output_tokens_rate", "itl_p95", "ttft_p95"),
)
"""Of the quantiles p95 alone: over a window that moves on, a twentieth of slow requests shows in it, in p50 it takes
half of them."""
OF_GPU = ("temperature_celsius", "sm_clock_hertz", "power_watts")
"""Only of a GPU whose clock changed: power and heat of the others go with the load, and there are eight of them."""
FEWEST_BEFORE = 5
"""Points that it takes to say what had been."""
RUN = 3
"""So many points in a row have to lie outside on one side: one is noise."""
SPREADS = 4.0
"""How many standard deviations (of the median absolute deviation, times 1.4826 for a normal distribution) are outside.
With three points in a row that is one false onset in 10^12 points of white noise; the shares below are what keeps slow
waves out. Our own defaults."""
_NORMAL = 1.4826
_LEAST = {"1": (0.25, 2.0), "ratio": (0.1, 0.05), "celsius": (0.0, 5.0), "Hz": (0.05, 0.0), "W": (0.15, 0.0)}
"""By unit: the share of the median, and the amount, that a change must exceed whatever the spread was."""
_LEAST_OTHER = (0.3, 0.0)
_POINTS_AFTER = 10


def onsets(targets: Iterable[Target], gpus: Iterable[Gpu], risks: Iterable[Risk]) -> tuple[Onset, ...]:
    """List what changed around the fault that fires longest, oldest first; nothing where none fires."""
    began = [
        datetime.fromisoformat(risk.since).timestamp()
        for risk in risks
        if risk.state is RiskState.FIRING and risk.severity is not Severity.INFO and risk.since is not None
    ]
    if not began:
        return ()
    found = chain(
        *(_of(each.id, each.tracks, OF_SERVER, min(began), each.quantile_seconds or 0.0) for each in targets),
        *(_of_gpu(each, min(began)) for each in gpus),
    )
    return tuple(sorted(found, key=lambda each: each.wall))


def _of_gpu(gpu: Gpu, began: float) -> list[Onset]:
    found = list(_of(f"gpu:{gpu.uuid}", gpu.tracks, OF_GPU, began, 0.0))
    return found if any(each.quantity == "sm_clock_hertz" for each in found) else []


def _of(
    source: str, tracks: dict[str, Track], names: Sequence[str], began: float, quantile_seconds: float
) -> Iterator[Onset]:
    for name in names:
        track = tracks.get(name)
        found = None if track is None else _change(track, began)
        if track is None or found is None:
            continue
        end, before, after = found
        reach = quantile_seconds if name.endswith("_p95") else RATE_SECONDS if name.endswith("_rate") else 0.0
        yield Onset(name, units.rfc3339(end), end, before, after, track.unit, source, max(track.step, reach))


def _change(track: Track, began: float) -> tuple[float, float, float] | None:
    """Find the first lasting change: its moment, what had been and what is; None where there is none.

    What had been is the first half of what was seen before the fault: its cause may have begun well before it.
    """
    first = track.end - (len(track.values) - 1) * track.step
    points = [(first + index * track.step, value) for index, value in enumerate(track.values) if value is not None]
    earlier = [value for end, value in points if end < began]
    before = earlier[: max(FEWEST_BEFORE, len(earlier) // 2)]
    if len(before) < FEWEST_BEFORE:
        return None
    usual = median(before)
    share, amount = _LEAST.get(track.unit, _LEAST_OTHER)
    spread = _NORMAL * median(abs(value - usual) for value in before)
    band = max(SPREADS * spread, share * abs(usual), amount)
    later = points[len(before) :]
    sides = [(value > usual + band) - (value < usual - band) for _, value in later]
    for index in range(len(later) - RUN + 1):
        if abs(sum(sides[index : index + RUN])) == RUN:
            return later[index][0], usual, median(value for _, value in later[index : index + _POINTS_AFTER])
    return None
