"""Is what there is used: slots, steps, servers, GPUs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.impact import of_cost
from insight.rules.placement import gpus_of, span
from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.measure import total_gauge
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

AT_THE_CAP = 0.98
ROOM = 0.8
ROOM_WHERE_UNSAID = 0.5
"""Where the server does not tell its limit, a batch that stands still while requests wait shows one; then the cache has
to be half empty, since what is free may be too little for the next request."""
STILL_SECONDS = 15.0
RUNNING_SECONDS = 10.0
"""The batch is a mean over so long: a slot that was just left is empty until the next step, so that some polls see 31
of 32, below 98 % (by the newest poll alone the simulation `slot_cap` was found in 10 of 20 runs, so it is in all)."""
TO_LEAVE = 0.9
FULL_STEP, FULL_STEPS = 0.95, 0.3
STEP_SECONDS = 60.0
MIN_STEPS = 100
DAY = 86_400.0
LOW = 0.3
TARGET = 0.7
"""How full the servers that are kept should be at their peaks."""


def slot_cap(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether requests wait for a slot while the KV cache has room for more: a limit that is set too low."""
    del settings
    slack = TO_LEAVE if firing else 1.0
    waiting = total_gauge(source, "requests_waiting")
    running = total_gauge(source, "requests_running", RUNNING_SECONDS, source.view.mono)
    if waiting is None or running is None:
        return unknown("the server does not tell how many requests run and wait")
    if waiting < 1 or not running:
        return HOLDS_NOT
    usage = total_gauge(source, "kv_cache_usage")
    if usage is None:
        return unknown("the server does not tell how full its KV cache is")
    limit, room = total_gauge(source, "max_running_requests"), ROOM
    told = limit is not None
    if limit is None:
        limit, room = _standing(source), ROOM_WHERE_UNSAID
    if limit is None or running < AT_THE_CAP * limit * slack or usage >= room / slack:
        return HOLDS_NOT
    text = f"{units.count(round(running))} run, no more than {units.count(limit)} may"
    if not told:
        text = f"{units.count(round(running))} run, as for the last {units.duration(STILL_SECONDS)}"
    return Condition(
        holds=True,
        summary=f"{text}; {units.count(waiting)} wait, KV cache {units.value(usage, 'ratio')} full",
        severity=Severity.WARNING,
        description=(
            f"{text[0].upper()}{text[1:]}, and {units.count(waiting)} wait, while the KV cache is only "
            f"{units.value(usage, 'ratio')} full: the limit of running requests holds them back."
        ),
        evidence=(
            Evidence("requests_running", running, "1", threshold=AT_THE_CAP * limit, text=text),
            Evidence("requests_waiting", waiting, "1", threshold=1.0, text=f"{units.count(waiting)} waiting"),
            Evidence("kv_cache_usage", usage, "ratio", threshold=room, text=f"{units.value(usage, 'ratio')} full"),
        ),
    )


def _standing(source: SourceView) -> float | None:
    """Find the height at which the batch stood all the time while requests waited; None where it did not."""
    parts, waits = source.parts("requests_running"), source.parts("requests_waiting")
    held = max((source.held_for(each) or 0.0 for each in waits), default=0.0)
    stats = source.gauge_over(parts[0], STILL_SECONDS) if len(parts) == 1 and held >= STILL_SECONDS else None
    return stats.peak if stats is not None and stats.mean >= AT_THE_CAP * stats.peak else None


def token_budget_bound(source: SourceView, settings: Settings, firing: bool) -> Condition | None:
    """Tell whether many steps are as large as they may be. Not asked where the budget is not known.

    The steps in the bucket that holds the budget are at least as large, in the mean, as the sum leaves them when all
    others are as large as their buckets allow; none is above the budget, so that tells the share near it.
    """
    del settings, firing
    budget = source.facts.get("flag_max_num_batched_tokens", "")
    if not (budget.isdecimal() and int(budget)) or not source.parts("tokens_per_step"):
        return None
    most = float(budget)
    steps = source.histogram("tokens_per_step", STEP_SECONDS)
    if steps is None or steps.count < MIN_STEPS:
        return unknown(f"fewer than {MIN_STEPS} steps in {units.duration(STEP_SECONDS)}")
    bounds = (*steps.bounds, math.inf)
    near = next(index for index, bound in enumerate(bounds) if bound >= most)
    top = math.fsum(steps.counts[near:])
    others = math.fsum(count * bound for count, bound in zip(steps.counts[:near], bounds, strict=False))
    mean = (steps.sum - others) / top if top else 0.0
    full = top / steps.count * max(0.0, min(1.0, (mean - FULL_STEP * most) / (most * (1 - FULL_STEP))))
    if full <= FULL_STEPS:
        return HOLDS_NOT
    text = f"at least {units.value(full, 'ratio')} of the steps are at the budget of {units.count(most)} tokens"
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.INFO,
        description=f"{text[0].upper()}{text[1:]}, over {units.count(steps.count)} steps.",
        evidence=(Evidence("tokens_per_step", full, "ratio", FULL_STEPS, STEP_SECONDS, count=steps.count, text=text),),
    )


def resource_overprovisioning(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether a day's peaks would have fitted on fewer servers of this model, or left GPUs idle.

    A peak is the highest that one poll saw; those of all servers are added as if they had come at once, which is the
    most that was ever needed.
    """
    del settings, firing
    watched = source.view.mono - source.history.first_mono
    if watched < DAY:
        left = units.duration(DAY - watched)
        return unknown(f"not judged: needs a day of load, {left} more; a quiet hour says nothing of the next")
    alike = [each for each in source.view.all(Source.SERVER) if each.facts.get("model") == source.facts.get("model")]
    shares = [_busiest(each) for each in alike]
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


def _busiest(source: SourceView) -> float | None:
    """Tell the most of its slots that a server used in a day, as a share; of several engines, their peaks added."""
    limit = total_gauge(source, "max_running_requests")
    stats = [source.gauge_over(each, DAY) for each in source.parts("requests_running")]
    peak = math.fsum(each.peak for each in stats if each is not None)
    return peak / limit if limit else None


def _idle_all_day(gpu: SourceView) -> bool:
    if gpu.view.mono - gpu.history.first_mono < DAY or any(gpu in gpus_of(s) for s in gpu.view.all(Source.SERVER)):
        return False
    stats = gpu.gauge_over("utilisation", DAY)
    return stats is not None and stats.peak == 0


SLOT_CAP = Rule(
    id="slot_cap",
    title="Limit of running requests",
    of=Source.SERVER,
    condition=slot_cap,
    live=Timing(10.0, 20.0),
    page=Timing(300.0, 900.0),
    source="98 % of the limit with requests waiting and over 20 % of the KV cache free: our default, vLLM's guide",
    impact="medium: requests wait although there is room for them",
    mitigation="Let more requests run at once; each step then takes a little longer.",
)
TOKEN_BUDGET = Rule(
    id="token_budget_bound",
    title="Steps at the token budget",
    of=Source.SERVER,
    condition=token_budget_bound,
    live=Timing(30.0, 60.0),
    page=Timing(600.0, 900.0),
    source="30 % of the steps at 95 % of the budget: our default",
    impact="low: prompts are split over more steps, decoding waits for full ones",
    mitigation="A larger budget shortens TTFT, a smaller one the time between tokens: choose by which is missed.",
    every=5.0,
)
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
