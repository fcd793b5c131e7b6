"""What queues, replicas and slots would bring: what is finished, how long requests wait."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from insight.estimators import balance, capacity
from insight.estimators.effects import bound, unknown
from insight.estimators.extrapolation import FAR_SHARE, interval
from insight.estimators.forecast import SPREAD, itl_at
from insight.objectives import label
from insight.recommend.case import Estimate
from insight.rules.latency import objective_for
from metrics import units
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Callable

    from insight.estimators.steps import StepCost
    from insight.recommend.case import Case
    from insight.recommend.known import Known

QUEUE_SHARE = 0.5
"""A queue is capped so that waiting takes this share of the TTFT objective: the rest is for the prefill, and for a
queue that is not always equally long. Our own default."""
REPLICA_LOAD = 0.85
"""A replica is planned to work at this share of its capacity, beyond which the luck of arrivals makes queues."""
QUEUE_SPREAD = 0.15
"""A batch is not constant, and what it finishes comes in lumps: our own margin."""
ARRIVALS_SPREAD = 0.1
_SLOTS_FACTOR = 2.0


def served(
    come: float | None, now: float | None, capacity_then: Effect, *, assumed: tuple[str, ...] = ()
) -> Effect | None:
    """Tell what will be finished per second: all that comes, or the new capacity where that is less."""
    if come is None or capacity_then.mid is None or capacity_then.lo is None:
        return None
    lo, mid, hi = (
        min(come * spread, most)
        for spread, most in (
            (1 - ARRIVALS_SPREAD, capacity_then.lo),
            (1.0, capacity_then.mid),
            (1 + ARRIVALS_SPREAD, capacity_then.hi or math.inf),
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
    come = known.arrivals * (1 + ARRIVALS_SPREAD)
    most = min(come, known.rate * growth * (1 + ARRIVALS_SPREAD))
    assumed = (f"{what}: a step grows less than the batch in it", f"{units.rate(known.arrivals)} go on arriving")
    return bound("requests_finished", "1/s", known.rate, min(most, known.rate * (1 - ARRIVALS_SPREAD)), most, assumed)


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
    objective = objective_for("ttft_seconds", case.settings.objectives)
    found = flow(case)
    most_finished = found.capacity
    if objective is None or most_finished.mid is None:
        return Estimate(because=("a limit cannot be worked out without the rate at which requests end",))
    running = case.number("requests_running") or (case.known.batch if case.known else 0.0)
    most = math.floor(most_finished.mid * objective.limit * QUEUE_SHARE)
    rate = units.rate(most_finished.mid)
    if most < 1:
        return Estimate(because=(f"at {rate} finished even one request that waits misses {label(objective)}",))
    lo, hi = most_finished.lo or most_finished.mid, most_finished.hi or most_finished.mid
    in_flight = round(running) + most
    over = (found.arrivals or 0.0) / most_finished.mid
    free = min(float(most), 1 / (over - 1)) if over > 1 else float(most)
    effect = Effect(
        "queue_seconds",
        now=case.number("expected_wait_seconds"),
        lo=max(0.0, most - 2 * free) / hi * (1 - QUEUE_SPREAD),
        mid=(most - free) / most_finished.mid,
        hi=most / lo,
        unit="s",
        basis=most_finished.basis,
        grade=max(Grade.B, most_finished.grade),
        assumptions=(f"it goes on finishing {rate}, and more than that comes", "the prefill comes on top of the wait"),
        n=most_finished.n,
        window_seconds=most_finished.window_seconds,
        valid_if=("what is refused is not sent again at once",),
    )
    because = [
        (
            f"N = {in_flight}: {units.count(running)} that run, and {most} that may wait, which at {rate} finished is "
            f"half of the {units.value(objective.limit, 's')} of {label(objective)}"
        )
    ]
    refused = 1 - most_finished.mid / found.arrivals if found.arrivals else 0.0
    if refused > 0:
        because.append(f"what comes above the capacity is refused at once: {units.value(refused, 'ratio')} of it now")
    return Estimate(effect, tuple(because), {"in_flight": str(in_flight), "queue": str(most)})


def scale_out(case: Case) -> Estimate:
    """Tell how many replicas carry what comes, and what is finished then."""
    found = flow(case)
    one, come = found.capacity, found.arrivals
    if one.mid is None or one.lo is None:
        return Estimate(because=("how many replicas it takes follows from the capacity of one", *case.needs))
    how = "measured under a queue" if one.basis == "measured" else "by its step times"
    said = f"one replica finishes {units.rate(one.mid)} ({how})"
    if come is None:
        return Estimate(because=(said, "how many requests come is not known"))
    replicas = max(2, math.ceil(come / (REPLICA_LOAD * one.lo)))
    together = Effect(
        "requests_finished",
        now=None,
        lo=replicas * one.lo,
        mid=replicas * one.mid,
        hi=None if one.hi is None else replicas * one.hi,
        unit="1/s",
        basis="model",
        grade=max(Grade.B, one.grade),
        assumptions=(*one.assumptions, "the load is spread evenly"),
        n=one.n,
        window_seconds=one.window_seconds,
    )
    share = units.value(come / (replicas * one.mid), "ratio")
    because = (f"{said}, {units.rate(come)} arrive: {replicas} of them work at {share}",)
    effect = served(come, one.now, together, assumed=(f"{replicas} replicas alike",))
    return Estimate(effect, because, {"replicas": str(replicas)})


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
    values = {"slots": str(slots)}
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
        short = known.arrivals / (REPLICA_LOAD * known.rate) if known.arrivals and known.rate else _SLOTS_FACTOR
        return math.ceil(now * min(_SLOTS_FACTOR, short))
    slots = math.ceil(now)
    while slots < _SLOTS_FACTOR * now and (
        model.cost.capacity(traffic.prompt, traffic.output, slots) * REPLICA_LOAD < known.arrivals
    ):
        slots += max(1, round(0.05 * now))
    return slots


def balance_load(case: Case) -> Estimate:
    """Tell the ITL over all tokens if each replica got the same."""
    known, target = case.known, case.target
    finished = target.quantities.get("requests_finished") if target else None
    rates = [
        part.rate
        for name, part in (finished.by if finished else {}).items()
        if name.startswith("engine=") and part.rate is not None and "reason" not in name
    ]
    if known is None or known.fitted is None or known.traffic is None or len(rates) < 2:
        return Estimate(because=("what balance brings follows from the step times of one replica", *case.needs))
    model, traffic = known.fitted, known.traffic
    # Fitted on the sum of n engines, whose requests do not share steps: one of them has n times that beta and gamma.
    n = len(rates)

    def forecast_by(cost: StepCost) -> Callable[[float], float | None]:
        one = replace(cost, beta=cost.beta * n, gamma=cost.gamma * n)
        return lambda rate: itl_at(model, rate, traffic.prompt, traffic.output, one)

    effect = balance.balanced(
        rates, forecast_by(model.cost), [forecast_by(each) for each in model.replicates[:SPREAD]], now=known.itl
    )
    if effect.mid is None or effect.lo is None or effect.hi is None:
        return Estimate(because=(f"to be measured: {effect.needs}",))
    lo, hi = interval(effect.mid, [effect.lo, effect.hi], FAR_SHARE)
    return Estimate(replace(effect, lo=lo, hi=hi, grade=Grade.C))
