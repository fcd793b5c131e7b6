"""How loaded a server is and how much it can take: measured where it was saturated, else by its step-time model."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from insight.estimators.effects import Z90, bound, unknown
from insight.estimators.extrapolation import (
    BOUND_SHARE,
    NEAR,
    NEAR_SHARE,
    SATURATED,
    interval,
    mix_refused,
    modelled,
    systematic,
)
from insight.estimators.step_time import LIGHT_DECODING, MIN_TOKENS, NoStepTime, StepTime
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Iterable

    from insight.estimators.traffic import Traffic
    from insight.estimators.windows import StepWindow

MIN_SATURATED = 10
"""So many windows with a queue and full slots make a measured capacity: 30 s."""
FULL_SLOTS = 0.95
"""Slots count as full from this share on: the gauge is set between the end of one request and the next one's begin."""
BUSY_RUNNING = 5.0
"""With so many running in the mean, and always one, an engine does not idle, and time / steps is the time of a step."""
PLANNED = 0.85
"""A replica is planned to work at this share of its capacity, beyond which the luck of arrivals makes queues."""
BUDGETS = (512, 1024, 2048, 4096, 8192)
_RATE = "requests_finished"


def load(model: StepTime | NoStepTime, traffic: Traffic, windows: Iterable[StepWindow] = ()) -> Effect:
    """Tell the load rho = rate * (beta G + gamma P): the share of time that steps are lengthened by requests.

    Without a model at least 1 - (ITL at light load) / (step time now), from `windows`: both are measured.
    """
    if isinstance(model, NoStepTime):
        return _load_at_least(model, list(windows))
    needs = mix_refused(model, traffic.prompt, traffic.output)
    if needs:
        return unknown("load", "ratio", needs)
    mid = traffic.rate * model.cost.work(traffic.prompt, traffic.output)
    drawn = [traffic.rate * each.work(traffic.prompt, traffic.output) for each in model.replicates]
    lo, hi = interval(mid, drawn, NEAR_SHARE)
    assumed = ("near saturation",) if mid > SATURATED else ()
    return modelled(model, "load", "ratio", mid, (lo, mid, hi), Grade.B, assumed)


def _load_at_least(refused: NoStepTime, windows: list[StepWindow]) -> Effect:
    light = [each.itl for each in windows if each.decoding < LIGHT_DECODING and each.itl_count >= MIN_TOKENS]
    busy = [each for each in windows if (each.running or 0.0) >= BUSY_RUNNING and (each.running_min or 0.0) >= 1.0]
    steps = sum(each.steps or 0.0 for each in busy)
    if not light or not steps:
        return unknown("load", "ratio", refused.needs)
    step = sum(each.seconds for each in busy) / steps
    assumed = (f"a step takes {step * 1e3:.3g} ms, and at light load a token {min(light) * 1e3:.3g} ms", refused.reason)
    return bound("load", "ratio", None, max(0.0, 1.0 - min(light) / step), None, assumed)


def slot_capacity(model: StepTime, traffic: Traffic, slots: float | None) -> Effect:
    """Predict the rate with all slots taken, b / (G (alpha + beta b) + gamma P b).

    `slots` is the lesser of the server's limit and of what its KV cache holds; None where nobody knows: then, and far
    beyond what was seen, at least the rate at twice the batch that was seen, less 10 %.
    """
    needs = mix_refused(model, traffic.prompt, traffic.output)
    if needs:
        return unknown(_RATE, "1/s", needs, traffic.rate)
    allowed = None if slots is None else systematic(model, slots)
    if slots is None or allowed is None:
        batch = NEAR * model.batch if slots is None else min(slots, NEAR * model.batch)
        least = model.cost.capacity(traffic.prompt, traffic.output, batch) * (1 - BOUND_SHARE)
        reason = (
            "the most that may run at once is not known" if slots is None else f"{slots:.0f} slots are far beyond it"
        )
        return bound(_RATE, "1/s", traffic.rate, least, None, (f"seen up to {model.batch:.1f} decoding", reason))
    mid = model.cost.capacity(traffic.prompt, traffic.output, slots)
    drawn = [each.capacity(traffic.prompt, traffic.output, slots) for each in model.replicates]
    lo, hi = interval(mid, drawn, allowed[0])
    assumed = (f"{slots:.0f} requests run at once", f"{slots / model.batch:.1f} times the batch that was seen")
    return modelled(model, _RATE, "1/s", traffic.rate, (lo, mid, hi), allowed[1], assumed)


def measured_capacity(windows: Iterable[StepWindow], slots: float | None) -> Effect:
    """Measure the capacity: what finished while a queue stood and the slots were full all the time (grade A).

    Where the slots are not known, those count as full that are as many as ever ran.
    """
    seen = [each for each in windows if each.running is not None and each.waiting_min is not None]
    most = slots or max((each.running or 0.0 for each in seen), default=0.0)
    full = [each for each in seen if (each.waiting_min or 0.0) >= 1 and (each.running or 0.0) >= FULL_SLOTS * most]
    if len(full) < MIN_SATURATED or not most:
        return unknown(_RATE, "1/s", f"{MIN_SATURATED} windows of 3 s with a queue and all slots taken")
    seconds = sum(each.seconds for each in full)
    rate = sum(each.finished for each in full) / seconds
    # What one window finishes too late the next has more, so the spread of single windows is an upper bound.
    half = Z90 * stdev(each.finished / each.seconds for each in full) / math.sqrt(len(full))
    return Effect(
        _RATE,
        now=rate,
        lo=max(0.0, rate - half),
        mid=rate,
        hi=rate + half,
        unit="1/s",
        basis="measured",
        grade=Grade.A,
        assumptions=(f"a queue stood, {fmean(each.running or 0.0 for each in full):.0f} requests ran",),
        n=sum(each.finished for each in full),
        window_seconds=seconds,
        valid_if=("prompts and outputs stay as they are",),
    )


