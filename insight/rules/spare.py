"""Is there more than is needed: servers, engines, GPUs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.impact import of_cost
from insight.rules.placement import server_on, span, tenants
from insight.rules.rule import Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.measure import total_gauge
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

DAY = 86_400.0
LOW = 0.3
TARGET = 0.7
"""How full the servers that are kept should be at their peaks."""


def resource_overprovisioning(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether a day's peaks would have fitted on fewer servers of this model, or left GPUs idle.

    A peak is the highest that one poll saw; those of all servers are added as if they had come at once, which is the
    most that was ever needed. Each engine behind one address is a server of its own, unless all of them hold parts of
    one model (expert parallelism).
    """
    del settings, firing
    watched = source.view.mono - source.history.first_mono
    if watched < DAY:
        left = units.duration(DAY - watched)
        return unknown(f"not judged: needs a day of load, {left} more; a quiet hour says nothing of the next")
    alike = [each for each in source.view.all(Source.SERVER) if each.facts.get("model") == source.facts.get("model")]
    shares = [share for each in alike for share in _busiest(each)]
    idle = [gpu for gpu in source.view.all(Source.GPU) if _idle_all_day(gpu)]
    known = [each for each in shares if each is not None]
    if len(known) < len(shares) and not idle:
        return unknown("the server does not tell how many requests may run at once")
    needed = math.ceil(math.fsum(known) / TARGET) if len(known) == len(shares) else len(shares)
    spare = len(shares) - max(1, needed)
    low = spare > 0 and max(known) < LOW
    if not low and not idle:
        busiest = f"a day's peak was {units.value(max(known), 'ratio')} of the slots" if known else ""
        return Condition(holds=False, summary=busiest)
    parts, found = [], []
    if low:
        text = f"the peaks of a day, as if they came at once, need {max(1, needed)} of {len(shares)} servers"
        parts.append(text)
        found.append(Evidence("requests_running", max(known), "ratio", LOW, window_seconds=DAY, text=text))
    if idle:
        text = f"{span(idle)} had nothing to do for a day"
        parts.append(text)
        found.append(Evidence("utilisation", 0.0, "ratio", 0.0, window_seconds=DAY, count=len(idle), text=text))
    said = "; ".join(parts)
    return Condition(
        holds=True,
        summary=said,
        severity=Severity.INFO,
        description=f"{said[0].upper()}{said[1:]}.",
        evidence=tuple(found),
        impact=of_cost(spare / len(shares)) if low else "",
    )


def _busiest(source: SourceView) -> list[float | None]:
    """Tell for each engine of a server the most of its slots that it used in a day, as a share; None where unknown."""
    parts = source.parts("requests_running")
    stats = [source.gauge_over(each, DAY) for each in parts]
    peaks = [each.peak for each in stats if each is not None]
    whole = total_gauge(source, "max_running_requests")
    if not whole or not peaks:
        return [None]
    if len(peaks) < len(parts) or source.facts.get("flag_enable_expert_parallel") is not None:
        return [math.fsum(peaks) / whole]
    return [peak / (whole / len(peaks)) for peak in peaks]


def _idle_all_day(gpu: SourceView) -> bool:
    if gpu.view.mono - gpu.history.first_mono < DAY or tenants(gpu).servers or server_on(gpu) is not None:
        return False
    stats = gpu.gauge_over("utilisation", DAY)
    return stats is not None and stats.peak == 0


OVERPROVISIONING = Rule(
    id="resource_overprovisioning",
    title="Resource over-provisioning",
    of=Source.SERVER,
    condition=resource_overprovisioning,
    live=Timing(0.0, 3600.0),
    page=Timing(0.0, 3600.0),  # the day is in the condition
    source="below 30 % of the slots at the peak of a day, and fewer servers at 70 % would do: our default",
    impact="low: money and energy, not service",
    mitigation="Compare the busiest hour of a week with what the hardware can do, then scale with the queue.",
    absent="no server is seen",
    every=60.0,
)
