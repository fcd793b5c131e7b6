"""Do the latencies keep their objectives.

A histogram tells the share of observations below a limit only up to the buckets around it, so there are two shares: if
even the better one misses the objective, it is missed for certain; if only the worse one does, it is possible.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from insight import objectives
from insight.rules.burning import burning
from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.histogram import fraction_at_most, quantile
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.histogram import Histogram
    from metrics.snapshot import Objective
    from metrics.view import SourceView

WINDOW = 60.0
"""Seconds that a latency is judged over: long enough for 20 requests at 1 in 3 s, short enough to see a change."""
MIN_COUNT = 20
"""Fewer observations cannot tell p95 from the maximum."""


class Met(Struct, frozen=True):
    """The share of observations that kept an objective."""

    lo: float
    hi: float
    count: float
    q: float

    @property
    def missed(self) -> bool:
        """The objective is missed for certain."""
        return self.count >= MIN_COUNT and self.hi < self.q


def met_share(observed: Histogram, objective: Objective) -> Met:
    """Bound the share of observations that kept the objective."""
    lo, hi = fraction_at_most(observed, objective.limit) or (1.0, 1.0)
    return Met(lo, hi, observed.count, objective.q)


def objective_for(quantity: str, stated: tuple[Objective, ...]) -> Objective | None:
    """Find the objective of a quantity; of several, that of the highest quantile."""
    return max((each for each in stated if each.quantity == quantity), key=lambda each: each.q, default=None)


def slo(source: SourceView, settings: Settings, firing: bool, *, quantity: str) -> Condition | None:
    """Tell whether an objective of this latency is missed for certain; of several, the one that is missed most."""
    stated = [each for each in settings.objectives if each.quantity == quantity]
    if not stated:
        return None
    if not source.parts(quantity):
        return unknown(f"the server does not tell {objectives.title(quantity)}")
    if settings.timing == "page":
        return burning(source, stated)
    window, observed = _observe(source, quantity, settings.window)
    if observed is None or observed.count == 0:
        return Condition(holds=False, summary="no requests")
    # To begin to fire takes enough observations. To go on, those that there are decide: with the load gone there may
    # never be enough again.
    if observed.count < MIN_COUNT and not firing:
        return unknown(
            f"{units.count(observed.count)} observations in {units.duration(window)}: fewer than {MIN_COUNT}"
        )
    worst, met = max(((each, met_share(observed, each)) for each in stated), key=lambda pair: _shortfall(*pair))
    return HOLDS_NOT if met.lo >= worst.q else _judge(source, worst, met, observed, window)


def _shortfall(objective: Objective, met: Met) -> tuple[float, float]:
    """Tell by how much an objective is missed: for certain, then possibly."""
    return objective.q - met.hi, objective.q - met.lo


def _judge(source: SourceView, objective: Objective, met: Met, observed: Histogram, window: float) -> Condition:
    """Say by how much an objective is missed, for certain or possibly."""
    found = quantile(observed, objective.q)
    limit = units.value(objective.limit, "s")
    text = f"p{objective.q * 100:g} {units.bounds(found, 's')} of {limit}" if found else f"limit {limit}"
    if met.hi >= objective.q:
        return Condition(holds=False, summary=f"possibly missed: {text}")
    seconds = source.seconds(window) or window
    return Condition(
        holds=True,
        summary=f"{text}, {_percent(1 - met.hi)} missed",
        severity=Severity.CRITICAL if met.hi < 0.5 else Severity.WARNING,
        description=_describe(objective, met, observed, seconds) + _where(source, objective.quantity, window),
        evidence=(
            Evidence(
                objective.quantity,
                found.estimate if found else None,
                "s",
                threshold=objective.limit,
                window_seconds=seconds,
                count=observed.count,
                text=text,
                lo=found.lo if found else None,
                hi=found.hi if found else None,
            ),
        ),
        affected=1 - met.hi,
        objective=objective.q,
    )


def _observe(source: SourceView, quantity: str, longest: float) -> tuple[float, Histogram | None]:
    """Collect the last minute; where that is too little, the whole window. The first value is its length."""
    restarted = source.history.restarted_mono
    # What the process before a restart did says nothing of the one that runs now.
    life = math.inf if restarted is None else source.view.mono - restarted
    window = min(WINDOW, life)
    observed = source.histogram(quantity, window)
    if observed is not None and 0 < observed.count < MIN_COUNT and min(longest, life) > window:
        window = min(longest, life)
        observed = source.histogram(quantity, window)
    return window, observed


def _describe(objective: Objective, met: Met, observed: Histogram, window: float) -> str:
    lowest, highest = 1 - met.hi, 1 - met.lo
    share = _percent(lowest) if lowest == highest else f"{_percent(lowest)} to {_percent(highest)}"
    what = "gaps between tokens" if objective.quantity == "itl_seconds" else "requests"
    origin = " (the program's default, nobody stated one)" if objective.default else ""
    return (
        f"{share} of {units.count(observed.count)} {what} in {units.duration(window)} took longer than "
        f"{units.value(objective.limit, 's')}; the objective{origin} allows {_percent(1 - objective.q)}. "
        f"Their mean was {units.value(observed.mean, 's')}."
    )


def _where(source: SourceView, quantity: str, window: float) -> str:
    """Say which part of TTFT is the longer, for the requests that ended in the window; nothing where it is not told."""
    if quantity != "ttft_seconds":
        return ""
    parts = {part: source.histogram(f"{part}_seconds", window) for part in ("queue", "prefill")}
    means = {part: each.mean for part, each in parts.items() if each is not None and each.mean is not None}
    if len(means) < len(parts) or not sum(means.values()):
        return ""
    queue, prefill = means["queue"], means["prefill"]
    longer = "the queue" if queue > prefill else "the prefill"
    return (
        f" Of those that ended, the queue took {units.value(queue, 's')} and the prefill {units.value(prefill, 's')} "
        f"on average: {longer} is the longer part."
    )


def _percent(share: float) -> str:
    return units.value(share, "ratio")


def _rule(quantity: str, impact: str, mitigation: str) -> Rule:
    return Rule(
        id=f"{objectives.short_name(quantity)}_slo",
        title=f"{objectives.title(quantity)} objective missed",
        of=Source.SERVER,
        condition=partial(slo, quantity=quantity),
        live=Timing(5.0, 15.0),
        page=Timing(0.0, 300.0),  # its windows are in the condition: `insight.rules.burning`
        source="the stated objective (by default MLPerf Inference, Server scenario); to page: the SRE workbook's burn",
        impact=impact,
        mitigation=mitigation,
    )


TTFT = _rule(
    "ttft_seconds",
    "high: users wait longer than agreed for the first token",
    "See which part of TTFT is longest: queue (more capacity), prefill (shorter or cached prompts), or the way there.",
)
ITL = _rule(
    "itl_seconds",
    "medium: text comes slower than agreed",
    "Smaller prefill chunks, fewer requests at once, or a faster GPU clock where it is held down.",
)
TPOT = _rule("tpot_seconds", "medium: text comes slower than agreed", "As for ITL.")
E2E = _rule(
    "e2e_seconds", "medium: answers take longer than agreed", "See whether TTFT or the output is the longer part."
)
