"""How far a step-time model may be taken beyond what it was fitted on, and how wide its intervals are then.

R2 does not protect: cost shapes that fit equally well up to the batch that was seen are up to 42 % apart at four times
that batch. So the interval is what resampling leaves open, and on top of that what was seen of other shapes on real
engines. k is the batch that is asked about over the batch that was seen:

| k | systematic | grade |
| --- | --- | --- |
| to 2 | 10 % | B (seen: within 4 %) |
| to 4.5, from a load of 0.4 on | 20 % | C (seen: 0 to +6 %; -17 % with another process on the core) |
| beyond | no value: at least what holds at twice the batch seen, less 10 % | C (held in 5 of 5) |
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.estimators.effects import around
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.estimators.step_time import StepTime

NEAR, FAR = 2.0, 4.5
NEAR_SHARE, FAR_SHARE = 0.1, 0.2
FAR_LOAD = 0.4
"""Farther than `NEAR` only from a fit that saw so high a load."""
BOUND_SHARE = 0.1
"""What is taken off a bound."""
SATURATED = 0.85
"""From this load on the mean ITL hangs on the luck of arrivals more than on anything known: no value is given."""
OTHER_OUTPUT = 0.25
"""Outputs may be longer or shorter by so much: reading the KV cache costs more as contexts grow (capacity was 14 % too
high at 3.6 times the output)."""
SAME_MIX = 0.1
"""Mean lengths that differ by no more are the same mix."""


def systematic(model: StepTime, batch: float) -> tuple[float, Grade] | None:
    """Give the systematic error, as a share, and the grade of what is said of a batch; None: only a bound holds."""
    k = batch / model.batch
    if k <= NEAR:
        return NEAR_SHARE, Grade.B
    if k <= FAR and model.load >= FAR_LOAD:
        return FAR_SHARE, Grade.C
    return None


def interval(mid: float, drawn: Sequence[float], share: float) -> tuple[float, float]:
    """Give the 5-95 % interval of what was drawn around `mid`, widened on each side by a share of `mid`.

    The two errors are independent, so their squares add.
    """
    lo, hi = around(mid, drawn)
    return max(0.0, mid - math.hypot(mid - lo, share * mid)), mid + math.hypot(hi - mid, share * mid)


def mix_refused(model: StepTime, prompt: float, output: float) -> str:
    """Say what would have to be measured to speak of this mix of lengths; empty where it may be spoken of."""
    if abs(output / model.output - 1.0) > OTHER_OUTPUT:
        return f"traffic with about {output:.0f} output tokens: the fit is of {model.output:.0f}"
    same = abs(output / model.output - 1.0) <= SAME_MIX and abs(prompt / max(model.prompt, 1.0) - 1.0) <= SAME_MIX
    if not same and not model.tells_apart:
        return "more windows, in which prompts and outputs vary apart: so far their costs cannot be told apart"
    return ""


def modelled(
    model: StepTime,
    quantity: str,
    unit: str,
    now: float | None,
    between: tuple[float, float, float],
    grade: Grade,
    assumptions: tuple[str, ...],
) -> Effect:
    """Give an effect that the model foretells: (lo, mid, hi), with what the fit rests on."""
    lo, mid, hi = between
    fitted = f"step cost {model.cost.alpha * 1e3:.3g} ms + {model.cost.beta * 1e3:.3g} ms a request decoding + "
    return Effect(
        quantity,
        now=now,
        lo=lo,
        mid=mid,
        hi=hi,
        unit=unit,
        basis="model",
        grade=grade,
        assumptions=(*assumptions, f"{fitted}{model.cost.gamma * 1e6:.3g} µs a prompt token (R2 {model.r2:.2f})"),
        n=model.windows,
        window_seconds=model.seconds,
        valid_if=_VALID_IF,
    )


_VALID_IF = (
    "prompts, outputs and the hit rate of the prefix cache stay as they are",
    "disproved if the mean ITL over a window leaves the predictive interval for its length",
)
