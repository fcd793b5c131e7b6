"""Does the host hold the server up: CPU, memory, disks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.rules.placement import gpus_of, span
from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from insight.rules.together import decode_change
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source
from metrics.series import series, split_series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from insight.settings import Settings
    from metrics.view import SourceView

STALLED, BADLY_STALLED = 0.10, 0.25
"""PSI "some": on a host with many cores one task that is pinned to a busy one makes 10 % of it. So the first counts
only where all CPUs are busy or a server feels it: an engine at the end of its core, or slower decoding."""
BUSY_CPUS = 0.80
STOLEN = 0.10
ONE_CORE = 0.95
"""An engine's main process is one thread: at a whole core it cannot go faster."""
TO_LEAVE = 0.8
THROTTLED, THROTTLE_SECONDS = 0.25, 60.0
"""Of the periods of a CPU limit: as public rules for containers have it."""
IDLE = 0.20
IDLE_SECONDS = 30.0
"""GPUs without a kernel for a fifth of the time in which requests run wait for the host. Our default."""
LEAST_AVAILABLE, CRITICAL_AVAILABLE = 0.10, 0.03
SWAPPED = 0.80
OOM_SECONDS = 1800.0
MEMORY_STALLED = 0.05
LEAST_DISK = 0.10
DAY = 86_400.0
TREND_SECONDS = 1800.0
"""A disk's filling is judged by so long, in halves: what a start loads at once is no trend."""


