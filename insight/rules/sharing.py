"""Do GPUs work for more than one, and does one of several that work together hold the others up."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

from insight.rules.gpu import BRAKE, SLOWDOWN, THERMAL
from insight.rules.placement import Tenants, gpus_of, name, server_on, span, tenants
from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from insight.rules.together import with_server
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.sample import Process
    from metrics.view import SourceView

FOREIGN = 0.05
FOREIGN_BYTES = 2e9
"""From the smaller of the two on a process counts: a share of the memory, or so much of it. The context alone of one
that does nothing (some hundred MB, the work spaces of its libraries with it) is below both, and does not grow with the
GPU: of 80 GB, 5 % are 4 GB, and a process went unseen that took half of the time with 3 GB. Our defaults."""
LEAST_FREE_BYTES = 1e9
CAME_SECONDS = 3600.0
"""A process that came longer ago is not asked what it did to decoding: what is before and after is another load."""
CLOCK, POWER = 0.9, 0.7
"""Of the median of the others that work for the same server."""
TO_LEAVE = 0.03
BUSY = 0.3
"""Ranks of one group are busy together; a GPU that rests has no clock to be held against it."""


def gpu_oversubscription(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether a GPU that works for a server works for somebody else as well, or has no memory left."""
    del settings, firing
    newest = source.newest_ok
    if newest is None or any(each.what == "processes" for each in newest.missing):
        return unknown("the driver does not tell which processes are on the GPU")
    here = tenants(source)
    total, used = source.gauge("memory_total_bytes"), source.gauge("memory_used_bytes")
    if not here.servers and not here.engines:
        return _without_engine(here, total)
    engines = [*here.servers.values(), *([[each] for each in _large(here.engines, total)] if here.engines else [])]
    strangers = _large(here.others, total)
    parts: list[str] = []
    found: list[Evidence] = []
    if len(engines) > 1:
        text = f"{len(engines)} inference engines share it"
        parts.append(text)
        found.append(Evidence("processes", float(len(engines)), "1", threshold=1.0, text=text))
    for each in strangers[:3]:
        text = f"{each.name or 'pid'} ({each.pid}) holds {units.value(each.memory_bytes, 'bytes')} of its memory"
        parts.append(text)
        least = min(FOREIGN * (total or math.inf), FOREIGN_BYTES)
        found.append(Evidence("processes", each.memory_bytes, "bytes", threshold=least, text=text))
    free = total - used if total is not None and used is not None else None
    if free is not None and free < LEAST_FREE_BYTES:
        text = f"{units.value(free, 'bytes')} of its memory are free"
        parts.append(text)
        found.append(Evidence("memory_used_bytes", used, "bytes", threshold=(total or 0) - LEAST_FREE_BYTES, text=text))
    if not parts:
        return HOLDS_NOT
    summary, said = f"{name(source)}: {'; '.join(parts)}", f"on {name(source)} {'; '.join(parts)}"
    came = _came(source, strangers[0].memory_bytes or 0.0) if strangers else None
    description, felt = with_server(source, came, said) if came is not None else (said, ())
    if felt:
        what = f"ITL {units.value(felt[0].lo, 's')} to {units.value(felt[0].value, 's')}"
        summary = f"{strangers[0].name or 'pid'} ({strangers[0].pid}) shares {name(source)}: {what}"
    return Condition(
        holds=True,
        summary=summary,
        severity=Severity.WARNING,
        description=(
            f"{description[0].upper()}{description[1:]}. What shares a GPU takes turns on it, without any isolation of "
            "time."
        ),
        evidence=(*felt, *found),
    )


def _came(gpu: SourceView, held: float) -> float | None:
    """Tell since when a process is there, by the memory in use, which was less by at least half of what it holds.

    None where that was not seen. The moment is sought by halves, to a second: a server's own memory stands still.
    """
    now, step = gpu.gauge("memory_used_bytes"), 2 * gpu.view.interval
    if now is None:
        return None
    lowest, mono, low, high = now - held / 2, gpu.view.mono, 0.0, step
    while (then := gpu.gauge_mean_at("memory_used_bytes", step, mono - high)) is None or then >= lowest:
        if high >= CAME_SECONDS:
            return None
        low, high = high, 2 * high
    while high - low > 1.0:
        middle = (low + high) / 2
        then = gpu.gauge_mean_at("memory_used_bytes", gpu.view.interval, mono - middle)
        low, high = (low, middle) if then is not None and then < lowest else (middle, high)
    return mono - low


def _without_engine(here: Tenants, total: float | None) -> Condition:
    """Say what there is to say of a GPU on which no process is known to be a server's."""
    unclear = [*_large(here.others, total), *here.nameless]
    if len(unclear) < 2:
        return HOLDS_NOT
    return unknown(
        f"{len(unclear)} processes are on it, and which of them belong to a server cannot be seen: run this program on "
        "the server's host, as root or with --pid=host"
    )


