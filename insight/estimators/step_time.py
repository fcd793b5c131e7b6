"""The step-time model of one server: what a step costs, fitted on short windows of what the server counts.

A token that is decoded sees its own request and, on average over time, the others, D = sum(ITL) / T; and while its step
runs, prompts arrive at their mean rate. So for each window

    ITL = alpha + beta * (1 + D) + gamma * (computed prompt tokens / T) * ITL

without a gauge, a step counter or busy time, which no server tells: idle time cancels. gamma comes from the prefill
times at light load where there are any, because D and prefill both follow the rate of requests and windows tell them
apart only by chance. The time of a step by the step counter is not used: in windows with 5 or more running it fits no
better (capacity within 1 % of this on a real vLLM), and below it is biased by idle time (+10 to +220 %).
"""

from __future__ import annotations

import operator
import random
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from insight.estimators.effects import percentile
from insight.estimators.steps import StepCost

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from insight.estimators.windows import StepWindow

MIN_TOKENS, MIN_STEPS = 40, 50
"""A window counts with so many gaps between tokens and steps."""
MIN_WINDOWS, MIN_LONG_WINDOWS, LONG_SECONDS = 40, 25, 4.5
"""So many windows make a fit; of windows of 5 s fewer."""
MIN_R2 = 0.9
MAX_VIF = 10.0
"""Above it beta and gamma cannot be told apart: what is said holds for this mix of prompts and answers only."""
MIN_RANGE, ENOUGH_LOAD = 1.4, 0.4
"""ITL of the busiest fifth over the quietest; or so high a load, which has bursts of its own."""
STEADY_DRIFT, MAX_DRIFT = 0.07, 0.3
"""How far alpha may move between the first and the last third: beyond the first the replicates spread by as much (a
rising load moves it, too: -4 to -16 % on a real vLLM that did not change), beyond the second there is no model."""
LIGHT_DECODING, MIN_PREFILLS = 2.5, 40
"""gamma is taken from the prefill times of so many requests in windows with D below; at D > 4 it is 20 % too high."""
BATCH_QUANTILE = 0.98
BLOCK_SECONDS, MAX_BLOCKS, REPLICATES = 15.0, 60, 200
"""Windows are not independent, so the bootstrap draws blocks of them, at least so long."""


class StepTime(Struct, frozen=True):
    """A step-time model that passed its gates."""

    cost: StepCost
    replicates: tuple[StepCost, ...]
    """The same from resampled windows: what the sampling alone leaves open."""
    prompt: float
    """Mean prompt tokens worked on for a request, in the windows: P."""
    output: float
    """Mean output tokens: G."""
    r2: float
    vif: float
    """How much it inflates the variance of beta and gamma that decoding and prefill vary together."""
    batch: float
    """The decode batch that the windows reach: the 98th percentile of 1 + D."""
    load: float
    """rho in the busiest fifth of the windows."""
    itl_range: float
    """ITL of the busiest fifth of the windows over that of the quietest."""
    drift: float
    """alpha of the last third over that of the first, less 1."""
    direct: bool
    """Whether gamma is from prefill times."""
    windows: int
    seconds: float

    @property
    def work(self) -> float:
        """Seconds of steps for a request of the mix that was seen: kappa."""
        return self.cost.work(self.prompt, self.output)

    @property
    def tells_apart(self) -> bool:
        """Whether beta and gamma are each known, so that another mix may be asked about."""
        return self.vif < MAX_VIF


class NoStepTime(Struct, frozen=True):
    """Why there is no step-time model."""

    reason: str
    needs: str
    """What would have to be measured."""