def host_cpu_starvation(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether tasks wait for a CPU, the hypervisor takes it away, or an engine is at the end of its one core."""
    del settings
    pressure, usage, stolen = (source.gauge(each) for each in ("pressure_cpu", "cpu_usage", "cpu_steal"))
    if pressure is None and stolen is None and usage is None:
        return unknown("the host tells neither how busy its CPUs are nor who waits for them")
    slack = TO_LEAVE if firing else 1.0
    found: list[Evidence] = []
    felt = None
    if pressure is not None and pressure > STALLED * slack:
        engines, felt = list(_engines(source)), next(_felt(source), None)
        is_felt = engines or felt is not None or (usage or 0.0) > BUSY_CPUS * slack
        limit = STALLED if is_felt else BADLY_STALLED
        if pressure > limit * slack:
            text = f"tasks waited for a CPU in {units.value(pressure, 'ratio')} of 10 s"
            found.append(Evidence("pressure_cpu", pressure, "ratio", threshold=limit, window_seconds=10.0, text=text))
            found += engines
    if stolen is not None and stolen > STOLEN * slack:
        text = f"the hypervisor took {units.value(stolen, 'ratio')} of the CPU time"
        found.append(Evidence("cpu_steal", stolen, "ratio", threshold=STOLEN, text=text))
    found += _throttled(source, slack)
    if not found:
        return HOLDS_NOT
    said = "; ".join(each.text for each in found)
    cores, idle = source.gauge("cpu_count"), tuple(_idle(source))
    return Condition(
        holds=True,
        summary=said,
        severity=Severity.WARNING,
        description=(
            f"{felt.text[0].upper() + felt.text[1:] + '; ' if felt else ''}{said}"
            f"{f'; the host has {cores:.0f} CPUs' if cores else ''}."
            f"{''.join(f' {each.text}.' for each in idle)}"
        ),
        evidence=(*found, *([felt] if felt else []), *idle),
    )


def _engines(source: SourceView) -> Iterator[Evidence]:
    """Find the servers whose busiest process is at the end of one core."""
    for server in source.view.all(Source.SERVER):
        processes = server.newest_ok.processes if server.newest_ok else ()
        most = max(processes, key=lambda each: each.cpu_usage or 0.0, default=None)
        if most is not None and most.cpu_usage is not None and most.cpu_usage >= ONE_CORE:
            text = f"{most.name or most.pid} uses {units.digits(most.cpu_usage, 2)} cores"
            yield Evidence("cpu_usage", most.cpu_usage, "1", threshold=ONE_CORE, text=text)


def _throttled(source: SourceView, slack: float) -> Iterator[Evidence]:
    """Tell of the CPU limit of this program's container, where a server's processes are seen in it as well."""
    if not any(each.newest_ok.processes for each in source.view.all(Source.SERVER) if each.newest_ok):
        return
    periods, held = (source.increase(each, THROTTLE_SECONDS) for each in ("cpu_periods", "cpu_periods_throttled"))
    if periods is None or held is None or not periods.value or held.value <= THROTTLED * slack * periods.value:
        return
    share = held.value / periods.value
    text = f"the container's CPU limit was used up in {units.value(share, 'ratio')} of its periods"
    yield Evidence("cpu_periods_throttled", share, "ratio", THROTTLED, periods.seconds, count=periods.value, text=text)


def _idle(source: SourceView) -> Iterator[Evidence]:
    """Find the servers whose busiest GPU had nothing to do for a good part of the time in which requests ran (E8)."""
    for server in source.view.all(Source.SERVER):
        gpus = gpus_of(server)
        busy = [stats.mean for gpu in gpus if (stats := gpu.gauge_over("utilisation", IDLE_SECONDS)) is not None]
        ran = max((server.held_for(each) or 0.0 for each in server.parts("requests_running")), default=0.0)
        if not busy or ran < IDLE_SECONDS or 1 - max(busy) <= IDLE:
            continue
        idle = 1 - max(busy)
        text = f"{span(gpus)} ran no kernel in {units.value(idle, 'ratio')} of the time in which requests ran"
        if idle < 1:
            text += f": without such gaps at most {units.digits(1 / (1 - idle), 2)} times as fast"
        yield Evidence("utilisation", 1 - idle, "ratio", 1 - IDLE, window_seconds=IDLE_SECONDS, text=text)


def _felt(source: SourceView) -> Iterator[Evidence]:
    servers = list(source.view.all(Source.SERVER))
    found = decode_change(servers[0], source.view.mono - 20.0) if len(servers) == 1 else None
    if found is not None:
        yield found


def host_memory_pressure(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether memory runs out, is swapped, or has run out: the kernel killed a process for want of it."""
    del settings
    available, total = source.gauge("host_memory_available_bytes"), source.gauge("host_memory_total_bytes")
    if available is None or not total:
        return unknown("the host does not tell how much memory is available")
    slack = 1 / TO_LEAVE if firing else 1.0
    found: list[Evidence] = []
    share = available / total
    critical = share < CRITICAL_AVAILABLE
    if share < LEAST_AVAILABLE * slack:
        text = f"{units.value(available, 'bytes')} of {units.value(total, 'bytes')} memory are available"
        found.append(
            Evidence("host_memory_available_bytes", available, "bytes", threshold=LEAST_AVAILABLE * total, text=text)
        )
    full = source.gauge("pressure_memory_full")
    if full is not None and full > MEMORY_STALLED / slack:
        text = f"all tasks waited for memory in {units.value(full, 'ratio')} of 10 s"
        found.append(
            Evidence("pressure_memory_full", full, "ratio", threshold=MEMORY_STALLED, window_seconds=10.0, text=text)
        )
    swap, swaps = source.gauge("swap_used_bytes"), source.gauge("swap_total_bytes")
    if swap and swaps and swap / swaps > SWAPPED:
        read = source.increase("swap_in_bytes", 60.0)
        if read is not None and read.value > 0:
            text = f"{units.value(swap / swaps, 'ratio')} of the swap is used, and read from"
            found.append(Evidence("swap_used_bytes", swap, "bytes", threshold=SWAPPED * swaps, text=text))
    if (source.still_for("oom_kills") or math.inf) < OOM_SECONDS:
        killed = source.increase("oom_kills", OOM_SECONDS)
        if killed is not None and killed.value > 0:
            critical = True
            text = f"{units.count(killed.value)} killed for want of memory in {units.duration(killed.seconds)}"
            found.append(Evidence("oom_kills", killed.value, "1", 0.0, window_seconds=killed.seconds, text=text))
    return _condition(found, Severity.CRITICAL if critical else Severity.WARNING)


def disk_pressure(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether a file system is nearly full, or will be within a day as it fills now."""
    del settings
    mounts = [dict(split_series(each)[1]).get("mount", "") for each in source.split("disk_total_bytes")]
    if not mounts:
        return unknown("the host does not tell how full its disks are")
    found: list[Evidence] = []
    for mount in mounts:
        used, total = (source.gauge(series(f"disk_{each}_bytes", mount=mount)) for each in ("used", "total"))
        if used is None or not total:
            continue
        free = 1 - used / total
        if free < LEAST_DISK / (TO_LEAVE if firing else 1.0):
            text = f"{mount}: {units.value(total - used, 'bytes')} of {units.value(total, 'bytes')} free"
            found.append(Evidence("disk_used_bytes", used, "bytes", threshold=(1 - LEAST_DISK) * total, text=text))
            continue
        left = _seconds_left(source, mount, used, total)
        if left is not None and left < DAY:
            text = f"{mount}: full in {units.duration(left)} as it fills now"
            found.append(
                Evidence("disk_used_bytes", used, "bytes", threshold=total, window_seconds=TREND_SECONDS, text=text)
            )
    return _condition(found, Severity.WARNING)


def _seconds_left(source: SourceView, mount: str, used: float, total: float) -> float | None:
    """Tell when it is full, where it grew in both halves of the last half hour; None where it did not."""
    now = source.view.mono
    if now - source.history.first_mono < TREND_SECONDS:
        return None
    gauge = series("disk_used_bytes", mount=mount)
    then = source.gauge_mean_at(gauge, 60.0, now - TREND_SECONDS + 60.0)
    middle = source.gauge_mean_at(gauge, 60.0, now - TREND_SECONDS / 2)
    if then is None or middle is None or not then < middle < used:
        return None
    slowest = min(middle - then, used - middle) / (TREND_SECONDS / 2)
    return (total - used) / slowest


def _condition(found: list[Evidence], severity: Severity) -> Condition:
    if not found:
        return HOLDS_NOT
    said = "; ".join(each.text for each in found)
    return Condition(
        holds=True,
        summary=said,
        severity=severity,
        description=f"{said[0].upper()}{said[1:]}.",
        evidence=tuple(found),
    )


CPU = Rule(
    id="host_cpu_starvation",
    title="Host CPU starvation",
    of=Source.HOST,
    condition=host_cpu_starvation,
    live=Timing(10.0, 20.0),
    page=Timing(300.0, 600.0),
    source="PSI over 10 % with busy CPUs or where it is felt, or over 25 %: ours; 10 % stolen, 25 % held back: public",
    impact="medium: the GPUs wait for the host between steps, and requests for the tokeniser",
    mitigation="Two physical cores and one for each GPU, pinned; no CPU limit on the container; move neighbours away.",
)
MEMORY = Rule(
    id="host_memory_pressure",
    title="Host memory pressure",
    of=Source.HOST,
    condition=host_memory_pressure,
    live=Timing(10.0, 30.0),
    page=Timing(120.0, 600.0),
    source="below 10 % available, 80 % of the swap, an OOM kill in 30 min: public rules; PSI full 5 %: our default",
    impact="high: the kernel kills the largest process, which is the server",
    mitigation="Lower what is offloaded to the host's memory, set memory limits for neighbours, or add memory.",
)
DISK = Rule(
    id="disk_pressure",
    title="Disk pressure",
    of=Source.HOST,
    condition=disk_pressure,
    live=Timing(10.0, 60.0),
    page=Timing(120.0, 600.0),
    source="below 10 % free, or full within 24 h: public rules",
    impact="low: logs and caches stop being written, and models cannot be loaded",
    mitigation="Rotate logs, remove old models and compile caches.",
    every=5.0,
)
