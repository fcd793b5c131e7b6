"""What is lost if a finding comes: how many requests, for how long, and how much of the error budget that is.

Likelihood and impact are told apart and never multiplied into a score.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.burn import PAIRS, PERIOD, spent
from metrics import units

if TYPE_CHECKING:
    from collections.abc import Sequence

REPAIR_SECONDS = 1800.0
"""Where no episode has ended yet, an outage is taken to last so long."""
HIGH_BURN, MEDIUM_BURN = PAIRS[0].factor, 1.0
"""14.4: pages by the SRE workbook; 1: spends the budget just in its period."""
HIGH_COST = 0.2
"""A share of the cost from which waste is of medium impact."""
SILENT = frozenset({"cache_inconsistency", "ecc_uncorrected", "quality_regression"})
"""Wrong answers that no latency shows: high at least, whatever the share."""
UNAVAILABLE = frozenset({"server_unreachable", "stuck_server"})
"""A server that serves nobody."""


class Impact(Struct, frozen=True):
    """What an episode costs."""

    bin: str
    """`high`, `medium` or `low`."""
    text: str
    """With the numbers."""
    affected: float
    """Share of the requests that are hit while it lasts."""
    seconds: float
    """How long it lasts."""
    budget: float
    """Share of a 30 day error budget that one episode spends; above 1 it is more than all."""
    burn: float
    """How many times as fast as the budget allows, while it lasts."""


def impact(
    affected: float,
    past: Sequence[float],
    objective: float,
    words: str = "",
    *,
    unavailable: bool = False,
    silent: bool = False,
) -> Impact:
    """Judge an episode by the share of requests hit, what past episodes lasted (s), and the objective (0.99).

    `words` say what it means for who waits for an answer.

    burn = f / (1 - o); budget = f * d / ((1 - o) * 30 d) with d the median of the past, or half an hour without one.
    """
    seconds = median(past) if past else REPAIR_SECONDS
    burn, budget = affected / (1 - objective), spent(affected, seconds, objective)
    # 0.01 / (1 - 0.99) is 1 but for the last digit of a float.
    reached = burn * (1 + 1e-9)
    high = unavailable or silent or reached >= HIGH_BURN
    name = "high" if high else "medium" if reached >= MEDIUM_BURN else "low"
    why = f"{words}; " if words else ""
    lasts = f"{units.duration(seconds)} ({_known(past)})"
    text = (
        f"{name}: {why}{_percent(affected)} of requests for {lasts}, "
        f"{_percent(budget)} of the budget of {units.duration(PERIOD)} at {objective:.4g}"
    )
    return Impact(name, text, affected, seconds, budget, burn)


def of_lost_replica(replicas: int) -> float:
    """Give the share of the requests that one lost replica hits: 1 / n, all of them where there is but one."""
    return 1 / max(1, replicas)


def of_cost(wasted: float) -> str:
    """Judge a share of the cost that is wasted."""
    return f"{'medium' if wasted > HIGH_COST else 'low'}: {_percent(wasted)} of the cost, no service"


def _known(past: Sequence[float]) -> str:
    if not past:
        return "assumed: no episode has ended yet"
    return "the one before" if len(past) == 1 else f"median of {len(past)}"


def _percent(share: float) -> str:
    return f"{units.digits(share * 100, 2)} %"
