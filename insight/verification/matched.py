"""The time between two tokens at the same load: how fast the engine is, whatever is asked of it.

Under another load the same engine has another ITL. So what is compared is what windows of 3 s show at the same batch
(1 + D, the requests that decode) and the same rate of prompt tokens worked on, by a regression of each side's windows
over the load that both have seen. Where that is too little, the step-time model of the first stands for it as far as a
model may be taken (twice the batch that was seen, give or take 10 %). Where no load is common, nothing is said.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.effects import Z90, percentile
from insight.estimators.extrapolation import NEAR, NEAR_SHARE
from insight.estimators.step_time import MIN_TOKENS, NoStepTime, fit
from insight.verification.noise import MOST_BATCHES, Estimate, jackknife, ratio
from metrics import units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.estimators.steps import StepCost
    from insight.estimators.windows import StepWindow
    from insight.verification.side import Side

EDGE = 0.05
"""The load that a side has seen lies between these percentiles of its windows: beyond are a few strays."""
NEAR_BATCH = 1.5
"""Times the batch that both have seen, up and down: as far a side's windows tell how its ITL follows the batch."""
FEWEST = 40
"""Windows of a side within the load that both have seen: two minutes."""

Row = tuple[float, float, float]
"""(ITL, 1 + D, prompt tokens worked on a second) of a window."""


class Matched(Struct, frozen=True):
    """ITL of both sides at one load."""

    before: Estimate
    after: Estimate
    batch: float
    """1 + D: a request and those that decode beside it."""
    prompt_rate: float
    """Prompt tokens worked on a second."""
    windows: tuple[int, int]
    """So many of each side it is of."""
    by_model: bool = False
    """What is said of the first side is what its step-time model makes of the load of the second."""


def match(before: Side, after: Side) -> Matched | str:
    """Compare ITL at the load that both have seen; or say why that cannot be done."""
    sides = _rows(before.windows), _rows(after.windows)
    few = [reason for side in (before, after) if (reason := _too_few(side))]
    if few:
        return few[0]
    ranges = [(_range([row[1] for row in rows])) for rows in sides]
    low, high = max(each[0] for each in ranges), min(each[1] for each in ranges)
    decoding = [(begin - 1, end - 1) for begin, end in ranges]
    if low >= high:
        return _apart(decoding, "decoding at once")
    shared = [[row for row in rows if low / NEAR_BATCH <= row[1] <= high * NEAR_BATCH] for rows in sides]
    if min(map(len, shared)) < FEWEST:
        apart = f"{_apart(decoding, 'decoding at once')}: only {min(map(len, shared))} windows of 3 s in common"
        modelled = _by_model(before, sides[1])
        return modelled if isinstance(modelled, Matched) else f"{apart}; {modelled}"
    prompts = [_range([row[2] for row in rows]) for rows in shared]
    floor, ceiling = max(each[0] for each in prompts), min(each[1] for each in prompts)
    if floor > ceiling:
        return _apart(prompts, "prompt tokens/s worked on")
    batch = min(max(_between(shared, 1), low), high)
    prompt = min(max(_between(shared, 2), floor), ceiling)
    found = [_at(rows, batch, prompt) for rows in shared]
    if found[0] is None or found[1] is None:
        return "ITL does not follow the load in a way that a line describes"
    return Matched(found[0], found[1], batch, prompt, (len(shared[0]), len(shared[1])))


def _too_few(side: Side) -> str:
    if not side.windows:
        return f"{side.label} tells no ITL"
    there = len(_rows(side.windows))
    return (
        ""
        if there >= FEWEST
        else f"{side.label} has {there} windows of 3 s with {MIN_TOKENS} tokens, and it takes {FEWEST}"
    )


