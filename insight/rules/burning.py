"""Is an error budget burnt so fast that somebody has to be woken: the windows of the SRE workbook, chapter 5.

For who is paged it takes the place of the last minute (`insight.rules.latency`). A pair of windows is asked once its
short one is whole; a long one that nobody has watched for so long is taken as far as it goes, and the text says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.burn import FEWEST, PAIRS, Burn, Pair, burn, burns, exhaustion, spent
from insight.rules.rule import HOLDS_NOT, Condition, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.snapshot import Objective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.view import SourceView

WHOLE = 0.95
"""Of a window's length: polls do not lie on its ends."""


class Burning(Struct, frozen=True):
    """A pair of windows over both of which the budget of an objective burns too fast."""

    objective: Objective
    pair: Pair
    long: Burn
    short: Burn

    @property
    def text(self) -> str:
        """Say how fast: `burn 16 over 1 h, 18 over 5 min`."""
        truncated = self.long.seconds < WHOLE * self.pair.long
        cut = f" (window truncated from {units.duration(self.pair.long)})" if truncated else ""
        return (
            f"burn {units.digits(self.long.certain, 2)} over {units.duration(self.long.seconds)}{cut}, "
            f"{units.digits(self.short.certain, 2)} over {units.duration(self.short.seconds)}"
        )


def burning(source: SourceView, objectives: Sequence[Objective]) -> Condition:
    """Tell whether the budget of any of these objectives burns too fast over any pair of windows; the worst of them."""
    told = False
    for pair in PAIRS:
        for objective in objectives:
            if not pair.reachable(objective.q) or _watched(source) < WHOLE * pair.short:
                continue
            long, short = (_burn(source, objective, seconds) for seconds in (pair.long, pair.short))
            found = burns(pair, long, short)
            if found and long is not None and short is not None:
                return _condition(Burning(objective, pair, long, short))
            told = told or found is not None
    return HOLDS_NOT if told else unknown(f"fewer than {FEWEST} observations in {units.duration(PAIRS[0].short)}")


def _watched(source: SourceView) -> float:
    return source.view.mono - source.history.first_mono


def _burn(source: SourceView, objective: Objective, seconds: float) -> Burn | None:
    observed = source.histogram(objective.quantity, seconds)
    return (
        None if observed is None else burn(observed, objective.limit, objective.q, source.seconds(seconds) or seconds)
    )


def _condition(found: Burning) -> Condition:
    objective, pair, long = found.objective, found.pair, found.long
    limit = units.value(objective.limit, "s")
    bad = long.certain * (1 - objective.q)
    gone = spent(bad, long.seconds, objective.q)
    left = exhaustion(long, 1 - gone)
    until = (
        f"; if it goes on, and none was spent before, the rest lasts {units.duration(left.mid)}"
        if left.mid is not None
        else ""
    )
    return Condition(
        holds=True,
        summary=found.text,
        severity=Severity.CRITICAL if pair.page else Severity.WARNING,
        description=(
            f"{units.value(bad, 'ratio')} of {units.count(long.n)} observations took longer than {limit}, where "
            f"{units.value(1 - objective.q, 'ratio')} may: {found.text}; the limit of both is {pair.factor:g}. "
            f"That is {units.value(gone, 'ratio')} of the budget of 30 d{until}."
        ),
        evidence=tuple(
            Evidence(
                objective.quantity,
                each.certain,
                "1",
                threshold=pair.factor,
                window_seconds=each.seconds,
                count=float(each.n),
                text=f"burn {units.digits(each.certain, 2)}",
                lo=each.lo,
                hi=each.hi,
            )
            for each in (long, found.short)
        ),
        affected=found.short.certain * (1 - objective.q),
        objective=objective.q,
    )