def _large(processes: list[Process], total: float | None) -> list[Process]:
    return [each for each in processes if total and (each.memory_bytes or 0.0) > min(FOREIGN * total, FOREIGN_BYTES)]


def gpu_straggler(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether this GPU runs slower than the others that work for the same server, which wait for it in each step.

    Where heat, the hardware or a neighbour is the reason, that has a row of its own, and this is not said twice.
    """
    del settings
    clock = _value(source, "sm_clock_hertz")
    if clock is None:
        return unknown("the driver does not tell the clock")
    slack = TO_LEAVE if firing else 0.0
    if _keeps_up(source, slack):
        return HOLDS_NOT
    server = server_on(source)
    group = [each for each in gpus_of(server) if each.id != source.id and _busy(each)] if server else []
    if not group or not _busy(source):
        return HOLDS_NOT
    shared = bool(_large(tenants(source).others, _value(source, "memory_total_bytes")))
    if shared or any(source.held_for(each) is not None for each in (*THERMAL, SLOWDOWN, BRAKE)):
        return Condition(holds=False, summary="it is slow for a reason that has a row of its own")
    usual = median(_known(group, "sm_clock_hertz") or [clock])
    powers, power = _known(group, "power_watts"), _value(source, "power_watts")
    drawn = median(powers) if powers else None
    slow = clock < (CLOCK + slack) * usual
    idle = drawn is not None and power is not None and power < (POWER + slack) * drawn and min(powers) >= POWER * drawn
    if not slow and not idle:
        return HOLDS_NOT
    found = []
    if slow:
        text = f"clock {units.value(clock, 'Hz')}, the others {units.value(usual, 'Hz')}"
        found.append(Evidence("sm_clock_hertz", clock, "Hz", threshold=CLOCK * usual, count=len(group) + 1, text=text))
    if idle and drawn is not None:
        text = f"power {units.value(power, 'W')}, the others {units.value(drawn, 'W')}"
        found.append(Evidence("power_watts", power, "W", threshold=POWER * drawn, count=len(group) + 1, text=text))
    said = f"{name(source)} lags behind {span(group)}: {'; '.join(each.text for each in found)}"
    description, felt = with_server(source, source.view.mono - 10.0, said)
    return Condition(
        holds=True,
        summary=f"{name(source)}: {found[0].text}",
        severity=Severity.WARNING,
        description=f"{description}.",
        evidence=(*found, *felt),
    )


def _keeps_up(source: SourceView, slack: float) -> bool:
    """Look at the newest numbers of all GPUs alone: one as fast as the fastest is no straggler among any of them."""
    sources = list(source.view.all(Source.GPU))
    if len(sources) < 2 or not _busy(source):
        return True
    for quantity, share in (("sm_clock_hertz", CLOCK), ("power_watts", POWER)):
        mine, fastest = _value(source, quantity), max(_known([s for s in sources if _busy(s)], quantity), default=0.0)
        if mine is not None and mine < (share + slack) * fastest:
            return False
    return True


def _value(source: SourceView, quantity: str) -> float | None:
    newest = source.history.newest_ok
    return None if newest is None else newest.gauges.get(quantity)


def _known(sources: list[SourceView], quantity: str) -> list[float]:
    return [value for each in sources if (value := _value(each, quantity)) is not None]


def _busy(source: SourceView) -> bool:
    return (_value(source, "utilisation") or 0.0) > BUSY


OVERSUBSCRIPTION = Rule(
    id="gpu_oversubscription",
    title="GPU over-subscription",
    of=Source.GPU,
    condition=gpu_oversubscription,
    live=Timing(5.0, 30.0),
    page=Timing(120.0, 600.0),
    source="another process with over 2 GB or 5 % of the memory, two engines, or below 1 GB free: our defaults",
    impact="medium: latency varies with what the neighbour does, and its memory is not there for the KV cache",
    mitigation="One server a GPU, or MIG slices; no time-slicing. Move what is not the server's to another GPU.",
    absent="not judged: no GPU is seen",
)
STRAGGLER = Rule(
    id="gpu_straggler",
    title="GPU straggler",
    of=Source.GPU,
    condition=gpu_straggler,
    live=Timing(10.0, 30.0),
    page=Timing(300.0, 600.0),
    source="clock below 0.9, or power below 0.7, of the median of the others of the same server: our defaults",
    impact="medium: the others of its group wait for it in every step",
    mitigation="Compare its limits, clocks and cooling with the others'; drain the replica or move the rank elsewhere.",
)
