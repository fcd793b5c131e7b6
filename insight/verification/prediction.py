"""One thing that was foretold, and what is measured to be held against it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from insight.estimators.effects import Z90
from insight.verification.figures import estimate
from insight.verification.metric import E2E, FINISHED, ITL, QUEUE, THROUGHPUT, TPOT, TTFT
from insight.verification.noise import Estimate, quantile_bounds, student
from metrics import units

if TYPE_CHECKING:
    from insight.verification.metric import Metric
    from insight.verification.side import Side
    from metrics.effect import Effect

LEAST_SECONDS = 300.0
"""So much of the same load it takes. Half an hour is better, and what less leaves open is in the interval."""
_METRICS: dict[str, Metric] = {each.id: each for each in (ITL, TPOT, TTFT, E2E, QUEUE, THROUGHPUT, FINISHED)} | {
    "expected_wait_seconds": QUEUE
}
_QUANTILE = re.compile(r"(?P<name>ttft|itl|e2e|tpot|queue)(?:_seconds)?_p(?P<percent>\d\d)")


class Prediction(Struct, frozen=True, omit_defaults=True):
    """One thing that was foretold, and what came."""

    id: str
    """Of the recommendation."""
    quantity: str
    unit: str
    basis: str
    grade: str
    now: float | None
    lo: float | None
    """The effect as it was foretold, 5-95 %."""
    mid: float | None
    hi: float | None
    why: str
    """Why it cannot be told whether it came; else what made it known that the advice was followed."""
    seconds: float
    """Time that the measurement is of."""
    least: float | None = None
    """The predictive interval, 5-95 %: the luck of the measured time is in it. None is no end on that side."""
    most: float | None = None
    measured: float | None = None
    measured_lo: float | None = None
    """5-95 % of what was measured."""
    measured_hi: float | None = None
    covered: bool | None = None
    """None where it cannot be told."""
    title: str = ""


def foretold(name: str, title: str, effect: Effect, seconds: float, why: str) -> Prediction:
    """Write down what was foretold; what came is not in it yet."""
    return Prediction(
        id=name,
        quantity=effect.quantity,
        unit=effect.unit,
        basis=effect.basis,
        grade=effect.grade.value,
        now=effect.now,
        lo=effect.lo,
        mid=effect.mid,
        hi=effect.hi,
        why=why,
        seconds=seconds,
        title=title,
    )


def with_measurement(
    bare: Prediction, found: Estimate, ends: tuple[float | None, float | None], *, told: bool
) -> Prediction:
    """Write down what was measured, and whether it lies between the ends of the predictive interval."""
    half = student(0.9, found.freedom) * found.error
    least, most = ends
    covered = (least is None or found.value >= least) and (most is None or found.value <= most)
    return replace(
        bare,
        least=least,
        most=most,
        measured=found.value,
        measured_lo=max(0.0, found.value - half),
        measured_hi=found.value + half,
        covered=covered if told else None,
    )


def measured(quantity: str, side: Side) -> Estimate | str:
    """Measure what an effect speaks of; or say why that cannot be done."""
    metric = _METRICS.get(quantity)
    if metric is not None:
        return estimate(metric, side) or f"{side.label} is too short for it, or does not tell it"
    named = _QUANTILE.fullmatch(quantity)
    if named is None:
        return f"what {quantity.replace('_', ' ')} became is not measured"
    spells = [each.histograms[f"{named['name']}_seconds"] for each in side.spells
              if f"{named['name']}_seconds" in each.histograms]  # fmt: skip
    bounds = quantile_bounds(spells, float(named["percent"]) / 100, 0.9)
    if bounds is None or bounds.hi is None:
        return f"{side.label} does not tell between which bounds {quantity.replace('_', ' ')} lies"
    middle = (bounds.lo + bounds.hi) / 2
    return Estimate(middle, (bounds.hi - bounds.lo) / 2 / Z90, 1000.0)


def short(after: Side) -> str:
    """Say that a time is too short to hold a prediction against."""
    return f"{units.duration(after.seconds)} of {after.label} is too short: it takes {units.duration(LEAST_SECONDS)}"
