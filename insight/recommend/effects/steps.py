"""What a change of the engine's steps would bring: token budget, parallelism, precision, speculation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.estimators import capacity, drift, kv_capacity, speculation
from insight.estimators.effects import bound
from insight.estimators.extrapolation import BOUND_SHARE
from insight.estimators.forecast import itl_at
from insight.estimators.steps import StepCost
from insight.estimators.traffic import observed
from insight.objectives import label
from insight.recommend.case import Estimate
from insight.rules.latency import objective_for
from metrics import units

if TYPE_CHECKING:
    from insight.recommend.case import Case
    from insight.recommend.known import Known
    from metrics.effect import Effect


def token_budget(case: Case) -> Estimate:
    """Choose the largest token budget whose longest step keeps the ITL objective (E5)."""
    known, objective = case.known, objective_for("itl_seconds", case.settings.objectives)
    if known is None or known.fitted is None or known.traffic is None or objective is None:
        return Estimate(because=("how long a step with a full budget takes follows from the step times", *case.needs))
    rows = capacity.prefill_budgets(known.fitted, max(1.0, known.batch), known.traffic.prompt)
    if not rows:
        return Estimate(because=("to be measured: what a prompt token costs by itself, at light load",))
    table = "; ".join(f"{row.tokens}: {units.value(row.worst_itl.mid, 's')}" for row in rows)
    chosen = capacity.largest_within(rows, objective.limit)
    because: tuple[str, ...] = (f"longest step by token budget: {table}",)
    if chosen is None:
        why = f"even {rows[0].tokens} tokens a step take longer than the {units.value(objective.limit, 's')} of "
        return Estimate(because=(*because, f"{why}{label(objective)}: fewer requests at once, or more GPUs"))
    stated = case.target.facts.get("flag_max_num_batched_tokens", "") if case.target else ""
    bound_by_it = case.risk.id == "token_budget_bound"
    if stated.isdecimal() and (int(stated) >= chosen.tokens if bound_by_it else int(stated) <= chosen.tokens):
        room = "with more of them steps miss" if bound_by_it else "with which steps keep"
        return Estimate(withheld=f"the budget is {stated} tokens, {room} {label(objective)}")
    if chosen.extra_ttft:
        because = (*because, f"a prompt of mean length then takes {units.value(chosen.extra_ttft, 's')} longer")
    return Estimate(chosen.worst_itl, because, {"budget": str(chosen.tokens)})


def shorten_prefill(case: Case) -> Estimate:
    """Say what of TTFT is prefill: the most that a shorter one can bring."""
    known = case.known
    if known is None or known.fitted is None or known.traffic is None:
        return Estimate(because=("what of TTFT is prefill follows from the step times", *case.needs))
    seconds = units.value(known.fitted.cost.gamma * known.traffic.prompt, "s")
    ttft = case.target.quantities.get("ttft_seconds") if case.target else None
    by_itself = f"working on a prompt of mean length takes {seconds} by itself: at least so much of TTFT goes with it"
    because = [f"{by_itself}, and more, because the steps of the others get shorter too"]
    if ttft is not None and ttft.mean:
        because.append(f"TTFT is {units.value(ttft.mean, 's')} on average now")
    return Estimate(because=tuple(because))


def parallelise(case: Case) -> Estimate:
    """Bound what tensor parallelism brings: half of every part of a step at best, less what it costs to talk."""
    known = case.known
    if known is None or known.fitted is None or known.itl is None:
        return Estimate(because=("what of a step is fixed follows from the step times", *case.needs))
    assumed = "twice the GPUs halve every part of a step at best; what they tell each other is not known"
    return Estimate(_halved(known, assumed))


def _halved(known: Known, assumed: str) -> Effect | None:
    """Bound ITL by that of an engine whose steps cost half in every part: nothing that halves one of them does better.

    A shorter step collects fewer requests, which makes the next one shorter again: so it is less than half.
    """
    model, traffic = known.fitted, known.traffic
    if model is None or traffic is None or known.itl is None:
        return None
    cost = model.cost
    half = StepCost(cost.alpha / 2, cost.beta / 2, cost.gamma / 2)
    rate = traffic.rate if known.arrivals is None else known.arrivals
    least = itl_at(model, rate, traffic.prompt, traffic.output, half)
    if least is None:
        return None
    return bound("itl_seconds", "s", known.itl, min(least * (1 - BOUND_SHARE), known.itl), known.itl, (assumed,))


def quantise_weights(case: Case) -> Estimate:
    """Withhold it where nobody would see what it does to the answers."""
    if not case.settings.imported_quality and not _graded(case):
        return Estimate(withheld="what it does to the answers would not be seen: watch --quality before and after")
    known = case.known
    if known is None or known.fitted is None or known.itl is None:
        return Estimate(because=("what of a step is reading weights follows from the step times", *case.needs))
    return Estimate(_halved(known, "half the bytes halve every part of a step at best"))


def speculation_off(case: Case) -> Estimate:
    """Say below which step time without it speculation does not pay."""
    length, known = _accepted(case), case.known
    if known is None or known.itl is None:
        return Estimate(because=("to be measured: ITL with it off, at this load",))
    effect = speculation.switched_off(length, known.itl * (length.value if length else 1.0))
    because = []
    if length is not None:
        span = f"{units.digits(length.value)} tokens a step ({units.digits(length.lo)} to {units.digits(length.hi)})"
        thrown = f", {length.waste * 100:.0f} % of what is drafted is thrown away" if length.waste is not None else ""
        because.append(f"{span} by {units.count(length.drafts)} drafts{thrown}")
    return Estimate(because=(*because, f"to be measured: {effect.needs}"))


def speculation_on(case: Case) -> Estimate:
    """Withhold it under load: drafts then take the place of other requests' tokens."""
    known = case.known
    if known is not None and known.load.mid is not None and known.load.mid > 0.5:
        load = units.value(known.load.mid, "ratio")
        return Estimate(withheld=f"the engine is at a load of {load}: drafts would take time from other requests")
    return Estimate(because=("to be measured: the accepted length on this traffic",))


