"""What is there: servers, GPUs, driver and host as the Store shows them, without any judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.probe import probe_facts, probe_measures
from insight.quality.score import quality_facts
from metrics.measure import measure, measures, total_gauge
from metrics.observed import Driver, Gpu, Host, Target
from metrics.sample import Source, State
from metrics.series import split_series
from metrics.snapshot import NotVisible
from metrics.track import GPU_TRACKS, QUANTILE_SECONDS, SERVER_TRACKS, step_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metrics.sample import Missing
    from metrics.track import Tracks
    from metrics.view import SourceView, View

HARMFUL_REASONS = ("hw_thermal", "sw_thermal", "hw_slowdown", "hw_power_brake")
"""Reasons for lower clocks that are heat or hardware; the others (idle, a set limit, a power cap) are normal."""
_UNSEEN = {
    Source.SERVER: ("", "nothing can be said of it now"),
    Source.DRIVER: ("GPUs", "heat, power, memory and faults of the GPUs are not watched"),
    Source.GPU: ("", "nothing can be said of it now"),
    Source.HOST: ("this host", "CPU, memory and disks are not watched"),
    Source.QUALITY: ("quality of the answers", "wrong answers would not be noticed"),
    Source.PROBE: ("", "what a client gets is not measured"),
    Source.MONITOR: ("part of this program", "what it does is not done"),
}
"""What is not seen of each kind of source while it does not answer, and what follows; an empty name is its id."""
_OWN_FIELDS = frozenset(
    (
        "utilisation",
        "memory_used_bytes",
        "memory_total_bytes",
        "power_watts",
        "power_limit_watts",
        "temperature_celsius",
        "memory_temperature_celsius",
        "sm_clock_hertz",
        "sm_clock_max_hertz",
    )
)


def target(source: SourceView, tracks: Tracks, window: float) -> Target:
    """Describe one server over the window."""
    facts = source.facts
    return Target(
        id=source.id,
        url=facts.get("url", source.id),
        engine=facts.get("engine"),
        engine_version=facts.get("engine_version"),
        model=facts.get("model"),
        state=source.state,
        reason=source.newest.reason,
        age_seconds=source.age,
        uptime_seconds=uptime(source),
        window_seconds=source.seconds(window),
        poll_seconds=source.newest.duration,
        simulated=simulated(source),
        quantities={**measures(source, window), **probe_measures(source.view, source.id, window)},
        facts={**facts, **probe_facts(source.view, source.id), **quality_facts(source.view, source.id)},
        tracks=tracks.of(source, SERVER_TRACKS, window),
        quantile_seconds=max(step_for(window, source.view.interval), QUANTILE_SECONDS),
        gpus=gpus_of(source),
    )


def gpus_of(server: SourceView) -> tuple[int, ...] | None:
    """List the GPUs on which a process of the server runs, by what the driver says; None where none is known to.

    A process of the driver's without a name is one of another PID namespace: its number says nothing here.
    """
    own = {each.pid for each in server.newest.processes}
    found: set[int] = set()
    for gpu in server.view.all(Source.GPU):
        users = gpu.newest_ok.processes if gpu.newest_ok else ()
        index = gpu.facts.get("index", "")
        if index.isdecimal() and any(each.pid in own and each.name is not None for each in users):
            found.add(int(index))
    return tuple(sorted(found)) or None


def silent(url: str) -> Target:
    """Describe a server that was asked for and whose first poll has not ended yet."""
    return Target(
        id=url,
        url=url,
        engine=None,
        engine_version=None,
        model=None,
        state=State.STARTING,
        reason="its first answer is awaited",
        age_seconds=None,
        uptime_seconds=None,
        window_seconds=None,
        poll_seconds=None,
        simulated=False,
        quantities={},
    )


def gpu(source: SourceView, tracks: Tracks, window: float) -> Gpu:
    """Describe one GPU over the window."""
    facts, newest = source.facts, source.newest_ok
    gauges = newest.gauges if newest else {}
    energy = measure(source, "energy_joules", window)
    index = facts.get("index", "")
    xids = {event.code for event in source.history.events if event.kind == "xid" and event.code is not None}
    return Gpu(
        index=int(index) if index.isdecimal() else None,
        uuid=facts.get("uuid", source.id.removeprefix("gpu:")),
        name=facts.get("name"),
        state=source.state,
        reason=source.newest.reason,
        age_seconds=source.age,
        simulated=simulated(source),
        utilisation=gauges.get("utilisation"),
        memory_used_bytes=gauges.get("memory_used_bytes"),
        memory_total_bytes=gauges.get("memory_total_bytes"),
        power_watts=gauges.get("power_watts"),
        power_limit_watts=gauges.get("power_limit_watts"),
        energy_joules=energy.increase if energy else None,
        temperature_celsius=gauges.get("temperature_celsius"),
        memory_temperature_celsius=gauges.get("memory_temperature_celsius"),
        sm_clock_hertz=gauges.get("sm_clock_hertz"),
        sm_clock_max_hertz=gauges.get("sm_clock_max_hertz"),
        throttle_reasons=throttle_reasons(source),
        throttled_seconds=throttled_seconds(source),
        ecc_uncorrected=newest.counters.get("ecc_uncorrected") if newest else None,
        xids=tuple(sorted(xids)),
        processes=None if newest is None or _lacks(newest.missing, "processes") else newest.processes,
        gauges={name: value for name, value in gauges.items() if split_series(name)[0] not in _OWN_FIELDS},
        tracks=tracks.of(source, GPU_TRACKS, window),
    )


def driver(source: SourceView) -> Driver:
    """Describe the driver."""
    count = source.gauge("gpu_count")
    return Driver(
        state=source.state,
        reason=source.newest.reason,
        version=source.facts.get("driver_version"),
        cuda_version=source.facts.get("cuda_version"),
        gpu_count=None if count is None else int(count),
        age_seconds=source.age,
    )


def host(source: SourceView, window: float) -> Host:
    """Describe this machine over the window."""
    return Host(
        name=source.facts.get("name"),
        state=source.state,
        reason=source.newest.reason,
        quantities=measures(source, window),
        facts=source.facts,
    )


def uptime(source: SourceView) -> float | None:
    """Tell for how long the server has been up; None where neither it nor a restart that was seen tells."""
    started = total_gauge(source, "start_time_seconds")
    if started is not None:
        return max(0.0, source.view.wall - started)
    moment = source.history.restarted_mono
    return None if moment is None else source.view.mono - moment


def throttle_reasons(source: SourceView) -> tuple[str, ...] | None:
    """List what holds the clocks down now; None where the driver does not tell."""
    values = {_reason(name): source.gauge(name) for name in source.parts("throttle")}
    known = {reason: value for reason, value in values.items() if value is not None}
    return tuple(reason for reason, value in known.items() if value == 1.0) if known else None


def throttled_seconds(source: SourceView) -> float | None:
    """Tell for how long heat or the hardware has held the clocks down without a break; None where they do not."""
    held = [source.held_for(name) for name in source.parts("throttle") if _reason(name) in HARMFUL_REASONS]
    return max((each for each in held if each is not None), default=None)


def simulated(source: SourceView) -> bool:
    """Tell whether the source is one of the simulator's."""
    return source.facts.get("simulated") == "true"


