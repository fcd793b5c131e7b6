"""What changed first: when each quantity left what it had been, for those that changed around a fault.

`KV 14:01:50, queue 14:02:05, TTFT 14:02:20`: what changed first may have brought about what changed later, and not the
other way round. It is no proof that it did. The order is certain only where two moments lie further apart than the
`within_seconds` of the later, for that may have begun so much earlier.
"""

from __future__ import annotations

import math
from datetime import datetime
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING

from metrics import units
from metrics.finding import Onset, RiskState, Severity
from metrics.observed import Track
from metrics.track import RATE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from metrics.finding import Risk
    from metrics.observed import Gpu, Target

OF_SERVER = (
    *("arrivals", "requests_rate", "kv_cache_usage", "requests_running", "requests_waiting"),
    *("output_tokens_rate", "itl_p95", "ttft_p95"),
)
"""Of the quantiles p95 alone: over a window that moves on, a twentieth of slow requests shows in it, in p50 it takes
half of them."""
OF_GPU = ("temperature_celsius", "sm_clock_hertz", "power_watts")
"""Only of a GPU whose clock changed: power and heat of the others go with the load, and there are eight of them."""
ARRIVAL_SECONDS = 10.0
"""Arrivals are counted over at least so long: of 15 requests/s, 150, which scatter by 8 % by chance (Poisson)."""
FEWEST_BEFORE = 5
"""Points that it takes to say what had been."""
RUN = 3
"""So many points in a row have to lie outside on one side: one is noise. Of what looks back over more than a step there
have to be so many more, for one slow request lies in as many points."""
SPREADS = 4.0
"""How many standard deviations (of the median absolute deviation, times 1.4826 for a normal distribution) are outside.
With three points in a row that is one false onset in 10^12 points of white noise; the shares below are what keeps slow
waves out. Our own defaults."""
_NORMAL = 1.4826
_LEAST = {"1": (0.25, 2.0), "ratio": (0.1, 0.05), "celsius": (0.0, 5.0), "Hz": (0.05, 0.0), "W": (0.15, 0.0)}
"""By unit: the share of the median, and the amount, that a change must exceed whatever the spread was."""
_LEAST_OTHER = (0.3, 0.0)
_POINTS_AFTER = 10
_OF_THE_HOST = frozenset(("host_cpu_starvation", "host_memory_pressure"))
"""What of the host slows every server on it; a disk that is nearly full does not."""
_ANY = ""
"""Stands for every server and GPU among the ids of what a fault is about."""


def onsets(targets: Iterable[Target], gpus: Iterable[Gpu], risks: Iterable[Risk]) -> tuple[Onset, ...]:
    """List what changed around the faults that fire, oldest first; nothing where none fires.

    Each server and each GPU goes by the oldest fault that concerns it and that its tracks show the time before of.
    """
    began: dict[str, list[float]] = {}
    for risk in risks:
        if risk.state is RiskState.FIRING and risk.severity is not Severity.INFO and risk.since and risk.target:
            began.setdefault(risk.target, []).append(datetime.fromisoformat(risk.since).timestamp())
            if risk.id in _OF_THE_HOST:
                began.setdefault(_ANY, []).append(began[risk.target][-1])
    servers, devices = tuple(targets), tuple(gpus)
    found = chain(
        *(
            _of(each.id, each.tracks, OF_SERVER, _concerning(_with_gpus(each, devices), began), each.quantile_seconds)
            for each in servers
        ),
        *(_of_gpu(each, _concerning(_with_servers(each, servers), began)) for each in devices),
    )
    return tuple(sorted(found, key=lambda each: each.wall))


def _concerning(names: Iterable[str], began: dict[str, list[float]]) -> list[float]:
    """List when the faults of these, and those of the host that slow whatever runs on it, began; oldest first."""
    return sorted(moment for name in (*names, _ANY) for moment in began.get(name, ()))


def _with_gpus(target: Target, gpus: Sequence[Gpu]) -> list[str]:
    """Name a server and the GPUs that it works on, any GPU where that is not known: it suffers of what ails them."""
    mine = [gpu for gpu in gpus if target.gpus is None or gpu.index in target.gpus]
    return [target.id, *(_source(gpu) for gpu in mine)]


def _with_servers(gpu: Gpu, targets: Sequence[Target]) -> list[str]:
    """Name a GPU and the servers that work on it, or may: its heat and its clock are why they are slow."""
    return [_source(gpu), *(each.id for each in targets if each.gpus is None or gpu.index in each.gpus)]


