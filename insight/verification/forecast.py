"""The forecast that the step-time model makes by itself: of another load, or another limit of the scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight.estimators.effects import unknown
from insight.estimators.forecast import predictive
from insight.estimators.step_time import StepTime, fit
from insight.estimators.steps import Limits
from insight.estimators.traffic import observed
from insight.verification.followed import is_number
from insight.verification.metric import ITL
from insight.verification.prediction import LEAST_SECONDS, Prediction, foretold, measured, short, with_measurement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.verification.settings import Setting
    from insight.verification.side import Side
    from metrics.effect import Effect

SIMULATED_SECONDS = 300.0
"""Of a longer time the predictive interval is that of so much, which is wider: 80 draws of it take 1.5 s."""
STEP_TIME = "step_time_model"
"""Id of the forecast that the step-time model makes by itself, of another load or another limit of the scheduler."""
_SCHEDULING = frozenset(
    (
        *("flag_max_num_seqs", "max_running_requests", "flag_max_num_batched_tokens", "flag_max_num_queued_reqs"),
        *("enable_prefix_caching", "flag_enable_prefix_caching"),
    )
)
"""Settings that change which work is done when, and not what a step of so much work costs."""


def by_model(before: Side, after: Side, settings: Sequence[Setting]) -> Prediction | None:
    """Hold the step-time model of `before` against ITL under the load and the limits of `after`.

    None where something was changed that changes what a step costs, or nothing was; and where nothing is known of both.
    """
    names = {each.name for each in settings}
    if not names or not names <= _SCHEDULING or not before.windows or not after.windows:
        return None
    title = "ITL by the step-time model of before, at the load of after"
    changed = ", ".join(f"{each.name.removeprefix('flag_')} {each.before} -> {each.after}" for each in settings)
    effect = _forecast(before, after)
    bare = foretold(STEP_TIME, title, effect, after.seconds, effect.needs or changed)
    found = measured(ITL.id, after)
    if isinstance(found, str):
        return replace(bare, why=found)
    return with_measurement(bare, found, (effect.lo, effect.hi), told=effect.mid is not None)


def _forecast(before: Side, after: Side) -> Effect:
    """Foretell ITL for the load and the limits of `after`; unknown, with the reason, where that cannot be done."""
    if after.seconds < LEAST_SECONDS:
        return unknown(ITL.id, "s", short(after))
    model = fit(before.windows)
    if not isinstance(model, StepTime):
        return unknown(ITL.id, "s", f"there is no step-time model of {before.label}: {model.reason}")
    traffic = observed(after.windows, after.observed("prompt_tokens"), after.observed("output_tokens"))
    if traffic is None:
        return unknown(ITL.id, "s", f"{after.label} has no requests")
    return predictive(model, traffic, _limits(after), min(after.seconds, SIMULATED_SECONDS))


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