def not_visible(view: View) -> tuple[NotVisible, ...]:
    """List what the sources could not see, each once; what several GPUs could not see alike is one entry."""
    found: dict[tuple[str, str, str, Source], list[str]] = {}
    for kind in Source:
        for source in view.all(kind):
            if source.state not in {State.OK, State.STALE}:
                what, consequence = _UNSEEN[kind]
                found[(what or source.id, source.newest.reason, consequence, kind)] = [source.id]
            for each in (source.newest_ok or source.newest).missing:
                found.setdefault((each.what, each.why, each.consequence, kind), []).append(source.id)
    return tuple(
        NotVisible(
            _named(what, kind, ids, view), why, consequence, ids[0].removeprefix("probe:") if len(ids) == 1 else None
        )
        for (what, why, consequence, kind), ids in found.items()
    )


def _named(what: str, kind: Source, ids: list[str], view: View) -> str:
    """Say of which GPUs it is, where it is not of all of them."""
    if kind is not Source.GPU or len(ids) == len(view.ids(kind)):
        return what
    indexes = [view.of(each).facts.get("index", each) for each in ids]
    return f"{what} of GPU {', '.join(sorted(indexes, key=lambda index: (len(index), index)))}"


def _lacks(missing: Iterable[Missing], what: str) -> bool:
    return any(each.what == what for each in missing)


def _reason(name: str) -> str:
    return dict(split_series(name)[1]).get("reason", "")