def _source(gpu: Gpu) -> str:
    return f"gpu:{gpu.uuid}"


def _of_gpu(gpu: Gpu, began: Sequence[float]) -> list[Onset]:
    found = list(_of(_source(gpu), gpu.tracks, OF_GPU, began, None))
    return found if any(each.quantity == "sm_clock_hertz" for each in found) else []


def _of(
    source: str, tracks: dict[str, Track], names: Sequence[str], began: Sequence[float], quantile_seconds: float | None
) -> Iterator[Onset]:
    for name in names:
        track = _arrivals(tracks) if name == "arrivals" else tracks.get(name)
        reach = _reach(name, quantile_seconds or 0.0)
        found = None if track is None else _change(track, began, RUN + int(reach / track.step))
        if track is None or found is None:
            continue
        end, before, after = found
        if name == "requests_rate" and after > before:
            continue  # it follows from what came, and comes last: as many end as came some answers ago
        if name == "arrivals":
            end, reach = _first_of(track, end, before, after), RATE_SECONDS
        yield Onset(name, units.rfc3339(end), end, before, after, track.unit, source, max(track.step, reach))


def _reach(name: str, quantile_seconds: float) -> float:
    """Tell over how many seconds each point of a track looks back."""
    if name == "arrivals":
        return ARRIVAL_SECONDS
    return quantile_seconds if name.endswith("_p95") else RATE_SECONDS if name.endswith("_rate") else 0.0


def _first_of(track: Track, end: float, before: float, after: float) -> float:
    """Date a step by how much of it was in the mean over the last `ARRIVAL_SECONDS` when that was first outside."""
    seen = track.values[round((end - track.end) / track.step) - 1] or before
    share = max(0.0, min(1.0, (seen - before) / (after - before))) if after != before else 0.0
    return end - track.step * math.floor(share * ARRIVAL_SECONDS / track.step)


def _arrivals(tracks: dict[str, Track]) -> Track | None:
    """Tell how many requests came per second: those that ended, and by how many more are in the server than before.

    None where the server does not tell what runs in it.
    """
    ended, running, waiting = (tracks.get(each) for each in ("requests_rate", "requests_running", "requests_waiting"))
    if ended is None or running is None or len(ended.values) != len(running.values):
        return None
    queue = waiting.values if waiting is not None else (0.0,) * len(running.values)
    held = [None if r is None or w is None else r + w for r, w in zip(running.values, queue, strict=True)]
    back = max(1, math.ceil(ARRIVAL_SECONDS / ended.step))
    values: list[float | None] = [None] * min(back, len(held))
    for index in range(back, len(held)):
        rates = [each for each in ended.values[index - back + 1 : index + 1] if each is not None]
        now, was = held[index], held[index - back]
        if len(rates) < back or now is None or was is None:
            values.append(None)
        else:
            values.append(max(0.0, sum(rates) / back + (now - was) / (back * ended.step)))
    return Track(ended.unit, ended.end, ended.step, tuple(values))


def _change(track: Track, began: Sequence[float], run: int) -> tuple[float, float, float] | None:
    """Find the first change that lasts for `run` points: its moment, what had been, what is; None where there is none.

    What had been is the first half of what was seen before the oldest fault that `FEWEST_BEFORE` points lie before: its
    cause may have begun well before it. A fault that is older than the track has nothing to do with what changed in it.
    """
    first = track.end - (len(track.values) - 1) * track.step
    points = [(first + index * track.step, value) for index, value in enumerate(track.values) if value is not None]
    counts = (sum(end < moment for end, _ in points) for moment in began)
    earlier = next((count for count in counts if count >= FEWEST_BEFORE), None)
    if earlier is None:
        return None
    before = [value for _, value in points[: max(FEWEST_BEFORE, earlier // 2)]]
    usual = median(before)
    share, amount = _LEAST.get(track.unit, _LEAST_OTHER)
    spread = _NORMAL * median(abs(value - usual) for value in before)
    band = max(SPREADS * spread, share * abs(usual), amount)
    later = points[len(before) :]
    sides = [(value > usual + band) - (value < usual - band) for _, value in later]
    for index in range(len(later) - run + 1):
        if abs(sum(sides[index : index + run])) == run:
            return later[index][0], usual, median(value for _, value in later[index : index + _POINTS_AFTER])
    return None
