"""Is the server there, and does it make progress."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.histogram import merge, quantile
from metrics.measure import total_gauge
from metrics.sample import Source, State
from metrics.view import STALE_POLLS, UNANSWERED_SECONDS

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.histogram import Histogram
    from metrics.view import SourceView

FAILED_POLLS = 3
"""Polls in a row that fail before a server counts as unreachable; one slow answer under load is not an outage."""
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
_ANSWERED = re.compile(
    r"^4\d\d from |^501 from | answered (?!nothing)\w+ .*instead of|single sample|of an unknown kind"
)
"""What `collectors.answer` says of an answer that comes from a living server; 5xx may come from a proxy alone."""
RESTART_SECONDS = 300.0
"""For so long after a restart it is worth a line: caches are cold and counters began anew."""


def unreachable(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the server has not answered for several polls."""
    del settings, firing
    failed, age = source.history.failed_polls, source.age
    if source.newest.state is State.OK and source.state is State.STALE:
        since = source.newest.mono
    elif source.newest.state is State.DOWN:
        since = source.history.state_since
        if not source.lost:
            return Condition(holds=False, summary=_reason(source), severity=Severity.CRITICAL)
    else:
        return HOLDS_NOT
    if answers(source):
        return HOLDS_NOT
    silence = f"no metrics for {units.duration(age)}" if age is not None else "no metrics so far"
    found = [Evidence("seconds_without_answer", age, "s", threshold=source.view.patience, text=silence)] if age else []
    if failed:
        text = f"{failed} failed poll{'s' if failed > 1 else ''}"
        found.append(Evidence("polls_failed", failed, "1", threshold=FAILED_POLLS, text=text))
    return Condition(
        holds=True,
        summary=f"{silence}: {_reason(source)}" if _reason(source) else silence,
        severity=Severity.CRITICAL,
        description=f"{silence[0].upper()}{silence[1:]}. {_reason(source)}".strip(),
        evidence=tuple(found),
        since=since,
    )


def answers(source: SourceView) -> bool:
    """Tell whether it answered the last poll, and with something else than metrics: then it lives."""
    return source.newest.state is State.DOWN and _ANSWERED.search(_reason(source)) is not None


def no_page(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether something answers there and has no metrics page."""
    del settings, firing
    if not answers(source) or not source.lost:
        return HOLDS_NOT
    return Condition(
        holds=True,
        summary=f"it answers, but not with metrics: {_reason(source)}",
        description=f"Something answers there, so it lives, but nothing about it can be said. {_reason(source)}",
        since=source.history.state_since,
    )


def unauthorised(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the server refuses to tell us anything."""
    del settings, firing
    if source.state is not State.UNAUTHORISED:
        return HOLDS_NOT
    return Condition(
        holds=True,
        summary=_reason(source) or "it answers, but wants a token",
        description=f"The server answers, but not to us, so nothing about it can be said. {_reason(source)}".strip(),
        since=source.history.state_since,
    )


def starting(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the server says that it is not ready yet."""
    del settings, firing
    if source.state is not State.STARTING:
        return HOLDS_NOT
    seconds = source.view.mono - source.history.state_since
    return Condition(
        holds=True,
        summary=f"not ready for {units.duration(seconds)}",
        severity=Severity.INFO,
        description=f"It answers that it is not ready yet. {_reason(source)}".strip(),
        since=source.history.state_since,
    )


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


def restarted(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the server restarted a short while ago."""
    del settings, firing
    moment = source.history.restarted_mono
    if moment is None or source.view.mono - moment > RESTART_SECONDS:
        return HOLDS_NOT
    ago, away = units.duration(source.view.mono - moment), source.history.away_seconds
    outage = away is not None and away > STALE_POLLS * source.view.interval
    silence = f" after {units.duration(away)} without an answer" if outage else ""
    return Condition(
        holds=True,
        summary=f"{ago} ago{silence}",
        severity=Severity.INFO,
        description=f"It began anew {ago} ago{silence}: caches are cold, and what was running before is lost.",
        evidence=(Evidence("seconds_without_answer", away, "s", text=f"no answer for {units.duration(away)}"),),
        since=moment,
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


def _reason(source: SourceView) -> str:
    return source.newest.reason


UNREACHABLE = Rule(
    id="server_unreachable",
    title="Server unreachable",
    of=Source.SERVER,
    condition=unreachable,
    live=Timing(0.0, 5.0),
    page=Timing(0.0, 600.0),
    source=(
        f"{FAILED_POLLS} failed polls (alerting practice for scrapes), or fewer in {UNANSWERED_SECONDS:g} s without an "
        "answer: a busy llama-server took 6.8 s"
    ),
    impact="high: every request to this server fails while it lasts",
    mitigation="See whether the process lives and what its log says last; restart it; run two or more replicas.",
    needs_answer=False,
    event=True,
)
NO_PAGE = Rule(
    id="no_metrics_page",
    title="No metrics page",
    of=Source.SERVER,
    condition=no_page,
    live=Timing(0.0, 5.0),
    page=Timing(0.0, 600.0),
    source=f"{FAILED_POLLS} polls that were answered with HTTP 4xx or 501, or with a page without metrics",
    impact="medium: nothing about this server can be watched",
    mitigation="Check the URL; llama-server needs --metrics, SGLang --enable-metrics.",
    needs_answer=False,
    event=True,
)
UNAUTHORISED = Rule(
    id="server_unauthorised",
    title="Server refuses us",
    of=Source.SERVER,
    condition=unauthorised,
    live=Timing(0.0, 0.0),
    page=Timing(0.0, 0.0),
    source="HTTP 401 or 403",
    impact="medium: nothing about this server can be watched",
    mitigation="Give the key that the server was started with: --token-env NAME.",
    needs_answer=False,
    event=True,
)
STARTING = Rule(
    id="server_starting",
    title="Server starting",
    of=Source.SERVER,
    condition=starting,
    live=Timing(0.0, 0.0),
    page=Timing(0.0, 0.0),
    source="the server's own word",
    impact="low: requests are refused until it is ready",
    mitigation="Wait; if it takes far longer than the last start, read its log.",
    needs_answer=False,
    event=True,
)
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
RESTARTED = Rule(
    id="server_restart",
    title="Server restarted",
    of=Source.SERVER,
    condition=restarted,
    live=Timing(0.0, 0.0),
    page=Timing(0.0, 0.0),
    source="a process start time or a counter that went back",
    impact="low: requests under way were lost, caches are cold",
    mitigation="If nobody restarted it, read the end of its log for why it ended.",
    event=True,
)
