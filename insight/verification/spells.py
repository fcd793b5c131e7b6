"""What a server counted in one spell of time after another: what a comparison rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from insight.verification.noise import MOST_BATCHES
from metrics.histogram import Histogram
from metrics.measure import total_gauge
from metrics.sample import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from metrics.view import SourceView

SHORTEST_SECONDS = 15.0
"""Shorter spells have too much in common with their neighbours: an answer takes as long."""
MOST_SPELLS = 12 * MOST_BATCHES
SETTLE_SECONDS = 30.0
"""After a restart or a mark caches are cold and what ran before still runs: those spells are left out."""
RESTART_SECONDS = 300.0
"""For so long a restart is news. A mark that is set so soon after one means the restart, for what was seen between the
two is the new server; and a restart so soon after a mark is what the mark was set for."""
COUNTERS = (
    *("requests_finished", "requests_failed", "requests_rejected", "output_tokens_total", "preemptions"),
    *("prompt_tokens_total", "prompt_tokens_cached", "prompt_tokens_computed", "output_seconds_total"),
)
HISTOGRAMS = (
    *("ttft_seconds", "itl_seconds", "tpot_seconds", "e2e_seconds", "queue_seconds", "prefill_seconds"),
    *("prompt_tokens", "output_tokens"),
)
GAUGES = ("requests_running", "requests_waiting", "kv_cache_usage")
HOST_GAUGES = ("cpu_usage", "pressure_cpu")
GPU_GAUGE = "sm_clock_hertz"
_BEGINNINGS = frozenset(("restart", "replaced"))


class Spell(Struct, frozen=True):
    """What was counted between two moments. What the server does not tell is not in it."""

    seconds: float
    counters: dict[str, float]
    """How much each grew."""
    histograms: dict[str, Histogram]
    gauges: dict[str, float]
    """Mean over the polls; also what the host and the GPUs did meanwhile, where they are the server's."""
    arrived: float | None
    """Requests: those that ended, and by how many more are in the server than before."""
    joules: float | None
    """Of its GPUs; None where one of them does not tell."""


def cut(source: SourceView, begin: float, end: float, gpus: Sequence[SourceView] = ()) -> tuple[Spell, ...]:
    """Cut a time (by the monotonic clock) into spells of at least 15 s, oldest first.

    Left out are those at whose ends the server was not seen, and those after it had begun anew.
    """
    interval = source.view.interval
    watched = min(end - begin, source.history.taken * interval)
    size = max(SHORTEST_SECONDS, 3 * interval, watched / MOST_SPELLS)
    anew = [source.view.mono - (source.view.wall - wall) for wall in beginnings(source)]
    found: list[Spell] = []
    first = begin
    while (last := first + size) <= end + interval / 2:
        if not source.seen_at(first, interval):
            first = _seen_again(source, first, size)
            continue
        unsettled = any(moment - interval < last and first < moment + SETTLE_SECONDS for moment in anew)
        if not unsettled and source.seen_at(last, interval):
            found.append(_spell(source, size, last, gpus))
        first = last
    return tuple(found)


def _seen_again(source: SourceView, moment: float, size: float) -> float:
    """Find the next poll after a moment: recordings that were added to have gaps of days."""
    ring = source.history.tables[0].ring
    row = ring.last_at(moment) + 1
    reaches_back = row > 0 and row < len(ring)
    return max(ring.time(row), moment + source.view.interval) if reaches_back else moment + size


def beginnings(source: SourceView) -> list[float]:
    """List when the server was seen to have begun anew, in seconds since the epoch."""
    return [event.wall for event in source.history.events if event.kind in _BEGINNINGS]


def changed_at(begun: Iterable[float], mark: float, marks: Iterable[float]) -> float:
    """Tell when the change was made: at the mark, or at the last restart shortly before that it was set for.

    A restart that another of `marks` is nearer to is that one's. All are in seconds since the epoch.
    """
    others = [each for each in marks if each != mark]
    return max(
        (
            moment
            for moment in begun
            if mark - RESTART_SECONDS <= moment < mark and all(mark - moment <= abs(each - moment) for each in others)
        ),
        default=mark,
    )


def gpus_of(source: SourceView) -> list[SourceView]:
    """List the GPUs whose energy is the server's: all of the host where it is the only server that is watched."""
    view = source.view
    return list(view.all(Source.GPU)) if len(view.ids(Source.SERVER)) == 1 else []


def _around(source: SourceView, size: float, end: float, gpus: Sequence[SourceView]) -> dict[str, float]:
    """Tell what the server's host and GPUs did: the host's only where the server is seen to run on it."""
    view = source.view
    hosts = view.all(Source.HOST) if source.newest.processes else ()
    found = {name: total_gauge(each, name, size, end) for each in hosts for name in HOST_GAUGES}
    clocks = [total_gauge(each, GPU_GAUGE, size, end) for each in gpus]
    known = [each for each in clocks if each is not None]
    mean = {GPU_GAUGE: sum(known) / len(known)} if known and len(known) == len(clocks) else {}
    return {name: each for name, each in found.items() if each is not None} | mean


def _spell(source: SourceView, size: float, end: float, gpus: Sequence[SourceView]) -> Spell:
    grown = {name: source.increase(name, size, end) for name in COUNTERS}
    counters = {name: each.value for name, each in grown.items() if each is not None}
    observed = {name: source.histogram(name, size, end) for name in HISTOGRAMS}
    gauges = {name: total_gauge(source, name, size, end) for name in GAUGES}
    drawn = [each.increase("energy_joules", size, end) for each in gpus]
    joules = [each.value for each in drawn if each is not None]
    return Spell(
        seconds=next((each.seconds for each in grown.values() if each is not None), size),
        counters=counters,
        histograms={name: each for name, each in observed.items() if each is not None},
        gauges={name: each for name, each in gauges.items() if each is not None} | _around(source, size, end, gpus),
        arrived=arrived(source, size, end, counters),
        joules=sum(joules) if joules and len(joules) == len(gpus) else None,
    )


def arrived(source: SourceView, size: float, end: float, counters: dict[str, float]) -> float | None:
    """Count what came: what ended, and what is in the server now that was not at the begin."""
    ended = counters.get("requests_finished")
    there = [
        total_gauge(source, name, 0.0, moment)
        for moment in (end, end - size)
        for name in ("requests_running", "requests_waiting")
    ]
    running, waiting, running_before, waiting_before = there
    if ended is None or running is None or running_before is None:
        return ended
    refused = counters.get("requests_rejected", 0.0)
    return max(0.0, ended + refused + running - running_before + (waiting or 0.0) - (waiting_before or 0.0))
