"""Does the server answer, and with what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing
from insight.verification.spells import RESTART_SECONDS
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source, State
from metrics.view import STALE_POLLS, UNANSWERED_SECONDS

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

FAILED_POLLS = 3
"""Polls in a row that fail before a server counts as unreachable; one slow answer under load is not an outage."""
_ANSWERED = re.compile(
    r"^4\d\d from |^501 from | answered (?!nothing)\w+ .*instead of|single sample|of an unknown kind"
)
"""What `collectors.answer` says of an answer that comes from a living server; 5xx may come from a proxy alone."""


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
