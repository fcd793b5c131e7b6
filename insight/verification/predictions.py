"""What was foretold held against what came: of each piece of advice that was followed, and of all of them so far.

An effect is where the number will lie in the long run. A measurement of some minutes has the luck of its arrivals as
well, so it is held against the predictive interval, which is the effect's own and that luck together: at a load of 0.75
the mean ITL over 75 s lies between -20 and +25 % of that of the long run by arrivals alone. Both are 5-95 %, so that
nine of ten should be covered; the score says how many were.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from insight.estimators.effects import Z90, unknown
from insight.estimators.forecast import predictive
from insight.estimators.step_time import StepTime, fit
from insight.estimators.steps import Limits
from insight.estimators.traffic import observed
from insight.quality.statistics import Interval, wilson
from insight.verification.comparison import changed_settings, load_figures, queue_stood
from insight.verification.figures import E2E, FINISHED, ITL, QUEUE, THROUGHPUT, TPOT, TTFT, estimate
from insight.verification.followed import followed, is_number, other_value
from insight.verification.noise import Estimate, quantile_bounds, student
from metrics import units

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from insight.verification.comparison import Setting
    from insight.verification.figures import Metric
    from insight.verification.side import Side
    from metrics.effect import Effect
    from metrics.finding import Recommendation

LEAST_SECONDS = 300.0
"""So much of the same load it takes. Half an hour is better, and what less leaves open is in the interval."""
SIMULATED_SECONDS = 300.0
"""Of a longer time the predictive interval is that of so much, which is wider: 80 draws of it take 1.5 s."""
STEP_TIME = "step_time_model"
"""Id of the forecast that the step-time model makes by itself, of another load or another limit of the scheduler."""
_METRICS: dict[str, Metric] = {each.id: each for each in (ITL, TPOT, TTFT, E2E, QUEUE, THROUGHPUT, FINISHED)} | {
    "expected_wait_seconds": QUEUE
}
_CAPACITIES = {FINISHED.id, THROUGHPUT.id}
_QUANTILE = re.compile(r"(?P<name>ttft|itl|e2e|tpot|queue)(?:_seconds)?_p(?P<percent>\d\d)")
_SCHEDULING = frozenset(
    (
        *("flag_max_num_seqs", "max_running_requests", "flag_max_num_batched_tokens", "flag_max_num_queued_reqs"),
        *("enable_prefix_caching", "flag_enable_prefix_caching"),
    )
)
"""Settings that change which work is done when, and not what a step of so much work costs."""


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


def verify(before: Side, after: Side, applied: Sequence[str] = (), mark: str = "") -> tuple[Prediction, ...]:
    """Hold every effect that `before` foretold, and whose advice was followed, against what `after` shows.

    Followed is what `applied` names by its id, or whose setting changed, or what the text of the mark names; and
    without any advice a change of the scheduler's limits alone, of which the step-time model has its own forecast.
    """
    settings = changed_settings(before, after)
    found: list[Prediction] = []
    for each in before.recommendations:
        if each.effect is None or each.effect.basis == "unknown":
            continue
        reason = followed(each, settings, applied, mark)
        if reason:
            found.append(_held(each, each.effect, before, after, settings, reason))
    forecast = _by_model(before, after, settings)
    return (*found, *([forecast] if forecast is not None else []))


def score(predictions: Iterable[Prediction]) -> Interval | None:
    """Tell which share of what was foretold came within its interval (Wilson); None where nothing was told yet."""
    told = [each.covered for each in predictions if each.covered is not None]
    return wilson(sum(told), len(told))


def _held(
    advice: Recommendation,
    effect: Effect,
    before: Side,
    after: Side,
    settings: Sequence[Setting],
    reason: str,
) -> Prediction:
    """Hold one effect against what came."""
    found = _measured(effect.quantity, after)
    refused = other_value(advice.changes, settings) or _not_comparable(effect.quantity, before, after, settings)
    bare = _prediction(advice.id, advice.title, effect, after.seconds, refused or reason)
    if isinstance(found, str):
        return replace(bare, why=refused or found)
    ends = _with_luck(effect, found, _measured(effect.quantity, before))
    return _with_measurement(bare, found, ends, told=not refused)


def _prediction(name: str, title: str, effect: Effect, seconds: float, why: str) -> Prediction:
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


def _with_measurement(
    bare: Prediction, found: Estimate, ends: tuple[float | None, float | None], *, told: bool
) -> Prediction:
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


def _measured(quantity: str, side: Side) -> Estimate | str:
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


def _with_luck(effect: Effect, after: Estimate, before: Estimate | str) -> tuple[float | None, float | None]:
    """Widen the interval of an effect by the luck of the time that it is held against, and of the time it is from.

    The errors are independent, so their squares add.
    """
    luck = student(0.9, after.freedom) * after.error
    if isinstance(before, Estimate) and effect.now and effect.mid is not None:
        luck = math.hypot(luck, student(0.9, before.freedom) * before.error * effect.mid / effect.now)
    middle = effect.mid
    lo, hi = effect.lo, effect.hi
    least = None if lo is None else lo - luck if middle is None else middle - math.hypot(middle - lo, luck)
    most = None if hi is None else hi + luck if middle is None else middle + math.hypot(hi - middle, luck)
    return None if least is None else max(0.0, least), most


def _not_comparable(quantity: str, before: Side, after: Side, settings: Sequence[Setting]) -> str:
    """Say why what came says nothing about what was foretold; empty where it does."""
    if after.seconds < LEAST_SECONDS:
        return _short(after)
    capacity = quantity in _CAPACITIES
    if capacity and not queue_stood(after):
        return "no queue stood, so that what it can do at most was not seen"
    for each in load_figures(before, after, tuple(settings)):
        unlike = each.verdict == "differs" or (each.verdict == "not told" and each.lo is not None)
        if unlike and not (capacity and each.id == "requests_arrived"):
            return (
                f"the load is not the same: {each.title} {units.value(each.before, each.unit)} -> "
                f"{units.value(each.after, each.unit)}"
            )
    return ""


def _by_model(before: Side, after: Side, settings: Sequence[Setting]) -> Prediction | None:
    """Hold the step-time model of `before` against ITL under the load and the limits of `after`.

    None where something was changed that changes what a step costs, or nothing was; and where nothing is known of both.
    """
    names = {each.name for each in settings}
    if not names or not names <= _SCHEDULING or not before.windows or not after.windows:
        return None
    title = "ITL by the step-time model of before, at the load of after"
    changed = ", ".join(f"{each.name.removeprefix('flag_')} {each.before} -> {each.after}" for each in settings)
    effect = _forecast(before, after)
    bare = _prediction(STEP_TIME, title, effect, after.seconds, effect.needs or changed)
    found = _measured(ITL.id, after)
    if isinstance(found, str):
        return replace(bare, why=found)
    return _with_measurement(bare, found, (effect.lo, effect.hi), told=effect.mid is not None)


def _forecast(before: Side, after: Side) -> Effect:
    """Foretell ITL for the load and the limits of `after`; unknown, with the reason, where that cannot be done."""
    if after.seconds < LEAST_SECONDS:
        return unknown(ITL.id, "s", _short(after))
    model = fit(before.windows)
    if not isinstance(model, StepTime):
        return unknown(ITL.id, "s", f"there is no step-time model of {before.label}: {model.reason}")
    traffic = observed(after.windows, after.observed("prompt_tokens"), after.observed("output_tokens"))
    if traffic is None:
        return unknown(ITL.id, "s", f"{after.label} has no requests")
    return predictive(model, traffic, _limits(after), min(after.seconds, SIMULATED_SECONDS))


def _short(after: Side) -> str:
    return f"{units.duration(after.seconds)} of {after.label} is too short: it takes {units.duration(LEAST_SECONDS)}"


def _limits(side: Side) -> Limits:
    """Read the scheduler's limits as far as they are told."""
    slots = next(
        (side.settings[each] for each in ("max_running_requests", "flag_max_num_seqs") if each in side.settings), ""
    )
    budget = side.settings.get("flag_max_num_batched_tokens", "")
    usual = Limits()
    return Limits(
        slots=int(float(slots)) if is_number(slots) else usual.slots,
        budget=int(float(budget)) if is_number(budget) else usual.budget,
    )
