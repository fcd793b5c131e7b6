"""What holds requests back while there is room: the limit of those that run, the tokens of a step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

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
TURNOVER = 2.0
"""So many times the slots that are empty between one request and the next may be. Of 8 slots, through which 4.3
requests a second went whose prefill took 36 ms, 0.15 were empty on average: by 98 % alone the finding came and went."""
MOST_EMPTY = 0.1
"""Of all slots: with more of them empty it is not the limit that holds requests back."""
TO_LEAVE = 0.9
FULL_STEP, FULL_STEPS = 0.95, 0.3
STEP_SECONDS = 60.0
MIN_STEPS = 100


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
    if limit is None or running < _full_from(source, limit) * slack or usage >= room / slack:
        return HOLDS_NOT
    text = f"{units.count(round(running))} run, no more than {units.count(limit)} may"
    if not told:
        # For how long says the finding itself: it begins once the batch stands, and lasts.
        text = f"the batch stands at {units.count(round(running))}"
    return Condition(
        holds=True,
        summary=f"{text}; {units.count(waiting)} wait, KV cache {units.value(usage, 'ratio')} full",
        severity=Severity.WARNING,
        description=(
            f"{text[0].upper()}{text[1:]}, and {units.count(waiting)} wait, while the KV cache is only "
            f"{units.value(usage, 'ratio')} full: the limit of running requests holds them back."
        ),
        evidence=(
            Evidence("requests_running", running, "1", threshold=_full_from(source, limit), text=text),
            Evidence("requests_waiting", waiting, "1", threshold=1.0, text=f"{units.count(waiting)} waiting"),
            Evidence("kv_cache_usage", usage, "ratio", threshold=room, text=f"{units.value(usage, 'ratio')} full"),
        ),
    )


def _full_from(source: SourceView, limit: float) -> float:
    """Tell how many run on average where every slot is taken again as soon as it is left."""
    empty = TURNOVER * (_between_requests(source) or 0.0)
    return limit - max((1 - AT_THE_CAP) * limit, min(empty, MOST_EMPTY * limit))


def _between_requests(source: SourceView) -> float | None:
    """Count the slots that are empty because a request has just left and the next is worked into the batch (Little).

    Until that step is done, the page shows the batch without it.
    """
    finished, prefill = (
        source.increase("requests_finished", STEP_SECONDS),
        source.histogram("prefill_seconds", STEP_SECONDS),
    )
    if finished is None or finished.rate is None or prefill is None or prefill.mean is None:
        return None
    return finished.rate * prefill.mean


def _standing(source: SourceView) -> float | None:
    """Find the height at which the batch stood all the time while requests waited; None where it did not.

    At a limit it is at its peak but for the moments between two requests. A batch that is large for another reason (its
    prompts wait for room in the steps) goes up and down: 332 running, 2 % of that up and down, was taken for a limit.
    """
    parts, waits = source.parts("requests_running"), source.parts("requests_waiting")
    held = max((source.held_for(each) or 0.0 for each in waits), default=0.0)
    stats = source.gauge_over(parts[0], STILL_SECONDS) if len(parts) == 1 and held >= STILL_SECONDS else None
    if stats is None:
        return None
    empty = _between_requests(source)
    most = (1 - AT_THE_CAP) * stats.peak if empty is None else min(0.5 + TURNOVER * empty, MOST_EMPTY * stats.peak)
    return stats.peak if stats.peak - stats.mean <= most else None


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