def headroom(capacity: Effect, rate: float) -> Effect:
    """Tell by how much the rate may grow to a capacity or objective limit: capacity / rate - 1."""
    if rate <= 0 or capacity.basis == "unknown":
        return unknown("headroom", "ratio", capacity.needs or "requests")
    lo, mid, hi = (None if each is None else each / rate - 1.0 for each in (capacity.lo, capacity.mid, capacity.hi))
    return Effect(
        "headroom",
        now=mid,
        lo=lo,
        mid=mid,
        hi=hi,
        unit="ratio",
        basis=capacity.basis,
        grade=capacity.grade,
        assumptions=capacity.assumptions,
        n=capacity.n,
        window_seconds=capacity.window_seconds,
        valid_if=capacity.valid_if,
    )


def carried(most: Effect, within: Effect) -> Effect:
    """Tell what one replica is planned to carry: 85 % of its capacity, or the rate within the ITL objective if less."""
    if most.lo is None:
        return unknown(_RATE, "1/s", most.needs or "the capacity", most.now)
    lo, mid, hi = (None if each is None else PLANNED * each for each in (most.lo, most.mid, most.hi))
    planned = replace(
        most, lo=lo, mid=mid, hi=hi, assumptions=(*most.assumptions, f"planned for {PLANNED:.0%} of the capacity")
    )
    held = within.mid is not None and (mid is None or within.mid < mid)
    return within if held else planned


def replicas(one: Effect, rate: float, now: float | None = None) -> Effect:
    """Predict how many replicas carry `rate` (requests/s) together, from what one of them carries (`carried`).

    The load is spread evenly; shared prefixes may hit less in each replica's cache.
    """
    quantity = "replicas"
    if not one.lo:
        return unknown(quantity, "1", one.needs or "an objective that one request alone keeps", now)
    most = math.ceil(rate / one.lo)
    if one.mid is None or one.hi is None:
        return bound(quantity, "1", now, None, most, one.assumptions, one.n, one.window_seconds)
    return Effect(
        quantity,
        now=now,
        lo=math.ceil(rate / one.hi),
        mid=math.ceil(rate / one.mid),
        hi=most,
        unit="1",
        basis=one.basis,
        grade=max(Grade.B, one.grade),
        assumptions=(*one.assumptions, "the load is spread evenly"),
        n=one.n,
        window_seconds=one.window_seconds,
        valid_if=one.valid_if,
    )


def queue_cap(capacity: Effect, running: float, patience: float) -> Effect:
    """Predict the requests in flight with which one that is let in waits `patience` seconds at most.

    By Little's law capacity * patience in the queue; and those that run on top, because vLLM's `--max-num-queued-reqs`
    (0.32) limits what waits and what runs together.
    """
    quantity = "requests_in_flight"
    if not capacity.lo or capacity.mid is None:
        return unknown(quantity, "1", capacity.needs or "the capacity")
    lo, mid, hi = (
        None if each is None else running + math.floor(each * patience)
        for each in (capacity.lo, capacity.mid, capacity.hi)
    )
    return Effect(
        quantity,
        now=None,
        lo=lo,
        mid=mid,
        hi=hi,
        unit="1",
        basis=capacity.basis,
        grade=max(Grade.B, capacity.grade),
        assumptions=(f"{running:.0f} run, the others wait at most {patience:.3g} s", *capacity.assumptions),
        n=capacity.n,
        window_seconds=capacity.window_seconds,
        valid_if=capacity.valid_if,
    )


class Budget(Struct, frozen=True):
    """One token budget of a step (E5)."""

    tokens: int
    worst_itl: Effect
    """The longest step: alpha + beta b + gamma (budget - b), in seconds."""
    extra_ttft: float
    """Seconds that a prompt of the mean length takes longer because it is worked on in chunks."""


def prefill_budgets(
    model: StepTime, batch: float, prompt: float, budgets: tuple[int, ...] = BUDGETS
) -> tuple[Budget, ...]:
    """Work out the table of token budgets with `batch` requests decoding; empty where gamma by itself is not known."""
    if not (model.direct or model.tells_apart):
        return ()
    allowed = systematic(model, batch)
    if allowed is None:
        return ()
    rows = []
    for tokens in budgets:
        share = max(0.0, tokens - batch)
        costs = [each.alpha + each.beta * batch + each.gamma * share for each in (model.cost, *model.replicates)]
        lo, hi = interval(costs[0], costs[1:], allowed[0])
        assumed = (f"{batch:.0f} requests decode", f"{tokens} tokens a step")
        worst = modelled(model, "longest_step_seconds", "s", None, (lo, costs[0], hi), allowed[1], assumed)
        chunks = math.ceil(prompt / share) if share else 0
        rows.append(Budget(tokens, worst, max(0, chunks - 1) * (model.cost.alpha + model.cost.beta * batch)))
    return tuple(rows)


def largest_within(budgets: tuple[Budget, ...], limit: float) -> Budget | None:
    """Choose the largest budget whose longest step certainly stays within `limit` seconds; None where none does."""
    fitting = [each for each in budgets if each.worst_itl.hi is not None and each.worst_itl.hi <= limit]
    return max(fitting, key=lambda each: each.tokens, default=None)
