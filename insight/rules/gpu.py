"""Is a GPU held down: by heat, by the hardware for its own protection, or by a limit of power."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.rules.placement import name
from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from insight.rules.together import fell, with_server
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source
from metrics.series import series

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

THERMAL = {series("throttle", reason=reason): reason for reason in ("hw_thermal", "sw_thermal")}
"""Reasons for lower clocks that heat gives (NVML 0x40 and 0x20)."""
SLOWDOWN = series("throttle", reason="hw_slowdown")
"""NVML 0x8: set beside the reason that it has, heat or a power brake, and alone by GPUs that name none."""
BRAKE = series("throttle", reason="hw_power_brake")
"""NVML 0x80: the power supply asks the GPU, by a pin, to take less at once."""
CAPPED = series("throttle", reason="sw_power_cap")
"""NVML 0x4."""
REASON_WORDS = {
    "hw_thermal": "hardware thermal",
    "sw_thermal": "software thermal",
    "hw_slowdown": "hardware slowdown",
    "hw_power_brake": "hardware power brake",
}
CLOCK_SHARE = 0.8
"""Below this share of the highest clock the slowdown is one that users feel. Our own default."""
CLOCK_SECONDS = 10.0
CAP_SECONDS = 30.0
CAP_SHARE = 0.5
"""Capped for half of the time and less is what a GPU at full load does: it is sold that way."""
CAP_SHARE_TO_LEAVE = 0.4
LIMIT_SECONDS = 3600.0
"""So far back a power limit is looked for that was higher."""
LIMIT_FALL = 0.01
"""A limit that is lower by less than this was not set anew."""


def thermal_throttle(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether heat holds the clocks down."""
    del settings, firing
    held = {reason: seconds for name, reason in THERMAL.items() if (seconds := source.held_for(name)) is not None}
    if not held:
        told = any(name in source.history.columns.gauges for name in THERMAL)
        return HOLDS_NOT if told else unknown("the driver does not tell why clocks are held down")
    return _held_down(source, held)


