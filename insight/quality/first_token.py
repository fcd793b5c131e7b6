"""How sure a model is of the first token of its answer, warm against cold: a cache spoils that before any word.

`cache_inconsistency` shows it as evidence where it fires; it fires by the answers alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.quality.consistency import rounds, was_warm, were_cold
from insight.quality.statistics import Interval, bootstrap_difference
from metrics.quality import Arm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metrics.quality import Graded


class FirstToken(Struct, frozen=True):
    """Mean absolute differences (L1) of the log-probability of the first token, over the rounds that tell all three.

    That a warm cache shifts it at all is no fault: a prompt worked on in parts is rounded otherwise. Two healthy
    servers on a CPU, 16 rounds each: a llama-server (0c1e570) 0.0003 warm and 0 cold, a vLLM (0.32) 0 both times.
    """

    warm: float
    """Between a cold and a warm cache."""
    cold: float
    """Between a cold cache and a cold one: the base rate."""
    excess: Interval
    """Of the first over the second, round by round, with its paired bootstrap interval."""


def first_token(graded: Iterable[Graded]) -> FirstToken | None:
    """Compare the arms of each item and round, all of one server; None where no round tells its three probabilities.

    What the server says of its cache wins over what was asked for, as in `insight.quality.consistency`.
    """
    pairs = [pair for arms in rounds(graded) if (pair := _differences(arms)) is not None]
    excess = bootstrap_difference(pairs)
    if excess is None:
        return None
    return FirstToken(
        warm=math.fsum(warm for _, warm in pairs) / len(pairs),
        cold=math.fsum(cold for cold, _ in pairs) / len(pairs),
        excess=excess,
    )


def _differences(arms: Mapping[Arm, Graded]) -> tuple[float, float] | None:
    """Tell how far the second cold answer, and the warm one, are from the first cold one."""
    if not (were_cold(arms) and was_warm(arms)):
        return None
    cold, warm, again = (arms[each].first_logprob for each in (Arm.COLD, Arm.WARM, Arm.AGAIN))
    if cold is None or warm is None or again is None:
        return None
    return abs(again - cold), abs(warm - cold)
