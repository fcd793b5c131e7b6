"""What a capped queue and more slots would bring: what is finished, how long requests wait."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators import capacity
from insight.estimators.effects import Z90, bound, unknown
from insight.objectives import label
from insight.recommend.case import Estimate
from insight.recommend.work_out import ARRIVING_SECONDS, RECENT_SECONDS
from insight.rules.latency import objective_for
from metrics import units
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from insight.recommend.case import Case
    from insight.recommend.known import Known

QUEUE_SHARE = 0.5
"""A queue is capped so that waiting takes this share of the TTFT objective: the rest is for the prefill, and for a
queue that is not always equally long. Our own default."""
QUEUE_SPREAD = 0.15
"""A batch is not constant, and what it finishes comes in lumps: our own margin."""
ARRIVALS_SPREAD = 0.1
GAUGE_SPREAD = 0.05
"""By how much a queue grew, as a share of what came: our own margin."""
_SLOTS_FACTOR = 2.0
MOST_CACHE = 0.8
"""A KV cache that is fuller has no room for what is refused: our own default."""
NO_ROOM = frozenset(
    (
        *("model_overloading", "slot_cap", "cache_saturation", "preemption"),
        *("ttft_slo", "itl_slo", "tpot_slo", "e2e_slo", "goodput_slo"),
    )
)
"""Findings with which more requests at once would be late or thrown out."""


def served(
    come: float | None, now: float | None, capacity_then: Effect, *, assumed: tuple[str, ...] = ()
) -> Effect | None:
    """Tell what will be finished per second: all that comes, or the new capacity where that is less."""
    if come is None or capacity_then.mid is None or capacity_then.lo is None:
        return None
    off = _luck(come)
    lo, mid, hi = (
        min(come * spread, most)
        for spread, most in (
            (1 - off, capacity_then.lo),
            (1.0, capacity_then.mid),
            (1 + off, capacity_then.hi or math.inf),
        )
    )
    return Effect(
        "requests_finished",
        now=now,
        lo=lo,
        mid=mid,
        hi=hi,
        unit="1/s",
        basis="model",
        grade=max(Grade.B, capacity_then.grade),
        assumptions=(f"{units.rate(come)} go on arriving", *assumed, *capacity_then.assumptions),
        n=capacity_then.n,
        window_seconds=capacity_then.window_seconds,
        valid_if=("requests go on arriving as now",),
    )


def served_at_most(case: Case, growth: float, what: str) -> Effect | None:
    """Bound what will be finished when `growth` times as many run, without step times: less than in proportion."""
    known = case.known
    if known is None or known.arrivals is None or known.capacity.basis != "measured" or not known.rate:
        return None
    come = known.arrivals * (1 + _luck(known.arrivals))
    most = min(come, known.rate * growth * (1 + ARRIVALS_SPREAD))
    assumed = (f"{what}: a step grows less than the batch in it", f"{units.rate(known.arrivals)} go on arriving")
    return bound("requests_finished", "1/s", known.rate, min(most, known.rate * (1 - ARRIVALS_SPREAD)), most, assumed)


def _luck(come: float) -> float:
    """Give the share by which what comes in the next minute may differ from what came in the last half one.

    Both are counts of Poisson arrivals, and by how much a queue grew is read off a gauge.
    """
    if come <= 0:
        return ARRIVALS_SPREAD
    counted = Z90 * math.sqrt((1 / ARRIVING_SECONDS + 1 / RECENT_SECONDS) / come)
    return max(ARRIVALS_SPREAD, math.hypot(counted, GAUGE_SPREAD))


class Flow(Struct, frozen=True):
    """What comes and what can be finished, requests a second."""

    arrivals: float | None
    capacity: Effect


def flow(case: Case) -> Flow:
    """Tell them by the windows of the server, else by the finding: under a queue what is finished is the capacity."""
    known = case.known
    if known is not None and known.capacity.mid is not None:
        return Flow(known.arrivals, known.capacity)
    rate = case.evidence("requests_finished")
    arrivals = case.number("requests_arrived") or (known.arrivals if known else None)
    if rate is None or not rate.value:
        return Flow(arrivals, unknown("requests_finished", "1/s", "how many requests end, under a queue"))
    lo, hi = rate.value * (1 - ARRIVALS_SPREAD), rate.value * (1 + ARRIVALS_SPREAD)
    return Flow(
        arrivals,
        Effect(
            "requests_finished",
            now=rate.value,
            lo=lo,
            mid=rate.value,
            hi=hi,
            unit="1/s",
            basis="measured",
            grade=Grade.C,
            assumptions=("a queue stood meanwhile",),
            window_seconds=rate.window_seconds,
        ),
    )


def admission_control(case: Case) -> Estimate:
    """Bound the wait of what is let in: by Little's law n in the queue at r finished a second wait n / r.

    vLLM's limit is on all that is in flight (`SchedulerConfig.max_num_queued_reqs`, 0.32: "waiting or running"), so the
    batch comes on top; a limit on the queue alone would cut the batch down. While more comes than is finished the
    queue stands below its cap by 1 / (r - 1) places on average, r being what comes over what is finished (M/M/1/K).
    """
    if "admission_rejections" in case.present:
        return Estimate(withheld="requests are refused at admission already: a cap stands, or the proxy has one")
    objective = objective_for("ttft_seconds", case.settings.objectives)
    found = flow(case)
    most_finished = found.capacity
    if objective is None or most_finished.mid is None:
        return Estimate(because=("a limit cannot be worked out without the rate at which requests end",))
    running = case.number("requests_running") or (case.known.batch if case.known else 0.0)
    patience = _patience(case.known, objective.limit)
    cap = capacity.queue_cap(most_finished, round(running), patience)
    rate = units.rate(most_finished.mid)
    if cap.mid is None or cap.mid - round(running) < 1:
        return Estimate(because=(f"at {rate} finished even one request that waits misses {label(objective)}",))
    most = cap.mid - round(running)
    lo, hi = most_finished.lo or most_finished.mid, most_finished.hi or most_finished.mid
    over = (found.arrivals or 0.0) / most_finished.mid
    free = min(most, 1 / (over - 1)) if over > 1 else most
    effect = Effect(
        "queue_seconds",
        now=case.number("expected_wait_seconds"),
        lo=max(0.0, most - 2 * free) / hi * (1 - QUEUE_SPREAD),
        mid=(most - free) / most_finished.mid,
        hi=max(most, cap.mid - _fewest(case.known, running)) / lo,
        unit="s",
        basis=most_finished.basis,
        grade=cap.grade,
        assumptions=(f"it goes on finishing {rate}, and more than that comes", "the prefill comes on top of the wait"),
        n=most_finished.n,
        window_seconds=most_finished.window_seconds,
        valid_if=("what is refused is not sent again at once",),
    )
    part = f"{units.value(patience, 's')} of the {units.value(objective.limit, 's')} of {label(objective)}"
    because = [
        (
            f"N = {cap.mid:.0f} ({cap.lo:.0f} to {cap.hi or cap.mid:.0f}): {units.count(round(running))} that run, and "
            f"{most:.0f} that may wait, which at {rate} finished takes {part}"
        )
    ]
    refused = 1 - most_finished.mid / found.arrivals if found.arrivals else 0.0
    if refused > 0:
        because.append(f"what comes above the capacity is refused at once: {units.value(refused, 'ratio')} of it now")
    return Estimate(effect, tuple(because), {"in_flight": f"{cap.mid:.0f}", "queue": f"{most:.0f}"})


def raise_admission(case: Case) -> Estimate:
    """Tell what room there is for what is refused; none where a limit is reached or an objective missed."""
    running, usage = (_newest(case, name) for name in ("requests_running", "kv_cache_usage"))
    told = ([f"{units.count(round(running))} run"] if running is not None else []) + (
        [f"KV is {units.value(usage, 'ratio')}"] if usage is not None else []
    )
    where = f"refused while {' and '.join(told)}: " if told else ""
    if case.present & NO_ROOM or (usage is not None and usage > MOST_CACHE):
        return Estimate(withheld=f"{where}there is no room for more, add capacity")
    return Estimate(because=(f"{where}raise the admission limit, or add capacity",))


def _newest(case: Case, name: str) -> float | None:
    found = case.target.quantities.get(name) if case.target is not None else None
    return None if found is None else found.value


def _fewest(known: Known | None, running: float) -> float:
    """Give the fewest that ran on average over 3 s: a place that is free in the batch is one more in the queue.

    A batch that the slots limit is nearly constant; one that a full KV cache limits is not.
    """
    ran = [each.running for each in known.recent if each.running is not None] if known is not None else []
    return min((*ran, running))


def _patience(known: Known | None, limit: float) -> float:
    """Give the seconds that a request may wait: half of the objective, less where the prefill and a step take more."""
    if known is None or known.fitted is None or known.traffic is None:
        return QUEUE_SHARE * limit
    cost = known.fitted.cost
    return min(QUEUE_SHARE * limit, limit - cost.gamma * known.traffic.prompt - cost.alpha - cost.beta * known.batch)


def raise_slots(case: Case) -> Estimate:
    """Tell what is finished with more slots, and what ITL that costs."""
    known = case.known
    if known is None or not known.recent:
        return Estimate(because=case.needs)
    now = known.slots or max((each.running or 0.0 for each in known.recent), default=0.0)
    by_cache = None if not known.resident or not known.kv_tokens else math.floor(known.kv_tokens / known.resident)
    wanted = _slots_wanted(known, now)
    slots = wanted if by_cache is None else min(wanted, by_cache)
    if slots <= now * 1.05:
        why = f"the KV cache holds {by_cache} requests of this length: more slots would only be preempted"
        return Estimate(withheld=why)
    values = {"slots": str(slots), **({} if known.slots else {"slots_seen": str(round(now))})}
    model, traffic = known.fitted, known.traffic
    if model is None or traffic is None:
        effect = served_at_most(case, slots / now, f"{slots} slots in place of {units.count(now)}") if now else None
        because = ("how much of it comes true, and what ITL it costs, follows from the step times", *case.needs)
        return Estimate(effect, because, values)
    then = capacity.slot_capacity(model, traffic, float(slots))
    cost = model.cost
    batch_itl = (
        cost.alpha
        + cost.beta * slots
        + cost.gamma * traffic.prompt * (then.mid or 0.0) * (cost.alpha + cost.beta * slots)
    )
    because = (
        (
            f"{slots} slots in place of {units.count(now)}: a token then takes up to about "
            f"{units.value(batch_itl, 's')} with all of them taken"
        ),
    )
    return Estimate(served(known.arrivals, known.rate, then), because, values)


def _slots_wanted(known: Known, now: float) -> int:
    """Choose the least number of slots that finish all that comes with some room, twice those of now at most."""
    model, traffic = known.fitted, known.traffic
    if model is None or traffic is None or known.arrivals is None:
        short = known.arrivals / (capacity.PLANNED * known.rate) if known.arrivals and known.rate else _SLOTS_FACTOR
        return math.ceil(now * min(_SLOTS_FACTOR, short))
    slots = math.ceil(now)
    while slots < _SLOTS_FACTOR * now and (
        model.cost.capacity(traffic.prompt, traffic.output, slots) * capacity.PLANNED < known.arrivals
    ):
        slots += max(1, round(0.05 * now))
    return slots
