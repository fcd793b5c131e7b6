"""What was foretold held against what came: of each piece of advice that was followed, and of all of them so far.

An effect is where the number will lie in the long run. A measurement of some minutes has the luck of its arrivals as
well, so it is held against the predictive interval, which is the effect's own and that luck together: at a load of 0.75
the mean ITL over 75 s lies between -20 and +25 % of that of the long run by arrivals alone. Both are 5-95 %, so that
nine of ten should be covered; the score says how many were.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight.quality.statistics import Interval, wilson
from insight.verification.comparison import queue_stood
from insight.verification.followed import followed, other_value
from insight.verification.forecast import by_model
from insight.verification.load import load_figures
from insight.verification.metric import FINISHED, THROUGHPUT
from insight.verification.noise import Estimate, student
from insight.verification.prediction import LEAST_SECONDS, Prediction, foretold, measured, short, with_measurement
from insight.verification.settings import changed_settings
from metrics import units

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from insight.verification.settings import Setting
    from insight.verification.side import Side
    from metrics.effect import Effect
    from metrics.finding import Recommendation

_CAPACITIES = {FINISHED.id, THROUGHPUT.id}


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
    forecast = by_model(before, after, settings)
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
    found = measured(effect.quantity, after)
    refused = other_value(advice.changes, settings) or _not_comparable(effect.quantity, before, after, settings)
    bare = foretold(advice.id, advice.title, effect, after.seconds, refused or reason)
    if isinstance(found, str):
        return replace(bare, why=refused or found)
    ends = _with_luck(effect, found, measured(effect.quantity, before))
    return with_measurement(bare, found, ends, told=not refused)


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
        return short(after)
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
