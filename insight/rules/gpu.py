"""Is a GPU slowed down by heat, lost, or its driver silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.rules.rule import HOLDS_NOT, Condition, Rule, unknown
from metrics import units
from metrics.sample import Source, State
from metrics.series import series
from metrics.snapshot import Evidence, Severity

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

THERMAL = {series("throttle", reason=reason): reason for reason in ("hw_thermal", "sw_thermal", "hw_slowdown")}
"""Reasons for lower clocks that heat, or the hardware for its own protection, gives."""
CLOCK_SHARE = 0.8
"""Below this share of the highest clock the slowdown is one that users feel. Our own default."""
CLOCK_SECONDS = 10.0


def thermal_throttle(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether heat or the hardware holds the clocks down."""
    del settings, firing
    held = {reason: seconds for name, reason in THERMAL.items() if (seconds := source.held_for(name)) is not None}
    if not held:
        told = any(name in source.history.columns.gauges for name in THERMAL)
        return HOLDS_NOT if told else unknown("the driver does not tell why clocks are held down")
    seconds = max(held.values())
    clock, highest = source.gauge("sm_clock_hertz"), source.gauge("sm_clock_max_hertz")
    heat = source.gauge("temperature_celsius")
    found = [Evidence("throttle", 1.0, "1", text=f"{', '.join(held)} for {units.duration(seconds)}")]
    parts = [f"GPU {source.facts.get('index', '?')}"]
    if clock is not None and highest:
        fall = f"clock {units.value(clock, 'Hz')} of {units.value(highest, 'Hz')}"
        found.append(Evidence("sm_clock_hertz", clock, "Hz", threshold=CLOCK_SHARE * highest, text=fall))
        parts.append(f"clock {units.digits(100 * (clock / highest - 1), 2)} %")
    if heat is not None:
        limit = source.gauge("slowdown_temperature_celsius")
        hot = units.value(heat, "celsius")
        found.append(Evidence("temperature_celsius", heat, "celsius", threshold=limit, text=hot))
        parts.append(hot)
    return Condition(
        holds=True,
        summary=", ".join(parts),
        severity=Severity.CRITICAL if seconds > CLOCK_SECONDS and _slow(source, highest) else Severity.WARNING,
        description=f"{parts[0]}: {'; '.join(each.text for each in found)}.",
        evidence=tuple(found),
        since=source.view.mono - seconds,
    )


def _slow(source: SourceView, highest: float | None) -> bool:
    """Tell whether the clock stayed low for the last seconds."""
    stats = source.gauge_over("sm_clock_hertz", CLOCK_SECONDS)
    return stats is not None and bool(highest) and stats.peak < CLOCK_SHARE * (highest or 0.0)


def lost(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the GPU is gone; it stays so until this program is started again, see the rule."""
    del settings, firing
    if source.state is not State.DOWN:
        return HOLDS_NOT
    name = f"GPU {source.facts.get('index', source.id)}"
    reason = source.newest.reason
    action = source.facts.get("recovery_action")
    asks = f" The driver asks to {action}." if action else ""
    return Condition(
        holds=True,
        summary=f"{name}: {reason}" if reason else name,
        severity=Severity.CRITICAL,
        description=f"{name} does not answer the driver any more. {reason}{asks}".strip(),
        since=source.history.state_since,
    )


def driver_unresponsive(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the driver, which did answer before, has ceased to. A host without a driver is no fault."""
    del settings, firing
    if source.newest_ok is None or source.state is State.OK:
        return Condition(holds=False, summary=source.newest.reason)
    silence = f"no answer for {units.duration(source.age)}"
    return Condition(
        holds=True,
        summary=silence,
        severity=Severity.CRITICAL,
        description=f"The NVIDIA driver answered before: {silence}. {source.newest.reason}".strip(),
        since=source.newest_ok.mono,
    )


THROTTLE = Rule(
    id="thermal_throttle",
    title="Thermal throttle",
    of=Source.GPU,
    condition=thermal_throttle,
    enter=5.0,
    keep=30.0,
    source="NVML clock event reasons, DCGM warns of any thermal violation; 80 % of the highest clock: our default",
    impact="medium: every request on this GPU, and on those that wait for it, slows down",
    mitigation="Mend the cooling: airflow, inlet air, fans, dust; until then lower the power limit or move load.",
)
LOST = Rule(
    id="gpu_lost",
    title="GPU lost",
    of=Source.GPU,
    condition=lost,
    enter=0.0,
    keep=86_400.0,  # a GPU that fell off the bus once is no longer to be trusted
    source="NVML reports the GPU as lost; XID 79",
    impact="high: what ran on this GPU is gone",
    mitigation="Drain the host, keep the output of nvidia-bug-report.sh, then reset the GPU or reboot the host.",
    needs_answer=False,
)
DRIVER = Rule(
    id="driver_unresponsive",
    title="GPU driver unresponsive",
    of=Source.DRIVER,
    condition=driver_unresponsive,
    enter=5.0,
    keep=5.0,
    source="an NVML session that worked and no longer does",
    impact="high: GPUs cannot be watched, and what uses them may hang as well",
    mitigation="Look into dmesg for Xid and NVRM; if nvidia-smi hangs too, drain and reboot the host.",
    needs_answer=False,
)
