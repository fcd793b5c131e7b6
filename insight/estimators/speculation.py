"""E11: whether speculative decoding pays.

A step with drafts gives a = 1 + accepted / drafts tokens and takes longer than one without. It pays where
a > s_on / s_off, the break-even. The geometric formula (1 - p^(k+1)) / (1 - p) is not used: acceptance is
autocorrelated, and it promises too much. Counts per position say it exactly.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.effects import Z90, unknown
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FEWEST_DRAFTS = 100
"""Below this the accepted length says more about few requests than about the drafts."""


class AcceptedLength(Struct, frozen=True):
    """Tokens that a step gives, the one of the model itself included."""

    lo: float
    value: float
    hi: float
    drafts: float
    waste: float | None
    """Drafted tokens that were thrown away / drafted tokens."""


def accepted_length(
    drafts: float, accepted: float, drafted: float | None = None, per_position: Sequence[float] = ()
) -> AcceptedLength | None:
    """Give a = 1 + accepted / drafts with its 90 % interval; None with fewer than 100 drafts.

    A draft is accepted up to its first wrong token, so the counts accepted at position i = 1, 2, ... give the variance
    exactly: E[A^2] = sum((2i - 1) * P(A >= i)). Without them it is at most mean * (k - mean) for k tokens a draft
    (Bhatia and Davis 2000). That acceptance is autocorrelated makes the truth somewhat wider.
    """
    if drafts < FEWEST_DRAFTS:
        return None
    mean = accepted / drafts
    if per_position:
        variance = math.fsum((2 * i + 1) * count / drafts for i, count in enumerate(per_position)) - mean**2
    elif drafted is not None:
        variance = mean * (drafted / drafts - mean)
    else:
        variance = mean * (1 + mean)
    half = Z90 * math.sqrt(max(0.0, variance) / drafts)
    waste = 1 - accepted / drafted if drafted else None
    return AcceptedLength(1 + max(0.0, mean - half), 1 + mean, 1 + mean + half, drafts, waste)


def break_even(step_on: float, step_off: float) -> float:
    """Give the accepted length at which speculation begins to pay: s_on / s_off at the same batch."""
    return step_on / step_off


def switched_off(length: AcceptedLength | None, step_on: float, step_off: tuple[float, float, float] | None) -> Effect:
    """Predict the mean ITL (s) without speculation: s_off, where now it is s_on / a.

    `step_off` is lo, mid and hi of the step time at the same batch with speculation off, measured or fitted then.
    Without it there is no prediction; `needs` says up to which s_off speculation pays.
    """
    if length is None:
        return unknown("itl_seconds", "s", f"{FEWEST_DRAFTS} drafts or more")
    now = step_on / length.value
    if step_off is None:
        needs = (
            f"the step time without speculation at the same batch: it pays if that is above {now * 1e3:.3g} ms, "
            f"which is {step_on * 1e3:.3g} ms a step / {length.value:.3g} tokens accepted a step"
        )
        return unknown("itl_seconds", "s", needs, now)
    lo, mid, hi = step_off
    return Effect(
        "itl_seconds",
        now=now,
        lo=lo,
        mid=mid,
        hi=hi,
        unit="s",
        basis="model",
        grade=Grade.B,
        assumptions=(
            f"{length.value:.3g} tokens accepted a step ({length.lo:.3g} to {length.hi:.3g})",
            f"break-even at {break_even(step_on, mid):.3g}",
        ),
        n=length.drafts,
        valid_if=("the batch stays as it is: the larger it is, the dearer is a draft",),
    )


def best_length(
    drafts: float, per_position: Sequence[float], step_time: Callable[[int], float | None]
) -> tuple[int, float] | None:
    """Find the drafted tokens k, from 0 to those drafted now, with the least seconds a token: (k, s(k) / a(k)).

    a(k) = 1 + sum of the first k acceptances; `step_time` gives s(k), None where it is not known. No longer draft than
    today's is judged: nobody saw its acceptance.
    """
    if drafts < FEWEST_DRAFTS:
        return None
    found: list[tuple[float, int]] = []
    length = 1.0
    for k in range(len(per_position) + 1):
        length += per_position[k - 1] / drafts if k else 0.0
        step = step_time(k)
        if step is not None:
            found.append((step / length, k))
    if not found:
        return None
    seconds, k = min(found)
    return k, seconds