def retune(case: Case) -> Estimate:
    """Say what the traffic of now needs, by the step times."""
    known = case.known
    if known is None or known.capacity.mid is None or known.arrivals is None:
        return Estimate(because=("what the new traffic needs follows from the step times", *case.needs))
    headroom = known.headroom.mid if known.headroom.mid is not None else known.headroom.lo
    words = "" if headroom is None else f": {units.value(headroom, 'ratio')} more would fit"
    most, come = units.rate(known.capacity.mid), units.rate(known.arrivals)
    because = (f"of the traffic of now the server can finish {most}, {come} come{words}",)
    moved = _moved(known) if case.risk.id == "model_drift" else ""
    return Estimate(because=(*because, moved) if moved else because)


def _moved(known: Known) -> str:
    """Say what the lengths of now mean for the capacity, against those of the first half of what was watched."""
    batch = kv_capacity.largest_batch(known.slots, known.kv_tokens, known.resident)
    then = observed(known.before[: len(known.before) // 2])
    if known.fitted is None or known.traffic is None or batch is None or then is None:
        return ""
    before, now = (capacity.slot_capacity(known.fitted, each, batch).mid for each in (then, known.traffic))
    requests, seconds = (math.fsum(getattr(each, of) for each in known.recent) for of in ("ttft_count", "seconds"))
    found = drift.capacity_effect(before, now, requests, seconds)
    if found.lo is None or found.mid is None or found.hi is None:
        return f"what the lengths of now do to its capacity is not known: needs {found.needs}"
    span = f"{units.digits(found.lo)} to {units.rate(found.hi)}, grade {found.grade.value}"
    return (
        f"at {units.count(round(batch))} requests at once the lengths of before allowed {units.rate(found.now)}, those "
        f"of now {units.rate(found.mid)} ({span})"
    )


def _graded(case: Case) -> bool:
    return bool(case.target and "quality" in case.target.facts)


def _accepted(case: Case) -> speculation.AcceptedLength | None:
    quantities = case.target.quantities if case.target else {}
    counts = [quantities.get(each) for each in ("spec_drafts", "spec_accepted_tokens", "spec_draft_tokens")]
    drafts, accepted, drafted = (each.increase if each is not None else None for each in counts)
    if not drafts or accepted is None or math.isnan(drafts):
        return None
    return speculation.accepted_length(drafts, accepted, drafted)
