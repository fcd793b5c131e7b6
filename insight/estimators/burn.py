"""E6: how fast an error budget is burnt, over several windows at once.

bad = 1 - F(limit) from the increases of buckets, burn = bad / (1 - objective): 1 spends the budget just in its period.
A pair of windows, the short one a twelfth of the long, alerts soon and resets soon (the SRE workbook, chapter 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.effects import unknown
from insight.quality.statistics import wilson
from metrics.effect import Effect, Grade
from metrics.histogram import fraction_at_most

if TYPE_CHECKING:
    from metrics.histogram import Histogram

PERIOD = 30 * 86_400.0
"""Seconds that a budget is for."""
FEWEST = 30
"""Observations in the short window: below that one slow request is a burn."""


class Burn(Struct, frozen=True):
    """The burn of one window. 14 is fourteen times as fast as the budget allows."""

    certain: float
    """If what lies between two buckets' bounds is good."""
    possible: float
    """If it is bad."""
    lo: float
    hi: float
    """The 95 % interval of both together (Wilson)."""
    n: int
    seconds: float
    """Real length of the window."""


class Pair(Struct, frozen=True):
    """Two windows over both of which a burn must hold."""

    long: float
    short: float
    factor: float
    page: bool
    """Whether somebody is to be woken."""

    @property
    def budget(self) -> float:
        """Share of the budget of 30 days that is gone when the long window ends."""
        return self.factor * self.long / PERIOD

    def reachable(self, objective: float) -> bool:
        """Tell whether all requests being bad would be enough: 14.4 never is below an objective of 93.1 %."""
        return 1 / (1 - objective) >= self.factor


PAIRS = (
    Pair(3600.0, 300.0, 14.4, page=True),
    Pair(6 * 3600.0, 1800.0, 6.0, page=True),
    Pair(3 * 86_400.0, 6 * 3600.0, 1.0, page=False),
)
"""2 % of the budget in an hour, 5 % in six, 10 % in three days."""


def burn(observed: Histogram, limit: float, objective: float, seconds: float) -> Burn | None:
    """Give the burn of an objective (a share: 0.99) that latencies be at most `limit`; None where nothing was seen.

    A limit between two bucket bounds leaves two answers; only the kinder one is certain.
    """
    if not 0 < objective < 1:
        raise ValueError(f"an objective is a share between 0 and 1, not {objective}: write 0.99 for 99 %")
    good = fraction_at_most(observed, limit)
    n = round(observed.count)
    if good is None or n <= 0:
        return None
    least, most = (1 - good[1], 1 - good[0])
    low, high = wilson(round(least * n), n), wilson(round(most * n), n)
    if low is None or high is None:
        return None
    budget = 1 - objective
    return Burn(max(0.0, least) / budget, most / budget, low.lo / budget, high.hi / budget, n, seconds)


def burns(pair: Pair, long: Burn | None, short: Burn | None) -> bool | None:
    """Tell whether a pair alerts: the certain burn of both windows is at its factor; None where too little was seen.

    The long window may be shorter than asked for in a young session; the caller says so with its real seconds.
    """
    if long is None or short is None or short.n < FEWEST:
        return None
    # 0.01 / (1 - 0.99) is 1 but for the last digit of a float.
    return min(long.certain, short.certain) * (1 + 1e-9) >= pair.factor


def spent(bad_share: float, seconds: float, objective: float, period: float = PERIOD) -> float:
    """Give the share of a period's budget that so many seconds with so many bad requests spend.

    f * d / ((1 - o) * period): traffic is taken as even.
    """
    return bad_share * seconds / ((1 - objective) * period)


def exhaustion(found: Burn | None, remaining: float, period: float = PERIOD) -> Effect:
    """Tell in how many seconds the budget is gone: remaining share * period / burn, if the burn goes on."""
    if found is None or found.n < FEWEST:
        return unknown("time_to_exhaustion", "s", f"{FEWEST} requests or more in the window")
    if found.hi <= 0 or found.possible <= 0:
        return unknown("time_to_exhaustion", "s", "a request that misses its objective: none did in this window")
    left = max(0.0, remaining) * period
    middle = (found.certain + found.possible) / 2
    return Effect(
        "time_to_exhaustion",
        now=None,
        lo=left / found.hi,
        mid=left / middle,
        hi=left / found.lo if found.lo > 0 else None,
        unit="s",
        basis="model",
        grade=Grade.C,
        assumptions=("the burn goes on", f"{remaining:.0%} of the budget is left"),
        n=found.n,
        window_seconds=found.seconds,
    )