def fit(windows: Iterable[StepWindow], seed: int = 0) -> StepTime | NoStepTime:
    """Fit the model on the windows of one server, oldest first, and hold it against its gates."""
    seen = list(windows)
    used = [each for each in seen if _counts(each)]
    seconds = sum(each.seconds for each in used)
    needed = MIN_LONG_WINDOWS if used and seconds / len(used) >= LONG_SECONDS else MIN_WINDOWS
    if len(used) < needed:
        preempting = sum(bool(each.preemptions) for each in seen) > needed - len(used)
        return NoStepTime(
            f"{len(used)} windows of 3 s had {MIN_TOKENS} tokens and {MIN_STEPS} steps; a fit takes {needed}",
            f"traffic{' without preemptions' if preempting else ''} for {3 * (needed - len(used))} s more",
        )
    blocks = _blocks(used)
    sums = _add(blocks)
    direct = sums[_PREFILLS] >= MIN_PREFILLS
    cost = _solve(sums, direct=direct)
    if cost is None or cost.alpha <= 0 or cost.beta < 0 or cost.gamma <= 0:
        return NoStepTime(
            "the fitted cost of a step has a part below 0: load varied too little, or something else varied",
            "a time with clearly less or more load than now",
        )
    model = _model(cost, used, sums, direct)
    return _refused(model) or _with_replicates(model, blocks, seed)


def _refused(model: StepTime) -> NoStepTime | None:
    """Name the gate that the model does not pass."""
    if model.itl_range < MIN_RANGE and model.load < ENOUGH_LOAD:
        return NoStepTime(
            f"load varied too little: ITL of the busiest fifth is {model.itl_range:.2f} times that of the quietest",
            f"a time with less or more load, so that ITL differs by a factor of {MIN_RANGE}",
        )
    if model.r2 < MIN_R2:
        explained = max(0.0, model.r2) * 100  # a model without beta may do worse than the mean does
        return NoStepTime(
            f"batch and prefill explain {explained:.0f} % of how ITL varies; a fit takes {MIN_R2 * 100:.0f} %",
            "a time with clearly less or more load, and nothing else at work on the engine's processors",
        )
    if abs(model.drift) > MAX_DRIFT:
        return NoStepTime(
            f"the fixed cost of a step moved by {model.drift * 100:+.0f} % while it was watched",
            f"a time in which the engine's own speed stays within {MAX_DRIFT * 100:.0f} %",
        )
    return None


def _counts(window: StepWindow) -> bool:
    """Tell whether a window is fit to be used. What preemption makes the engine work again is counted nowhere."""
    steps = window.steps if window.steps is not None else window.seconds / window.itl if window.itl_count else 0.0
    return window.itl_count >= MIN_TOKENS and steps >= MIN_STEPS and not window.preemptions


_Sums = tuple[float, ...]
# Of all windows: n, x1, x2, y, x1 x1, x1 x2, x2 x2, x1 y, x2 y, y y (0-9); of those under light load: seconds, sum and
# count of ITL, first tokens, sum of prefill seconds, prefills, their tokens (10-16); of all: first tokens, prompt
# tokens, gaps (17-19).
_LIGHT, _PREFILLS, _REQUESTS = 10, 15, 17


def _row(window: StepWindow) -> tuple[float, float, float]:
    """Give y, x1 = 1 + D and x2 = (computed / T) y of a window."""
    return window.itl, 1.0 + window.decoding, window.computed / window.seconds * window.itl


def _sums(window: StepWindow) -> _Sums:
    y, x1, x2 = _row(window)
    light: _Sums = (0.0,) * 7
    if window.decoding < LIGHT_DECODING and window.prefill_sum is not None and window.prefilled is not None:
        prefills = window.prefill_sum, window.prefill_count or 0.0, window.prefilled
        light = (window.seconds, window.itl_sum, window.itl_count, window.ttft_count, *prefills)
    products = x1 * x1, x1 * x2, x2 * x2, x1 * y, x2 * y, y * y
    return (1.0, x1, x2, y, *products, *light, window.ttft_count, window.computed, window.itl_count)


def _add(parts: Sequence[_Sums]) -> _Sums:
    return tuple(map(sum, zip(*parts, strict=True)))


def _blocks(windows: Sequence[StepWindow]) -> list[_Sums]:
    """Add up the windows of each block: a resampled fit needs no more than these sums."""
    least = max(BLOCK_SECONDS, sum(each.seconds for each in windows) / MAX_BLOCKS) - 0.5
    blocks: list[_Sums] = []
    under_way: list[_Sums] = []
    seconds = 0.0
    for window in windows:
        under_way.append(_sums(window))
        seconds += window.seconds
        if seconds >= least:
            blocks.append(_add(under_way))
            under_way, seconds = [], 0.0
    return [*blocks, _add(under_way)] if under_way else blocks


