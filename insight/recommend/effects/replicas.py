"""What more, fewer or evenly loaded replicas would bring: what is finished, how long tokens take, what a day takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight.estimators import balance, capacity, forecast, kv_capacity, scaling
from insight.estimators.effects import unknown
from insight.estimators.extrapolation import FAR_SHARE, interval
from insight.estimators.scaling import Policy
from insight.recommend.case import Estimate
from insight.recommend.day import STEP
from insight.recommend.effects.batch import flow, served
from metrics import units
from metrics.effect import Grade

if TYPE_CHECKING:
    from collections.abc import Callable

    from insight.estimators.steps import StepCost
    from insight.recommend.case import Case
    from metrics.effect import Effect

START_SECONDS = 300.0
"""From the decision for a replica to its first token, where nobody measured it: weights are read, graphs captured."""
SLOW_TOKENS = frozenset(("itl_slo", "tpot_slo"))
"""Findings that fewer requests on each replica answer, by shorter steps."""


def scale_out(case: Case) -> Estimate:
    """Tell how many replicas carry what comes, and what is finished, or how long a token takes, then."""
    found = flow(case)
    one, come = found.capacity, found.arrivals
    if one.mid is None:
        return Estimate(because=("how many replicas it takes follows from the capacity of one", *case.needs))
    how = "measured under a queue" if one.basis == "measured" else "by its step times"
    said = f"one replica finishes {units.rate(one.mid)} ({how})"
    if not come:
        return Estimate(because=(said, "how many requests come is not known"))
    within = case.known.within if case.known is not None else unknown("requests_finished", "1/s", "step times")
    carries = capacity.carried(one, within)
    needed = capacity.replicas(carries, come, 1.0)
    if needed.hi is None:
        return Estimate(because=(said, f"to be measured: {needed.needs}"))
    replicas = max(2, round(needed.hi))
    spread = f" ({needed.lo:.0f} to {needed.hi:.0f} by the interval of what one carries)"
    because = (
        (
            f"{said}, {units.rate(come)} arrive: {replicas} of them work at "
            f"{units.value(come / (replicas * one.mid), 'ratio')}{spread if needed.lo not in {None, needed.hi} else ''}"
        ),
    )
    effect = _shorter_steps(case, come / replicas) if case.risk.id in SLOW_TOKENS else None
    return Estimate(effect or _finished(one, come, replicas), because, {"replicas": str(replicas)})


def _finished(one: Effect, come: float, replicas: int) -> Effect | None:
    """Tell what so many finish together."""
    lo, mid, hi = (None if each is None else replicas * each for each in (one.lo, one.mid, one.hi))
    together = replace(
        one,
        now=None,
        lo=lo,
        mid=mid,
        hi=hi,
        basis="model",
        grade=max(Grade.B, one.grade),
        assumptions=(*one.assumptions, "the load is spread evenly"),
    )
    return served(come, one.now, together, assumed=(f"{replicas} replicas alike",))


def _shorter_steps(case: Case, rate: float) -> Effect | None:
    """Tell the mean ITL of a replica at its share of the requests; None where that cannot be told, or is no less."""
    known = case.known
    if known is None or known.fitted is None or known.traffic is None or known.itl is None:
        return None
    found = forecast.itl(known.fitted, known.traffic.at(rate), known.limits, known.itl, simulated=False)
    return found if found.mid is not None and found.mid < known.itl else None


def scale_in(case: Case) -> Estimate:
    """Tell the replica hours that the busiest ten minutes of the last day needed, all day."""
    return _replayed(case, None)


def dynamic_scaling(case: Case) -> Estimate:
    """Tell the replica hours of a number of replicas that had followed the last day."""
    return _replayed(case, Policy(START_SECONDS))


def _replayed(case: Case, policy: Policy | None) -> Estimate:
    days = [each.day for each in case.alike]
    if not days or case.known is None or not all(days):
        return Estimate(because=("to be measured: a day of load at least, on every server of this model",))
    rates = [sum(each) for each in zip(*days, strict=True)]
    effect = scaling.spent(rates, STEP, len(days), case.known.carries, policy)
    if effect.basis == "unknown":
        return Estimate(because=(f"to be measured: {effect.needs}",))
    because = f"the last day's busiest {units.duration(STEP)} had {units.rate(max(rates))} over {len(days)} servers"
    start = f"a start is taken to last {units.duration(START_SECONDS)}, which was not measured"
    return Estimate(effect, (because,) if policy is None else (because, start))


def balance_load(case: Case) -> Estimate:
    """Tell the ITL over all tokens if each engine got the same; where a queue stands, how much would be finished."""
    known, rates = case.known, _by_engine(case)
    if known is None or known.fitted is None or known.traffic is None or len(rates) < 2:
        return Estimate(because=("what balance brings follows from the step times of one replica", *case.needs))
    because = (f"the busiest of {len(rates)} engines gets {units.value(max(rates) / sum(rates), 'ratio')} of them",)
    if known.drain is not None:
        # What is measured now is the capacity of the uneven spread.
        batch = kv_capacity.largest_batch(known.slots, known.kv_tokens, known.resident)
        even = capacity.slot_capacity(known.fitted, known.traffic, batch)
        return Estimate(served(known.arrivals, known.rate, even, assumed=("engines alike",)), because)
    model, traffic = known.fitted, known.traffic
    # Fitted on the sum of n engines, whose requests do not share steps: one of them has n times that beta and gamma.
    n = len(rates)

    def forecast_by(cost: StepCost) -> Callable[[float], float | None]:
        one = replace(cost, beta=cost.beta * n, gamma=cost.gamma * n)
        return lambda rate: forecast.itl_at(model, rate, traffic.prompt, traffic.output, one)

    others = [forecast_by(each) for each in model.replicates[: forecast.SPREAD]]
    effect = balance.balanced(rates, forecast_by(model.cost), others, now=known.itl)
    if effect.mid is None or effect.lo is None or effect.hi is None:
        return Estimate(because=(*because, f"to be measured: {effect.needs}"))
    lo, hi = interval(effect.mid, [effect.lo, effect.hi], FAR_SHARE)
    return Estimate(replace(effect, lo=lo, hi=hi, grade=Grade.C), because)


def _by_engine(case: Case) -> list[float]:
    """List the requests per second that got their first token, by engine; [] where these are not told apart."""
    began = case.target.quantities.get("ttft_seconds") if case.target else None
    if began is None or not began.window_seconds:
        return []
    counts = [part.count for label, part in began.by.items() if label.startswith("engine=") and "," not in label]
    rates = [each / began.window_seconds for each in counts if each is not None]
    return rates if sum(rates) > 0 else []
