"""E13: how many replicas a day of load needed, if their number were fixed and if it had followed the load.

Nothing is forecast: a policy is replayed on the rates that were recorded, with the start delay that was measured. What
a replica carries within the objective comes from the step-time model, with its interval.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.effects import unknown
from metrics import units
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = 86_400.0
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


def spent(rates: Sequence[float], step: float, replicas: int, one: Effect, policy: Policy | None) -> Effect:
    """Tell replica hours a day: now, and with as few as the busiest step needs (`policy` None) or as a policy follows.

    `one` is what one replica carries (requests/s, `insight.estimators.capacity.carried`). The recording must be of a
    day or more; of less it says only what that time would have taken, grade C.
    """
    seconds = len(rates) * step
    if not rates or not one.lo:
        return unknown(_HOURS, "h", one.needs or "the rate of requests over a day", 24.0 * replicas)
    ends = [one.lo if each is None else each for each in (one.lo, one.mid, one.hi)]
    if policy is None:
        hours = [24.0 * needed(max(rates), each) for each in ends]
        how = f"as many as the busiest {units.duration(step)} needed, all the time"
    else:
        played = [replay(rates, step, each, policy) for each in ends]
        hours = [each.replica_hours * DAY / seconds for each in played]
        late = f"{units.count(round(played[1].unmet_requests))} requests late"
        how = f"{played[1].starts} starts of {units.duration(policy.start_seconds)}, {late}"
    enough, bounded = seconds >= DAY, one.mid is None
    return Effect(
        _HOURS,
        now=24.0 * replicas,
        lo=None if bounded else min(hours),
        mid=None if bounded else hours[1],
        hi=max(hours),
        unit="h",
        basis="model" if enough and not bounded else "bound",
        grade=max(Grade.B, one.grade) if enough else Grade.C,
        assumptions=(how, f"{units.duration(seconds)} of load replayed", *one.assumptions),
        n=len(rates),
        window_seconds=seconds,
        valid_if=("the days to come are like those recorded",),
    )


_HOURS = "replica_hours_per_day"