def _solve(sums: _Sums, *, direct: bool, keep_beta: bool = True) -> StepCost | None:
    """Fit the costs by least squares on sums; None where they cannot be told. Without `keep_beta`, beta is 0.

    gamma is what the prefill time of the light windows leaves over a step without it, (t - alpha - beta D) / (P (1 +
    lambda ITL)); the fit gives alpha and beta for any gamma, u - gamma v, so that gamma follows in one step.
    """
    n, s1, s2, sy, s11, s12, s22, s1y, s2y = sums[:9]
    m1, m2, my = s1 / n, s2 / n, sy / n
    c11, c12, c22, c1y, c2y = s11 - m1 * s1, s12 - m1 * s2, s22 - m2 * s2, s1y - m1 * sy, s2y - m2 * sy
    if c11 <= 0 or c22 <= 0 or (direct and not sums[_PREFILLS]):
        return None
    u1, v1 = (c1y / c11, c12 / c11) if keep_beta else (0.0, 0.0)
    u0, v0 = my - u1 * m1, m2 - v1 * m1
    if direct:
        seconds, itl_sum, itl_count, first_tokens, prefill, prefills, tokens = sums[_LIGHT:_REQUESTS]
        decoding = itl_sum / seconds
        weight = tokens / prefills * (1.0 + first_tokens / seconds * itl_sum / itl_count) - v0 - v1 * decoding
        left = prefill / prefills - u0 - u1 * decoding
    else:
        weight, left = c22 - c12 * v1, c2y - u1 * c12
    if weight <= 0:
        return None
    gamma = left / weight
    return StepCost(u0 - gamma * v0, u1 - gamma * v1, gamma)


def _model(cost: StepCost, used: list[StepWindow], sums: _Sums, direct: bool) -> StepTime:
    rows = [_row(each) for each in used]
    n, s1, s2, sy, s11, s12, s22, _, _, syy = sums[:10]
    moved = [y - cost.beta * x1 - cost.gamma * x2 for y, x1, x2 in rows]
    unexplained = sum((each - cost.alpha) ** 2 for each in moved)
    shared = (s12 - s1 * s2 / n) ** 2 / ((s11 - s1 * s1 / n) * (s22 - s2 * s2 / n))
    third, fifth = max(1, len(used) // 3), max(1, len(used) // 5)
    ranked = sorted(used, key=operator.attrgetter("itl"))
    busiest = ranked[-fifth:]
    work = sum(cost.beta * each.itl_count + cost.gamma * each.computed for each in busiest)
    requests, prompts, gaps = sums[_REQUESTS:]
    return StepTime(
        cost,
        (),
        prompt=prompts / requests if requests else 0.0,
        output=1.0 + gaps / requests if requests else 0.0,
        r2=1.0 - unexplained / (syy - sy * sy / n) if syy > sy * sy / n else 0.0,
        vif=1.0 / (1.0 - shared) if shared < 1.0 else float("inf"),
        batch=percentile([x1 for _, x1, _ in rows], BATCH_QUANTILE),
        load=work / sum(each.seconds for each in busiest),
        itl_range=sum(each.itl for each in busiest) / sum(each.itl for each in ranked[:fifth]),
        drift=sum(moved[-third:]) / sum(moved[:third]) - 1.0,
        direct=direct,
        windows=len(used),
        seconds=sum(each.seconds for each in used),
    )


def _with_replicates(model: StepTime, blocks: list[_Sums], seed: int) -> StepTime:
    """Fit again on blocks drawn with replacement. A beta below 0 becomes 0; what it explained goes to the others."""
    draw = random.Random(seed)
    drift = abs(model.drift) if abs(model.drift) > STEADY_DRIFT else 0.0
    found: list[StepCost] = []
    for _ in range(REPLICATES):
        sums = _add(draw.choices(blocks, k=len(blocks)))
        cost = _solve(sums, direct=model.direct)
        if cost is not None and cost.beta < 0:
            cost = _solve(sums, direct=model.direct, keep_beta=False)
        if cost is not None and cost.alpha > 0 and cost.gamma > 0:
            found.append(replace(cost, alpha=cost.alpha * (1.0 + draw.uniform(-drift, drift))))
    return replace(model, replicates=tuple(found))
