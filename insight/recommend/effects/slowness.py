"""What it would bring to be rid of what slows the engine: heat, a power limit, a neighbour, a straggler, the host.

What is expected is ITL as it would be for the traffic of now without it: by the step times of the time before, else as
it was measured before, else bounded by the clock that is lost.
"""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from insight.estimators import forecast, residual
from insight.estimators.effects import Z90
from insight.recommend.case import Estimate
from insight.rules.gpu import CLOCK_SHARE
from metrics import units
from metrics.effect import Effect, Grade
from metrics.finding import RiskState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.estimators.windows import StepWindow
    from insight.recommend.case import Case
    from insight.recommend.known import Known

FEWEST_BEFORE = 5
"""Windows of 3 s before it that say how it was."""
SAME_LOAD = 0.25
"""Requests that come may differ by so much from before for the two to be compared."""
LEAST_SPREAD = 0.1
"""What was measured before is no better known than this for another time: the luck of arrivals (±10 % of a mean ITL at
moderate load over a minute, on a real vLLM)."""
FELT = 1.03
"""A token that takes less than so many times as long as before is not slowed."""


def lifted(case: Case) -> Estimate:
    """Tell what ITL would be without it."""
    known = case.known
    if known is None or not known.recent or known.itl is None:
        return Estimate(because=("what it costs takes requests that run: none are seen",))
    effect = _by_step_times(known) or _as_before(known)
    if effect is None:
        return Estimate(because=("to be measured: ITL without it, at a load like that of now",))
    if effect.mid is not None and known.itl < FELT * effect.mid:
        return Estimate(
            because=(
                (
                    f"no cost is seen: a token takes {units.value(known.itl, 's')}, and without it about "
                    f"{units.value(effect.mid, 's')}"
                ),
            )
        )
    return Estimate(effect, tuple(_attributed(known)))


def cool_gpu(case: Case) -> Estimate:
    """Tell what ITL would be at full clock; where that is not known, bound the clock itself.

    The clock does not bound ITL: shorter steps collect fewer requests, which makes them shorter again, so that ITL fell
    to 0.37 of what it was where the clock had been at half (simulated).
    """
    found = lifted(case)
    clock = case.evidence("sm_clock_hertz")
    if found.effect is not None or clock is None or clock.value is None or clock.threshold is None:
        return found
    if case.risk.state is not RiskState.FIRING:
        return found
    effect = Effect(
        "sm_clock_hertz",
        now=clock.value,
        lo=clock.value,
        mid=None,
        hi=clock.threshold / CLOCK_SHARE,
        unit="Hz",
        basis="bound",
        grade=Grade.C,
        assumptions=("how much of the speed comes back depends on how far the work is bound by the clock",),
    )
    return Estimate(effect, found.because)


def _by_step_times(known: Known) -> Effect | None:
    if known.fitted is None or known.traffic is None:
        return None
    traffic = known.traffic if known.arrivals is None else known.traffic.at(known.arrivals)
    effect = forecast.itl(known.fitted, traffic, known.limits, known.itl, simulated=False)
    return effect if effect.mid is not None else None


def _as_before(known: Known) -> Effect | None:
    """Take ITL as it was before, where about as much came then."""
    before = [each for each in known.before[-2 * len(known.recent) :] if each.itl_count > 0]
    if len(before) < FEWEST_BEFORE or not known.slowed:
        return None
    then, now = _rate(before), _rate(known.recent)
    if not then or abs(now / then - 1) > SAME_LOAD:
        return None
    seconds = math.fsum(each.seconds for each in before)
    mid = math.fsum(each.itl_sum for each in before) / math.fsum(each.itl_count for each in before)
    # Neighbouring windows are alike: with a correlation of 0.6 four of them tell as much as one.
    half = max(LEAST_SPREAD * mid, 2 * Z90 * stdev(each.itl for each in before) / math.sqrt(len(before)))
    return Effect(
        "itl_seconds",
        now=known.itl,
        lo=max(0.0, mid - half),
        mid=mid,
        hi=mid + half,
        unit="s",
        basis="measured",
        grade=Grade.B,
        assumptions=(
            f"as in the {units.duration(seconds)} before, at {units.rate(then)} in place of {units.rate(now)}",
        ),
        n=float(len(before)),
        window_seconds=seconds,
        valid_if=("requests go on coming as they do",),
    )


def _attributed(known: Known) -> list[str]:
    """Say by how much tokens take longer than batch and prompts explain, since it is there."""
    if known.fitted is None or len(known.slowed) < residual.FEWEST or known.itl is None:
        return []
    cost = known.fitted.cost

    def beyond(window: StepWindow) -> float:
        expected = (cost.alpha + cost.beta * (1 + window.decoding)) / max(
            0.05, 1 - cost.gamma * window.computed / window.seconds
        )
        return residual.residual(window.itl, expected)

    windows = [each for each in (*known.before, *known.slowed) if each.itl_count > 0]
    begin = known.slowed[0].end - known.slowed[0].seconds
    holds = [each.end > begin for each in windows]
    seconds = math.fsum(each.seconds for each in windows)
    found = residual.attribute([beyond(each) for each in windows], holds, known.itl, seconds).share
    if found is None:
        return []
    longer = f"{found.value * 100:.0f} % ({found.lo * 100:.0f} to {found.hi * 100:.0f} %) longer"
    return [f"since it is there tokens take {longer} than batch and prompts explain (n = {len(windows)} windows)"]


def _rate(windows: Sequence[StepWindow]) -> float:
    seconds = math.fsum(each.seconds for each in windows)
    return fmean([each.ttft_count for each in windows]) * len(windows) / seconds if seconds else 0.0
