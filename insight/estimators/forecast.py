"""What a step-time model foretells: ITL and TTFT at another load, the load that an objective allows.

The centre is the step simulation, which holds on a real engine; the spread is that of the resampled fits by the closed
form of second order, which has the same shape and costs a hundredth; and the systematic error of `extrapolation`.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from insight.estimators.effects import bound, unknown
from insight.estimators.extrapolation import (
    BOUND_SHARE,
    SATURATED,
    interval,
    mix_refused,
    modelled,
    systematic,
)
from insight.estimators.steps import second_order, simulate
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Callable

    from insight.estimators.step_time import StepTime
    from insight.estimators.steps import Limits, Outcome, StepCost
    from insight.estimators.traffic import Traffic

SIMULATED_REQUESTS, WARM_UP_SECONDS = 20_000, 60.0
"""So many make the mean ITL of the long run good to 1 % at a load of 0.75 (5 % with 5000)."""
SPREAD = 40
"""Resampled fits that an interval is made of."""
LUCK = 80
"""Draws of a predictive interval: a fit and its own arrivals each."""
_ITL, _RATE = "itl_seconds", "requests_finished"
_HALVINGS = 14


def itl_at(model: StepTime, rate: float, prompt: float, output: float, cost: StepCost | None = None) -> float | None:
    """Give the mean ITL in seconds by the closed form, 1-6 % low; None where the load is above 0.85.

    `cost` is one of `model.replicates` in place of the fit itself.
    """
    of = cost or model.cost
    return None if rate * of.work(prompt, output) > SATURATED else second_order(of, rate, prompt, output)


def itl(
    model: StepTime,
    traffic: Traffic,
    limits: Limits,
    now: float | None = None,
    *,
    simulated: bool = True,
    seed: int = 0,
) -> Effect:
    """Predict the mean ITL in the long run under this traffic; not `simulated`, its centre is the closed form."""
    refused = _refused(model, traffic, _ITL, "s", now)
    if refused is not None:
        return refused
    mid = _long_run(model.cost, traffic, limits, simulated=simulated, seed=seed)
    allowed = systematic(model, 1.0 + traffic.rate * (traffic.output - 1.0) * mid)
    if allowed is None:
        return unknown(_ITL, "s", "windows at a load nearer to the one asked about", now)
    share, grade = allowed
    closed = _closed(model.cost, traffic)
    lo, hi = interval(mid, [mid * _closed(each, traffic) / closed for each in model.replicates[:SPREAD]], share)
    assumed = (_arrivals(traffic), "by step simulation" if simulated else "by the closed form of second order")
    return modelled(model, _ITL, "s", now, (lo, mid, hi), grade, assumed)


def predictive(
    model: StepTime,
    traffic: Traffic,
    limits: Limits,
    seconds: float,
    *,
    warm_up: float = WARM_UP_SECONDS,
    seed: int = 0,
) -> Effect:
    """Predict the mean ITL that a window of so many seconds will show: what is left open, and the luck of arrivals.

    At a load of 0.75 the mean ITL over 75 s lies between -20 and +25 % of that of the long run by arrivals alone. So
    this, and no single value, is what a measurement is held against.
    """
    if not model.replicates or traffic.rate * model.cost.work(traffic.prompt, traffic.output) >= 1.0:
        return unknown(_ITL, "s", "a load below saturation")
    draw = random.Random(seed)
    seen: list[float] = []
    for _ in range(LUCK):
        cost = draw.choice(model.replicates)
        found = simulate(cost, traffic, limits, seconds, warm_up=warm_up, seed=draw.getrandbits(32))
        if found.itl is not None:
            seen.append(found.itl)
    if not seen:
        return unknown(_ITL, "s", "a window long enough for a request")
    mid = sum(seen) / len(seen)
    allowed = systematic(model, 1.0 + traffic.rate * (traffic.output - 1.0) * mid)
    if allowed is None:
        return unknown(_ITL, "s", "windows at a load nearer to the one asked about")
    lo, hi = interval(mid, seen, allowed[0])
    assumed = (_arrivals(traffic), f"over {seconds:.0f} s, the luck of arrivals included")
    return modelled(model, _ITL, "s", None, (lo, mid, hi), allowed[1], assumed)


def rate_within(
    model: StepTime, traffic: Traffic, limits: Limits, limit: float, *, simulated: bool = True, seed: int = 0
) -> Effect:
    """Predict the rate at which the mean ITL is at `limit` seconds, for the mix of `traffic`.

    `lo` alone where the limit is only reached beyond what can be said: near saturation, or far beyond what was seen.
    """
    now = traffic.rate
    needs = mix_refused(model, traffic.prompt, traffic.output)
    if needs:
        return unknown(_RATE, "1/s", needs, now)
    assumed = (f"mean ITL of at most {limit * 1e3:.3g} ms", _arrivals(traffic))
    if limit <= model.cost.alpha + model.cost.beta:
        alone = "a single request alone takes longer than that for a token"
        return modelled(model, _RATE, "1/s", now, (0.0, 0.0, 0.0), Grade.B, (*assumed, alone))
    most = SATURATED / model.cost.work(traffic.prompt, traffic.output)
    wanted = limit
    mid = _rate_at(model.cost, traffic, wanted, most)
    for _ in range(2 if simulated else 0):
        # The closed form has the shape, the simulation the level: so the limit is moved by how far they are apart.
        there = _long_run(model.cost, traffic.at(mid), limits, simulated=True, seed=seed)
        wanted = limit * _closed(model.cost, traffic.at(mid)) / there
        mid = _rate_at(model.cost, traffic, wanted, most)
    if mid >= most * 0.999:
        return bound(
            _RATE, "1/s", now, most * (1 - BOUND_SHARE), None, (*assumed, "beyond it the server is near saturation")
        )
    allowed = systematic(model, 1.0 + mid * (traffic.output - 1.0) * limit)
    if allowed is None:
        least = _rate_at_batch(model, traffic, 2 * model.batch)
        return bound(
            _RATE, "1/s", now, min(least, mid) * (1 - BOUND_SHARE), None, (*assumed, "far beyond what was seen")
        )
    lo, hi = interval(mid, _rates_at(model, traffic.at(mid)), allowed[0])
    return modelled(model, _RATE, "1/s", now, (lo, mid, hi), allowed[1], assumed)


def _refused(model: StepTime, traffic: Traffic, quantity: str, unit: str, now: float | None) -> Effect | None:
    """Say why a forecast is not made for this traffic; None where it may be made."""
    needs = mix_refused(model, traffic.prompt, traffic.output)
    if needs:
        return unknown(quantity, unit, needs, now)
    work = model.cost.work(traffic.prompt, traffic.output)
    if traffic.rate * work <= SATURATED:
        return None
    note = f"near saturation: the load would be {traffic.rate * work:.2f}"
    if quantity != _ITL:
        return unknown(quantity, unit, f"a load below {SATURATED}, here it would be {traffic.rate * work:.2f}", now)
    least = _closed(model.cost, traffic.at(SATURATED / work)) * (1 - BOUND_SHARE)
    return bound(quantity, unit, now, least, None, (note,))


def _closed(cost: StepCost, traffic: Traffic) -> float:
    """Give the closed form, at a load just below 1 where it is that or more."""
    rate = min(traffic.rate, 0.98 / cost.work(traffic.prompt, traffic.output))
    return second_order(cost, rate, traffic.prompt, traffic.output) or math.inf


def _simulated(cost: StepCost, traffic: Traffic, limits: Limits, seed: int) -> Outcome:
    seconds = SIMULATED_REQUESTS / traffic.rate if traffic.rate > 0 else WARM_UP_SECONDS
    return simulate(cost, traffic, limits, seconds, warm_up=WARM_UP_SECONDS, seed=seed)


def _long_run(cost: StepCost, traffic: Traffic, limits: Limits, *, simulated: bool, seed: int) -> float:
    if simulated:
        found = _simulated(cost, traffic, limits, seed).itl
        if found is not None:
            return found
    return _closed(cost, traffic)


def _rate_at(cost: StepCost, traffic: Traffic, limit: float, most: float) -> float:
    """Find the rate, up to `most`, at which the closed form is at `limit`."""
    return _bisect(lambda rate: _closed(cost, traffic.at(rate)) > limit, most)


def _rates_at(model: StepTime, traffic: Traffic) -> list[float]:
    """Give the rates at which the resampled fits have the ITL that the fit has at the rate of `traffic`.

    By the slope there, d ln ITL / d ln rate: to find each by halving costs fourteen times as much, 40 ms.
    """
    mid, step = traffic.rate, 0.02
    here = _closed(model.cost, traffic)
    slope = math.log(_closed(model.cost, traffic.at(mid * (1 + step))) / here) / math.log1p(step)
    closed = (_closed(each, traffic) for each in model.replicates[:SPREAD])
    return [mid * math.pow(here / each, 1 / max(slope, 0.05)) for each in closed if each > 0]


def _rate_at_batch(model: StepTime, traffic: Traffic, batch: float) -> float:
    """Find the rate at which 1 + D is `batch` by the closed form."""

    def above(rate: float) -> bool:
        return 1.0 + rate * (traffic.output - 1.0) * _closed(model.cost, traffic.at(rate)) > batch

    return _bisect(above, SATURATED / model.cost.work(traffic.prompt, traffic.output))


def _bisect(above: Callable[[float], bool], most: float) -> float:
    """Find where `above` begins to hold between 0 and `most`."""
    low, high = 0.0, most
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if above(middle) else (middle, high)
    return (low + high) / 2


def _arrivals(traffic: Traffic) -> str:
    return f"Poisson arrivals, {traffic.prompt:.0f} prompt tokens worked on and {traffic.output:.0f} output tokens"
