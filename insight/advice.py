"""What to do about what was found, in the flags of the server that it was found on.

An effect is given only where it follows from what was measured by arithmetic alone; else `because` says what would have
to be measured.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.causes import ANSWERED_BY_THE_CAUSE, CAUSES, cause
from insight.flags import ADVICE, ANY, CHECK, Action, Advice
from insight.objectives import label
from insight.rules.gpu import CLOCK_SHARE
from insight.rules.latency import objective_for
from insight.rules.queue import RATE_SECONDS
from metrics import units
from metrics.snapshot import Effect, Grade, Recommendation, Risk, RiskState

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.snapshot import Evidence, Target

_NOW = {RiskState.FIRING, RiskState.PENDING}


def recommendations(
    risks: tuple[Risk, ...], targets: tuple[Target, ...], settings: Settings
) -> tuple[Recommendation, ...]:
    """Recommend something for every finding that is under way, in the order of the findings."""
    known = {target.id: target for target in targets}
    under_way = [risk for risk in risks if risk.state in _NOW]
    together: dict[str | None, set[str]] = {}
    for risk in under_way:
        together.setdefault(risk.target, set()).add(risk.id)
    found: list[Recommendation] = []
    for risk in under_way:
        present = together[risk.target]
        if risk.id in ANSWERED_BY_THE_CAUSE and cause(risk.id, present):
            continue
        answers = (risk.id, *(each for each in CAUSES if each in present and cause(each, present) == risk.id))
        target = known.get(risk.target or "")
        found += [_recommend(each, risk, target, answers, present, settings) for each in ADVICE if each.rule == risk.id]
    return tuple(found)


def _recommend(
    advice: Advice, risk: Risk, target: Target | None, answers: tuple[str, ...], present: set[str], settings: Settings
) -> Recommendation:
    engine = target.engine if target else None
    own = advice.actions.get(engine, ()) if engine else ()
    offered = (*own, *advice.actions.get(ANY, ()))
    actions = [
        each
        for each in offered
        if each.not_with not in present and (each.now is None or _value_in_force(each.now, target) not in each.done)
    ]
    written = [_write(action, target) for action in actions]
    if any(action.restart for action in actions):
        written.append(CHECK)
    if not written:
        written = [risk.mitigation]
    effect, because = _EFFECTS.get(advice.id, _unestimated)(advice, risk, settings)
    return Recommendation(
        advice.id, advice.title, tuple(written), effect, (risk.summary, *because), answers, risk.target
    )


def _write(action: Action, target: Target | None) -> str:
    """Write an action with the value in force and whether it takes a restart."""
    notes: list[str] = []
    if action.now is not None:
        value = _value_in_force(action.now, target)
        notes.append(f"now {value}" if value else "now: not told by the server")
    if action.restart:
        notes.append("takes a restart")
    return f"{action.text} ({'; '.join(notes)})" if notes else action.text


def _value_in_force(name: str, target: Target | None) -> str | None:
    if target is None:
        return None
    measure = target.quantities.get(name)
    if measure is not None and measure.value is not None:
        return units.value(measure.value, measure.unit)
    return target.facts.get(name)


def _unestimated(advice: Advice, risk: Risk, settings: Settings) -> tuple[None, tuple[str, ...]]:
    del risk, settings
    return None, (advice.because,)


def _queue_cap(advice: Advice, risk: Risk, settings: Settings) -> tuple[Effect | None, tuple[str, ...]]:
    """Bound the wait of what is accepted: by Little's law n waiting at r finished a second wait n / r.

    vLLM's limit is on all that is in flight (`SchedulerConfig.max_num_queued_reqs`, 0.32: "waiting or running"), so the
    batch comes on top; a limit on the queue alone would cut the batch down.
    """
    rate, delay = _evidence(risk, "requests_finished"), _evidence(risk, "expected_wait_seconds")
    objective = objective_for("ttft_seconds", settings.objectives)
    if objective is None or rate is None or not rate.value or delay is None:
        return None, (advice.because,)
    running = _evidence(risk, "requests_running")
    most = math.floor(rate.value * objective.limit)
    if most < 1 or running is None or running.value is None:
        return None, (f"at {units.rate(rate.value)} finished even one request that waits misses {label(objective)}",)
    effect = Effect(
        "expected_wait_seconds",
        now=delay.value,
        lo=0.0,
        mid=None,
        hi=most / rate.value,
        unit="s",
        basis="bound",
        grade=Grade.C,
        assumptions=(f"it goes on finishing {units.rate(rate.value)}", "the prefill comes on top of the wait"),
    )
    limit = units.value(objective.limit, "s")
    in_flight = round(running.value) + most
    return effect, (
        (
            f"N = {in_flight}: {units.count(running.value)} that run, and {most} that may wait, which is "
            f"{units.rate(rate.value)} finished times the {limit} of {label(objective)}"
        ),
    )


def _capacity(advice: Advice, risk: Risk, settings: Settings) -> tuple[None, tuple[str, ...]]:
    """Tell the capacity that was measured: what finished while a queue stood all the time."""
    del settings
    rate = _evidence(risk, "requests_finished")
    stood = risk.state is RiskState.FIRING and (risk.seconds_in_state or 0.0) >= RATE_SECONDS
    if rate is None or rate.value is None or not stood:
        return None, (advice.because,)
    measured = (
        f"measured: with a queue all the time it finishes {units.rate(rate.value)}, which is its capacity for this load"
    )
    return None, (measured, advice.because)


def _cooling(advice: Advice, risk: Risk, settings: Settings) -> tuple[Effect | None, tuple[str, ...]]:
    """Bound what cooling brings by the clock that is lost."""
    del settings
    clock = _evidence(risk, "sm_clock_hertz")
    if clock is None or clock.value is None or clock.threshold is None or risk.state is not RiskState.FIRING:
        return None, (advice.because,)
    highest = clock.threshold / CLOCK_SHARE
    effect = Effect(
        "sm_clock_hertz",
        now=clock.value,
        lo=clock.value,
        mid=None,
        hi=highest,
        unit="Hz",
        basis="bound",
        grade=Grade.C,
        assumptions=("prefill gains at most in proportion to the clock, decode less: it is bound by memory",),
    )
    return effect, (advice.because,)


_EFFECTS = {"admission_control": _queue_cap, "scale_out": _capacity, "cool_gpu": _cooling}


def _evidence(risk: Risk, quantity: str) -> Evidence | None:
    return next((each for each in risk.evidence if each.quantity == quantity), None)
