"""E13: how many replicas the load needs, what fixed and following numbers of them would save, and what a start costs.

Nothing is forecast: a policy is replayed on the rates that were recorded, with the start delay that was measured. What
a replica carries within the objective comes from the step-time model, with its interval.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.effects import unknown
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = 86_400.0
WEEK = 7 * DAY
HOUR = 3600.0
COOLDOWN = 360.0
"""Seconds that the need must be lower before a replica is taken away: the KEDA example of vLLM's production stack."""


class Policy(Struct, frozen=True):
    """How the number of replicas follows the load."""

    start_seconds: float
    """From the decision to the first token, as measured at a restart."""
    cooldown_seconds: float = COOLDOWN
    spare: int = 0
    """Replicas above the need, for hardware that fails."""
    least: int = 1


class Replay(Struct, frozen=True):
    """What a policy would have done with the recorded load."""

    replica_hours: float
    """Replicas that are starting are paid for, too."""
    starts: int
    most: int
    unmet_requests: float
    """Requests above what the ready replicas carry within the objective."""
    seconds: float


def needed(rate: float, per_replica: float, spare: int = 0, least: int = 1) -> int:
    """Give n* = ceil(rate / what one replica carries) + spare, requests/s both; at least `least`."""
    # A rate that is a whole number of replicas is not one more for the last digit of a float.
    return max(least, math.ceil(rate / per_replica - 1e-9)) + spare


def replay(rates: Sequence[float], step: float, per_replica: float, policy: Policy) -> Replay:
    """Replay a policy on rates (requests/s; a high quantile in each step, not its mean) at steps of `step` seconds.

    It starts what the last step needs, and takes away what was not needed for the whole cooldown.
    """
    delay, cooldown = math.ceil(policy.start_seconds / step), max(1, math.ceil(policy.cooldown_seconds / step))
    needs = [needed(rate, per_replica, policy.spare, policy.least) for rate in rates]
    ready = most = needs[0] if needs else 0
    ready_at: list[int] = []
    """For each replica that starts, the step from which it is ready; ascending."""
    paid = unmet = 0.0
    starts = 0
    for i, rate in enumerate(rates):
        have = ready + len(ready_at)
        recent = max(needs[max(0, i - cooldown) : i], default=have)
        if i and needs[i - 1] > have:
            starts += needs[i - 1] - have
            ready_at += [i + delay] * (needs[i - 1] - have)
        elif i >= cooldown and recent < have:
            ready_at = ready_at[: max(0, recent - ready)]
            ready = min(ready, recent)
        while ready_at and ready_at[0] <= i:
            ready_at.pop(0)
            ready += 1
        paid += (ready + len(ready_at)) * step
        most = max(most, ready + len(ready_at))
        unmet += max(0.0, rate - ready * per_replica) * step
    return Replay(paid / HOUR, starts, most, unmet, len(rates) * step)


def saving(
    rates: Sequence[float], step: float, replicas: int, per_replica: tuple[float, float, float], policy: Policy | None
) -> Effect:
    """Tell replica hours a day: now, and with as few as the busiest step needs (`policy` None) or as a policy follows.

    `per_replica` is lo, mid and hi of what one carries (requests/s). The recording must be of a day or more; of less it
    says only what that time would have taken, grade C.
    """
    seconds = len(rates) * step
    if not rates or per_replica[0] <= 0:
        return unknown("replica_hours_per_day", "h", "the rate of requests over a day, and what one replica carries")
    if policy is None:
        spent = [24.0 * needed(max(rates), each) for each in per_replica]
        how = f"as many as the busiest {step:.3g} s needed, all the time"
    else:
        played = [replay(rates, step, each, policy) for each in per_replica]
        spent = [each.replica_hours * DAY / seconds for each in played]
        how = f"{played[1].starts} starts of {policy.start_seconds:.3g} s, {played[1].unmet_requests:.3g} requests late"
    enough = seconds >= DAY
    confidence = "high" if seconds >= WEEK else "medium" if enough else "of this window only"
    return Effect(
        "replica_hours_per_day",
        now=24.0 * replicas,
        lo=min(spent),
        mid=spent[1],
        hi=max(spent),
        unit="h",
        basis="model" if enough else "bound",
        grade=Grade.B if enough else Grade.C,
        assumptions=(how, f"confidence: {confidence} ({seconds / DAY:.2g} d recorded)"),
        n=len(rates),
        window_seconds=seconds,
        valid_if=("the days to come are like those recorded",),
    )


def cold_start(rate: float, carried: float, start_seconds: float, excess_ttft: float | None = None) -> Effect:
    """Bound the requests that a start costs: those above what the others carry, (rate - carried) * start seconds.

    With `excess_ttft`, the mean seconds by which they were late, the effect is in request seconds.
    """
    late = max(0.0, rate - carried) * start_seconds
    if excess_ttft is not None:
        return Effect(
            "late_request_seconds",
            late * excess_ttft,
            0.0,
            None,
            late * excess_ttft,
            "s",
            "bound",
            Grade.C,
            ("warming up before traffic saves at most all of it",),
        )
    return Effect(
        "unmet_requests", late, 0.0, None, late, "1", "bound", Grade.C, (f"a start takes {start_seconds:.3g} s",)
    )