def _by_model(before: Side, rows: Sequence[Row]) -> Matched | str:
    """Hold the second side's windows against what the step-time model of the first makes of their load."""
    model = fit(before.windows)
    if isinstance(model, NoStepTime):
        return f"and there is no step-time model of {before.label}: {model.reason}"
    near = [row for row in rows if row[1] <= NEAR * model.batch]
    if len(near) < FEWEST:
        return f"and few lie within twice the batch that {before.label} has seen"

    def expected(cost: StepCost) -> float:
        return math.fsum((cost.alpha + cost.beta * b) / max(1 - cost.gamma * p, 0.01) for _, b, p in near) / len(near)

    mid = expected(model.cost)
    drawn = [expected(each) for each in model.replicates]
    spread = math.sqrt(math.fsum((each - mid) ** 2 for each in drawn) / len(drawn)) if drawn else mid
    error = math.hypot(spread, NEAR_SHARE * mid / Z90)
    measured = ratio([(row[0], 1.0) for row in near])
    if measured is None:
        return "and too few of its windows are of use"
    foreseen = Estimate(mid, error, measured.freedom)
    load = _mean(near, 1), _mean(near, 2)
    return Matched(foreseen, measured, *load, windows=(model.windows, len(near)), by_model=True)


def _rows(windows: Sequence[StepWindow]) -> list[Row]:
    return [
        (each.itl, 1.0 + each.decoding, each.computed / each.seconds)
        for each in windows
        if each.itl_count >= MIN_TOKENS and not each.preemptions
    ]


def _range(values: Sequence[float]) -> tuple[float, float]:
    return percentile(values, EDGE), percentile(values, 1 - EDGE)


def _apart(ranges: Sequence[tuple[float, float]], what: str) -> str:
    one, other = (f"{units.digits(low, 2)}-{units.digits(high, 2)}" for low, high in ranges)
    return f"the loads lie apart, {one} {what} before and {other} after"


def _between(sides: Sequence[Sequence[Row]], column: int) -> float:
    """Give the load at which both regressions together are known best: nearest to the side that has seen least of it.

    A regression's variance grows by (x - mean)^2 / sum of squares, and the sum of both is least there. A server at its
    limit has one batch all the time, and at any other its line would be a guess.
    """
    means = [_mean(rows, column) for rows in sides]
    squares = [math.fsum((row[column] - mean) ** 2 for row in rows) for rows, mean in zip(sides, means, strict=True)]
    whole = math.fsum(squares)
    return (means[0] * squares[1] + means[1] * squares[0]) / whole if whole > 0 else math.fsum(means) / 2


def _mean(rows: Sequence[Row], column: int) -> float:
    return math.fsum(row[column] for row in rows) / len(rows)


def _at(rows: Sequence[Row], batch: float, prompt: float) -> Estimate | None:
    """Tell ITL at a load by the regression on all rows, with the error that leaving out one batch of time shows."""
    value = _predict(rows, batch, prompt)
    edges = [index * len(rows) // MOST_BATCHES for index in range(MOST_BATCHES + 1)]
    without = [_predict([*rows[:begin], *rows[end:]], batch, prompt) for begin, end in pairwise(edges)]
    known = [each for each in without if each is not None]
    return None if value is None or len(known) < len(without) else jackknife(value, known)


def _predict(rows: Sequence[Row], batch: float, prompt: float) -> float | None:
    """Fit y = a + b x1 + c x2 by least squares around the means, and give y there; None where that is below 0."""
    my, m1, m2 = (_mean(rows, column) for column in range(3))
    s11 = math.fsum((row[1] - m1) ** 2 for row in rows)
    s22 = math.fsum((row[2] - m2) ** 2 for row in rows)
    s12 = math.fsum((row[1] - m1) * (row[2] - m2) for row in rows)
    s1y = math.fsum((row[1] - m1) * (row[0] - my) for row in rows)
    s2y = math.fsum((row[2] - m2) * (row[0] - my) for row in rows)
    whole = s11 * s22 - s12 * s12
    if s11 <= 0:
        slope, other = 0.0, 0.0
    elif whole <= 1e-9 * s11 * s22:
        slope, other = s1y / s11, 0.0
    else:
        slope, other = (s22 * s1y - s12 * s2y) / whole, (s11 * s2y - s12 * s1y) / whole
    value = my + slope * (batch - m1) + other * (prompt - m2)
    return value if value > 0 else None