def hw_slowdown(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the hardware protects itself for a reason other than heat."""
    del settings, firing
    brake, slowdown = source.held_for(BRAKE), source.held_for(SLOWDOWN)
    if brake is None and slowdown is None:
        told = SLOWDOWN in source.history.columns.gauges or BRAKE in source.history.columns.gauges
        return HOLDS_NOT if told else unknown("the driver does not tell why clocks are held down")
    if brake is None and any(source.held_for(each) is not None for each in THERMAL):
        return Condition(holds=False, summary="heat is the reason: see thermal throttle")
    held = {"hw_power_brake": brake} if brake is not None else {"hw_slowdown": slowdown or 0.0}
    return _held_down(source, held, Severity.CRITICAL)


def _held_down(source: SourceView, held: dict[str, float], severity: Severity | None = None) -> Condition:
    """Say by what the clocks are held down, since when, and what the server there felt of it."""
    seconds = max(held.values())
    since = source.view.mono - seconds
    clock, highest = source.gauge("sm_clock_hertz"), source.gauge("sm_clock_max_hertz")
    heat = source.gauge("temperature_celsius")
    words = ", ".join(REASON_WORDS[each] for each in held)
    found = [Evidence("throttle", 1.0, "1", window_seconds=seconds, text=f"{words} for {units.duration(seconds)}")]
    parts = [name(source)]
    if clock is not None and highest:
        fall = f"clock {units.value(clock, 'Hz')} of {units.value(highest, 'Hz')}"
        found.append(Evidence("sm_clock_hertz", clock, "Hz", threshold=CLOCK_SHARE * highest, text=fall))
        parts.append(f"clock {units.digits(100 * (clock / highest - 1), 2)} %")
    if heat is not None:
        limit = source.gauge("slowdown_temperature_celsius")
        hot = units.value(heat, "celsius")
        found.append(Evidence("temperature_celsius", heat, "celsius", threshold=limit, text=hot))
        parts.append(hot)
    if severity is None:
        severity = Severity.CRITICAL if seconds > CLOCK_SECONDS and _slow(source, highest) else Severity.WARNING
    said = f"{fell(source, since) or parts[0]}: {'; '.join(each.text for each in found)}"
    description, felt = with_server(source, since, said)
    return Condition(
        holds=True,
        summary=", ".join(parts),
        severity=severity,
        description=f"{description}.",
        evidence=(*found, *felt),
        since=since,
    )


def _slow(source: SourceView, highest: float | None) -> bool:
    """Tell whether the clock stayed low for the last seconds."""
    stats = source.gauge_over("sm_clock_hertz", CLOCK_SECONDS)
    return stats is not None and bool(highest) and stats.peak < CLOCK_SHARE * (highest or 0.0)


def power_cap(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the limit of power holds the clocks down most of the time, and so far that users feel it.

    At full load it is normal that the limit is reached now and then: that is no finding. Reached most of the time it is
    one to know of, and a warning where the clock is below `CLOCK_SHARE` of the highest.
    """
    del settings
    if source.gauge(CAPPED) is None:
        return unknown("the driver does not tell why clocks are held down")
    if not firing and source.held_for(CAPPED) is None:
        return HOLDS_NOT
    stats, seconds = source.gauge_over(CAPPED, CAP_SECONDS), source.seconds(CAP_SECONDS)
    if stats is None or not seconds or seconds < CAP_SECONDS * CAP_SHARE:
        return HOLDS_NOT
    share = f"at its power limit for {units.value(stats.mean, 'ratio')} of the last {units.duration(seconds)}"
    if stats.mean <= (CAP_SHARE_TO_LEAVE if firing else CAP_SHARE):
        return Condition(holds=False, summary=share)
    highest, clocks = source.gauge("sm_clock_max_hertz"), source.gauge_over("sm_clock_hertz", CAP_SECONDS)
    low = clocks is not None and highest is not None and clocks.mean < CLOCK_SHARE * highest
    found = [Evidence("throttle", stats.mean, "ratio", threshold=CAP_SHARE, window_seconds=seconds, text=share)]
    if clocks is not None and highest:
        fall = f"clock {units.value(clocks.mean, 'Hz')} of {units.value(highest, 'Hz')}"
        found.append(
            Evidence("sm_clock_hertz", clocks.mean, "Hz", CLOCK_SHARE * highest, window_seconds=seconds, text=fall)
        )
    power, limit = source.gauge("power_watts"), source.gauge("power_limit_watts")
    if power is not None and limit is not None:
        drawn = f"{units.value(power, 'W')} of {units.value(limit, 'W')}"
        found.append(Evidence("power_watts", power, "W", threshold=limit, text=drawn))
    lowered = _lowered(source)
    if lowered is not None:
        since, evidence = lowered
        found.insert(0, evidence)
    else:
        since = source.view.mono - (source.held_for(CAPPED) or 0.0)
    description, felt = with_server(source, since, f"{name(source)}: {'; '.join(each.text for each in found)}")
    return Condition(
        holds=True,
        summary=f"{name(source)}, {', '.join(each.text for each in found[:2])}",
        severity=Severity.WARNING if low else Severity.INFO,
        description=f"{description}.",
        evidence=(*found, *felt),
    )


def _lowered(source: SourceView) -> tuple[float, Evidence] | None:
    """Tell since when the limit of power is lower than it was in the last hour, and by how much; None where it is not.

    The moment is that since which no poll showed a higher one: sought by halves, to a second.
    """
    limit, earlier = source.gauge("power_limit_watts"), source.gauge_over("power_limit_watts", LIMIT_SECONDS)
    if limit is None or earlier is None or earlier.peak <= limit * (1 + LIMIT_FALL):
        return None
    low, high = 0.0, LIMIT_SECONDS
    while high - low > 1.0:
        middle = (low + high) / 2
        within = source.gauge_over("power_limit_watts", middle)
        low, high = (middle, high) if within is None or within.peak <= limit * (1 + LIMIT_FALL) else (low, middle)
    since = source.view.mono - low
    clock = units.rfc3339(source.view.wall_at(since))[11:19]
    text = f"limit {earlier.peak:.0f} to {limit:.0f} W since {clock} UTC"
    return since, Evidence("power_limit_watts", limit, "W", threshold=earlier.peak, window_seconds=low, text=text)


_SAID = "NVML clock event reasons"
THROTTLE = Rule(
    id="thermal_throttle",
    title="Thermal throttle",
    of=Source.GPU,
    condition=thermal_throttle,
    live=Timing(5.0, 30.0),
    page=Timing(60.0, 600.0),
    source=f"{_SAID}, DCGM warns of any thermal violation; 80 % of the highest clock: our default",
    impact="medium: every request on this GPU, and on those that wait for it, slows down",
    mitigation="Mend the cooling: airflow, inlet air, fans, dust; until then lower the power limit or move load.",
)
HW_SLOWDOWN = Rule(
    id="hw_slowdown",
    title="Hardware slowdown",
    of=Source.GPU,
    condition=hw_slowdown,
    live=Timing(2.0, 60.0),
    page=Timing(0.0, 600.0),
    source=f"{_SAID} 0x8 and 0x80, where heat is not the reason; gpud counts 0.6 events a minute as a fault",
    impact="high: the clock is halved or worse for as long as the hardware protects itself",
    mitigation=(
        "A power brake comes from the power supply: look at its inputs, its redundancy and the rack's budget. "
        "Without one: drain, keep the output of nvidia-bug-report.sh, and have the board looked at."
    ),
    event=True,
)
POWER_CAP = Rule(
    id="power_cap",
    title="Power limit reached",
    of=Source.GPU,
    condition=power_cap,
    live=Timing(5.0, 30.0),
    page=Timing(600.0, 900.0),
    source=f"{_SAID} 0x4, for over half of the time; 80 % of the highest clock: our defaults",
    impact="medium: prefill slows with the clock; decode less, which is bound by memory",
    mitigation=(
        "A limit that was lowered while watched: put it back (nvidia-smi -i N -pl WATTS). Else see whether it is meant "
        "(nvidia-smi -q -d POWER), and measure tokens per joule at two or three limits before changing it."
    ),
)
