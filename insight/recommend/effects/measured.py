"""What follows from what was measured by arithmetic alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.estimators.effects import bound
from insight.recommend.case import Estimate
from metrics import units
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from insight.recommend.case import Case

CLIENT_FLOOR = 0.005
"""What lies between client and server at best, seconds: 2 to 4 ms on a real vLLM over loopback."""


def ingress(case: Case) -> Estimate:
    """Bound what a client gains by what lies outside the engine."""
    seen = case.evidence("probe_ttft_seconds")
    ttft = case.target.quantities.get("ttft_seconds") if case.target else None
    if seen is None or seen.value is None or ttft is None or ttft.p50 is None or ttft.p50.hi is None:
        return Estimate(because=("to be measured: TTFT at the client and at the server, for the same requests",))
    effect = Effect(
        "probe_ttft_seconds",
        now=seen.value,
        lo=min(seen.value, CLIENT_FLOOR),
        mid=None,
        hi=min(seen.value, ttft.p50.hi + CLIENT_FLOOR),
        unit="s",
        basis="bound",
        grade=Grade.C,
        assumptions=(
            "all that lies between client and server goes",
            "a probe, which is short, waits at most as long as the others",
        ),
        n=seen.count,
        window_seconds=seen.window_seconds,
    )
    return Estimate(effect, ("the gap between the two is what is to be gained, and no more",))


def validate_requests(case: Case) -> Estimate:
    """Tell the share of requests that is sent for nothing."""
    share = next((each for each in case.risk.evidence if each.unit == "ratio" and each.value is not None), None)
    if share is None or share.value is None:
        return Estimate(because=("to be measured: how many requests are refused",))
    assumed = ("what is refused now is not sent any more",)
    effect = bound(share.quantity, "ratio", share.value, 0.0, share.value, assumed)
    return Estimate(effect, (f"{units.value(share.value, 'ratio')} of the requests get no answer of use",))


def error_causes(case: Case) -> Estimate:
    """Tell the requests per second that would be answered."""
    share = next((each for each in case.risk.evidence if each.unit == "ratio" and each.value is not None), None)
    if share is None or share.value is None or case.known is None:
        return Estimate(because=("what is gained is what fails now",))
    effect = bound(share.quantity, "ratio", share.value, 0.0, share.value, ("the cause is found and gone",))
    return Estimate(effect, (f"{units.value(share.value, 'ratio')} of {units.rate(case.known.rate)} fail",))


def warm_up(case: Case) -> Estimate:
    """Bound what a warm-up saves by how much slower the first requests were than those after them."""
    cold = case.evidence("ttft_seconds")
    if cold is None or cold.value is None or not cold.threshold:
        return Estimate(because=("to be measured: TTFT just after a restart, and once it is warm",))
    steady = cold.threshold / 2
    effect = bound("ttft_seconds", "s", cold.value, steady, cold.value, ("nothing is faster than the steady state",))
    then, usual = units.value(cold.value, "s"), units.value(steady, "s")
    return Estimate(effect, (f"TTFT of {then} just after the start, {usual} once it is warm",))
