"""E11: whether speculative decoding pays.

A step with drafts gives a = 1 + accepted / drafts tokens and takes longer than one without. It pays where
a > s_on / s_off, the break-even. The geometric formula (1 - p^(k+1)) / (1 - p) is not used: acceptance is
autocorrelated, and it promises too much.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.effects import Z90, unknown

if TYPE_CHECKING:
    from metrics.effect import Effect

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


def accepted_length(drafts: float, accepted: float, drafted: float | None = None) -> AcceptedLength | None:
    """Give a = 1 + accepted / drafts with its 90 % interval; None with fewer than 100 drafts.

    A draft of k tokens is accepted up to its first wrong one, so that the variance is at most mean * (k - mean) (Bhatia
    and Davis 2000); without k it is taken as that of a geometric number. That acceptance is autocorrelated makes the
    truth somewhat wider.
    """
    if drafts < FEWEST_DRAFTS:
        return None
    mean = accepted / drafts
    variance = mean * (1 + mean) if drafted is None else mean * (drafted / drafts - mean)
    half = Z90 * math.sqrt(max(0.0, variance) / drafts)
    waste = 1 - accepted / drafted if drafted else None
    return AcceptedLength(1 + max(0.0, mean - half), 1 + mean, 1 + mean + half, drafts, waste)


def switched_off(length: AcceptedLength | None, step_on: float) -> Effect:
    """Say up to which step time without speculation it pays: that of now, s_on / a, is the mean ITL (s) of now.

    The step time without it at the same batch is on no server's page while it is on, so there is no prediction.
    """
    if length is None:
        return unknown("itl_seconds", "s", f"{FEWEST_DRAFTS} drafts or more")
    now = step_on / length.value
    needs = (
        f"the step time without speculation at the same batch: it pays if that is above {now * 1e3:.3g} ms, "
        f"which is {step_on * 1e3:.3g} ms a step / {length.value:.3g} tokens accepted a step"
    )
    return unknown("itl_seconds", "s", needs, now)
