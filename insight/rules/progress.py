"""Does the server make progress: the engine may stand still behind a front end that answers every poll."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.histogram import merge, quantile
from metrics.measure import total_gauge
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.histogram import Histogram
    from metrics.view import SourceView

STEP_COUNTERS = ("engine_steps",)
PROGRESS_COUNTERS = (
    *STEP_COUNTERS,
    "output_tokens_total",
    "prompt_tokens_total",
    "prompt_tokens_computed",
    "requests_finished",
)
"""If any of these grows, the engine works."""
SUSPECT_SECONDS = 5.0
"""A standstill of so long is worth a word, and nothing is called well meanwhile: known engines make several steps a
second."""
SUSPECT_LUMPY_SECONDS = 20.0
"""The same where every counter moves only when a request ends, and one was seen to move."""
STILL_SECONDS = 10.0
"""Shortest standstill of a server that counts its steps and tells how long they take."""
STILL_UNKNOWN_STEP_SECONDS = 30.0
"""The same where it is not known how long a prefill takes here: one long prompt can be a step of that length."""
STILL_LUMPY_SECONDS = 60.0
"""The same where every counter moves only when a request ends."""
HISTORY_SECONDS = 3600.0
"""How far back the longest steps are looked for."""


def stuck(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether requests run while nothing that the engine counts has moved for long.

    A frozen engine looks alive from outside: its front end answers every poll at once, with the last numbers.
    """
    del settings, firing
    running = total_gauge(source, "requests_running")
    if running is None:
        return unknown("the server does not tell how many requests run")
    seconds = standstill(source)
    if seconds is None:
        return unknown("the server counts nothing that shows progress")
    unseen = source.age or 0.0
    began = source.view.mono - unseen - seconds
    if seconds < _suspect_after(source, began):
        return HOLDS_NOT
    limit = _longest_expected(source)
    text = f"no progress for {units.duration(seconds)} with {units.count(running)} running"
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.CRITICAL,
        description=(
            f"The server answers polls, but with {units.count(running)} requests running it has counted no token, no "
            f"step and no finished request for {units.duration(seconds)}; up to {units.duration(limit)} would be "
            "normal here."
        ),
        evidence=(
            Evidence("requests_running", running, "1", text=f"{units.count(running)} running"),
            Evidence("seconds_without_progress", seconds, "s", threshold=limit, text=text),
        ),
        since=began,
        enter=limit + unseen,
    )


def standstill(source: SourceView) -> float | None:
    """Tell for how many seconds polls have seen requests running and no counter moving; None where none is known.

    Seconds since the last poll that succeeded do not count: nobody saw what happened in them.
    """
    stills = [still for each in PROGRESS_COUNTERS if (still := source.still_for(each)) is not None]
    if not stills:
        return None
    runs = [held for each in source.parts("requests_running") if (held := source.held_for(each)) is not None]
    return max(0.0, min(*stills, max(runs, default=0.0)) - (source.age or 0.0))


def _suspect_after(source: SourceView, began: float) -> float:
    """Tell from when on a standstill may be one that matters, in seconds: soon where it is as old as our watch."""
    fine = any(source.parts(each) for each in STEP_COUNTERS) or began <= source.history.first_mono
    return SUSPECT_SECONDS if fine else SUSPECT_LUMPY_SECONDS


def _longest_expected(source: SourceView) -> float:
    """Find how long nothing may move on this server without anything being wrong.

    Of a server that stands still since it is watched, what its page counted before tells it.
    """
    if not any(source.parts(each) for each in STEP_COUNTERS):
        return STILL_LUMPY_SECONDS
    gaps, prefills = (_observed(source, each) for each in ("itl_seconds", "prefill_seconds"))
    if gaps is None or prefills is None or not prefills.count:
        return STILL_UNKNOWN_STEP_SECONDS
    gap = quantile(gaps, 0.99)
    # A prefill longer than any before is no standstill yet, hence twice the longest seen.
    return max(STILL_SECONDS, 5 * ((gap.hi or gap.lo) if gap else 0.0), 2 * _longest(prefills))


def _observed(source: SourceView, quantity: str) -> Histogram | None:
    """Collect what a latency was within an hour, or ever where that hour has none."""
    within = source.histogram(quantity, HISTORY_SECONDS)
    if (within is not None and within.count) or source.newest_ok is None:
        return within
    known = source.newest_ok.histograms
    return merge([known[name] for name in source.parts(quantity) if name in known]) or within


def _longest(observed: Histogram) -> float:
    """Find the upper bound of the last bucket that is not empty."""
    last = max((index for index, count in enumerate(observed.counts) if count > 0), default=0)
    return observed.bounds[min(last, len(observed.bounds) - 1)] if observed.bounds else 0.0


STUCK = Rule(
    id="stuck_server",
    title="Stuck server",
    of=Source.SERVER,
    condition=stuck,
    live=Timing(0.0, 5.0),
    page=Timing(30.0, 5.0),
    source="no progress for max(10 s, 5 x p99 ITL, 2 x longest prefill of an hour); vLLM issues 2731, 39863, 40926",
    impact="high: every running and waiting request hangs, though the server answers health checks",
    mitigation="Take a stack dump (py-spy dump), then restart it; let the liveness check follow tokens, not /health.",
    event=True,
)
