"""How many requests keep all of their objectives at once, as far as the histograms of a server bound it.

Each histogram tells the share of requests that kept one objective; which requests those are it does not tell. The share
that kept all of them lies between the two ends of Frechet's inequality: max(0, sum of shares - (k - 1)) and the
smallest share.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.rules.latency import MIN_COUNT, WINDOW, met_share, objective_for
from insight.rules.rule import Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.rules.latency import Met
    from insight.settings import Settings
    from metrics.view import SourceView

OF_A_REQUEST = ("ttft_seconds", "tpot_seconds", "e2e_seconds")
"""One value to a request each; inter-token latencies have many, and say nothing of how many requests they are."""
TO_LEAVE = 0.01


def goodput(source: SourceView, settings: Settings, firing: bool) -> Condition | None:
    """Tell whether fewer requests than the objectives promise together kept all of them, for certain.

    Objectives that each promise q promise 1 - sum(1 - q) together. Not asked with fewer than two that are of a request.
    """
    stated = [found for each in OF_A_REQUEST if (found := objective_for(each, settings.objectives)) is not None]
    if len(stated) < 2 or not all(source.parts(each.quantity) for each in stated):
        return None
    met: list[Met] = []
    for objective in stated:
        observed = source.histogram(objective.quantity, WINDOW)
        if observed is None or observed.count < MIN_COUNT:
            return unknown(f"fewer than {MIN_COUNT} requests in {units.duration(WINDOW)}")
        met.append(met_share(observed, objective))
    least, most = max(0.0, math.fsum(each.lo for each in met) - (len(met) - 1)), min(each.hi for each in met)
    promised = max(0.0, 1 - math.fsum(1 - each.q for each in stated))
    text = f"{_percent(least)} to {_percent(most)} of the requests kept all {len(stated)} objectives"
    if most >= promised + (TO_LEAVE if firing else 0.0):
        return Condition(holds=False, summary=text)
    count = min(each.count for each in met)
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.INFO,
        description=(
            f"{text}, of {units.count(count)} in {units.duration(WINDOW)}; together the objectives promise "
            f"{_percent(promised)}. Bounds, because histograms do not tell which requests are the same."
        ),
        evidence=(Evidence("goodput", most, "ratio", promised, WINDOW, count=count, text=text, lo=least, hi=most),),
        affected=1 - most,
        objective=promised,
    )


def _percent(share: float) -> str:
    return units.value(share, "ratio")


GOODPUT = Rule(
    id="goodput_slo",
    title="Goodput below the objectives",
    of=Source.SERVER,
    condition=goodput,
    live=Timing(10.0, 30.0),
    page=Timing(600.0, 600.0),
    source="the stated objectives together, by Frechet's bounds",
    impact="medium: these requests broke at least one promise",
    mitigation="See which objective is missed most: what helps that one helps the goodput.",
)
