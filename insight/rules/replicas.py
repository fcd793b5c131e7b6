"""Do servers of one model, or the engines of one server, share the work."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.measure import total_gauge
from metrics.sample import Source, State
from metrics.series import split_series

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView, View

SECONDS = 20.0
UNEVEN = 1.5
UNEVEN_TO_LEAVE = 1.3

Loads = dict[str | None, dict[str, tuple[float, float] | None]]
"""Requests that run and that wait, by model and server."""
_known: WeakKeyDictionary[View, Loads] = WeakKeyDictionary()
"""Each of a hundred servers asks at each tick, and what it is told is the same; it goes with its View."""


def replica_imbalance(source: SourceView, settings: Settings, firing: bool) -> Condition | None:
    """Tell whether requests wait here while others of the same kind have fewer to work on and none waiting.

    Asked where there are several servers of one model, or one page tells of several engines; else not at all.
    """
    del settings
    alike = _alike(source.view).get(source.facts.get("model"), {})
    loads = alike if len(alike) > 1 else _engines(source) if alike else {}
    if len(loads) < 2:
        return None
    known = {name: load for name, load in loads.items() if load is not None}
    mine = max(known, key=lambda each: known[each][0], default="") if len(alike) < 2 else source.id
    if len(known) < 2 or mine not in known:
        return unknown("fewer than two of them tell how many requests run and wait")
    running, waiting = known[mine]
    mean = math.fsum(each for each, _ in known.values()) / len(known)
    rested = [name for name, (_, queue) in known.items() if queue < 1 and name != mine]
    if waiting < 1 or not rested or not mean or running / mean <= (UNEVEN_TO_LEAVE if firing else UNEVEN):
        return HOLDS_NOT
    text = f"{units.count(round(running))} running and {units.count(round(waiting))} waiting on {mine}"
    usual = f"{units.count(round(mean))} on average over {len(known)}, none waiting on {len(rested)} of them"
    return Condition(
        holds=True,
        summary=f"{text}; {usual}",
        severity=Severity.WARNING,
        description=f"{text}; {usual}, over {units.duration(SECONDS)}.",
        evidence=(
            Evidence(
                "requests_running",
                running / mean,
                "ratio",
                threshold=UNEVEN,
                window_seconds=SECONDS,
                count=float(len(known)),
                text=text,
            ),
        ),
    )


def _alike(view: View) -> Loads:
    """Tell the loads of the servers that answer, by their model and their id."""
    if view not in _known:
        _known[view] = _loads(view)
    return _known[view]


def _loads(view: View) -> Loads:
    loads: Loads = {}
    for each in view.all(Source.SERVER):
        if each.state is State.OK:
            loads.setdefault(each.facts.get("model"), {})[each.id] = _load(each)
    return loads


def _load(source: SourceView) -> tuple[float, float] | None:
    now = source.view.mono
    running, waiting = (total_gauge(source, each, SECONDS, now) for each in ("requests_running", "requests_waiting"))
    return None if running is None or waiting is None else (running, waiting)


def _engines(source: SourceView) -> dict[str, tuple[float, float] | None]:
    """Tell the load of each engine of one server; they are told apart by their labels."""
    loads: dict[str, tuple[float, float] | None] = {}
    waits = {split_series(name)[1]: name for name in source.parts("requests_waiting")}
    for part in source.parts("requests_running"):
        labels = split_series(part)[1]
        running, queue = source.gauge_over(part, SECONDS), waits.get(labels)
        waiting = source.gauge_over(queue, SECONDS) if queue else None
        name = " ".join(f"{label} {value}" for label, value in labels) or source.id
        loads[name] = None if running is None or waiting is None else (running.mean, waiting.mean)
    return loads


IMBALANCE = Rule(
    id="replica_imbalance",
    title="Replicas share unevenly",
    of=Source.SERVER,
    condition=replica_imbalance,
    live=Timing(10.0, 20.0),
    page=Timing(600.0, 600.0),
    source="over 1.5 times the mean of those of the same model while others have no queue: our default",
    impact="medium: requests wait although another server is free",
    mitigation="Route by the fewest requests under way, or by prefix with a limit on how uneven it may become.",
)
