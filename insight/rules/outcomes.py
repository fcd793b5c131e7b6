"""How requests end: in an error, refused at the door, broken off, or cut short.

A share counts only where even the lower end of its 95 % interval (Wilson) is above the limit: one error among twenty
requests is 5 %, and says nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from insight.quality.statistics import wilson
from insight.rules.drift import MOST_OWN, own
from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source
from metrics.series import split_series

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

WINDOWS = (15.0, 60.0, 300.0)
"""Seconds that shares are taken over: the longer one where too few requests ended in the shorter."""
SOON = ((15.0, 60.0, 300.0), (30.0, 60.0, 300.0))
"""For what has to be told soon, over either. 3 % of 12 requests a second are for certain over 1 % in 63 of 100 windows
of 15 s and in 85 of 100 of 30 s; half a per cent in 2 and 1 of 1000 (Wilson on the binomial)."""
LONG = WINDOWS[1:]
"""For how answers end, which is uneven from second to second."""
LOAD_FELL = 0.5
"""When this much or less of the load is left, the long answers that are under way end nearly alone for a while."""
MIN_COUNT = 20
MIN_HITS = 3
"""Two of a kind are a coincidence."""
ERRORS, MANY_ERRORS = 0.01, 0.05
REFUSED = 0.01
TO_LEAVE = 0.8
"""Part of a limit below which it is left."""
ABORTED, ABORT_FACTOR = 0.05, 2.0
CUT_POINTS = 0.10
REFERENCE_SECONDS = 900.0


class Share(Struct, frozen=True):
    """Some requests of many."""

    hits: float
    n: float
    lo: float
    """Lower end of the 95 % interval."""
    hi: float
    seconds: float

    @property
    def text(self) -> str:
        """Write it: `12 % (30 of 250 in 60 s)`."""
        part = units.value(self.hits / self.n, "ratio")
        return f"{part} ({units.count(self.hits)} of {units.count(self.n)} in {units.duration(self.seconds)})"


def labelled(source: SourceView, quantity: str, label: str, *begins: str) -> list[str]:
    """List the series of a quantity whose label begins so: `status` with `4` for 404 and for 4xx."""
    return [name for name in source.split(quantity) if dict(split_series(name)[1]).get(label, "").startswith(begins)]


def moved(source: SourceView, names: list[str], firing: bool) -> bool:
    """Tell whether any of these counters grew lately: a cheap look before anything is worked out.

    What does not fire yet begins with what happened just now. On a real vLLM a finding that was over came back half a
    minute after the last bad request: load had fallen, and a longer window still held what the shorter one had let go.
    """
    lately = max(WINDOWS[0], 2 * source.view.interval)
    since = source.view.mono - (WINDOWS[-1] if firing else lately)
    return any(source.history.moved.get(name, -1.0) >= since for name in names)


def share(
    source: SourceView,
    bad: list[str],
    whole: list[str],
    less: list[str] | None = None,
    windows: tuple[float, ...] = WINDOWS,
) -> Share | None:
    """Tell which share of the requests these are, `less` those of another counter; None with too few requests."""
    for window in windows:
        every = source.increase_of(whole, window)
        some = source.increase_of(bad, window)
        if every is None or some is None or every.value < MIN_COUNT:
            continue
        taken = source.increase_of(less, window) if less else None
        hits = min(every.value, max(0.0, some.value - (taken.value if taken else 0.0)))
        interval = wilson(round(hits) if hits >= MIN_HITS else 0, round(every.value))
        return Share(hits, every.value, interval.lo, interval.hi, every.seconds) if interval else None
    return None


def error_rate(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether requests end in errors of the server."""
    del settings
    failed, finished = source.parts("requests_failed"), source.parts("requests_finished")
    answered, wrong = source.parts("http_requests"), labelled(source, "http_requests", "status", "5")
    if not failed and not answered:
        return unknown("the server counts no failed requests")
    if not moved(source, [*failed, *wrong], firing):
        return HOLDS_NOT
    whole = finished if labelled(source, "requests_finished", "reason", "error") else [*finished, *failed]
    rejected = source.parts("requests_rejected")
    found = [share(source, failed, whole, windows=each) for each in SOON]
    found += [share(source, wrong, answered, rejected, windows=each) for each in SOON]
    known = [each for each in found if each is not None]
    if not known:
        return Condition(holds=False, summary=f"errors among fewer than {MIN_COUNT} requests")
    worst = max(known, key=lambda each: each.lo)
    if worst.lo <= ERRORS * (TO_LEAVE if firing else 1.0):
        return Condition(holds=False, summary=worst.text if worst.hits else "")
    return condition(
        worst,
        "requests_failed",
        ERRORS,
        f"{worst.text} of the requests ended in an error of the server.",
        Severity.CRITICAL if worst.lo > MANY_ERRORS else Severity.WARNING,
    )


def admission_rejections(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the server refuses requests because it has too many."""
    del settings
    rejected = source.parts("requests_rejected")
    refused = labelled(source, "http_requests", "status", "429")
    if not rejected and not source.parts("http_requests"):
        return unknown("the server counts no refused requests")
    if not moved(source, [*rejected, *refused], firing):
        return HOLDS_NOT
    found = [
        share(source, bad, whole, windows=each)
        for each in SOON
        for bad, whole in (
            (rejected, [*rejected, *source.parts("requests_finished")]),
            (refused, source.parts("http_requests")),
        )
    ]
    known = [each for each in found if each is not None]
    worst = max(known, key=lambda each: each.lo, default=None)
    if worst is None or worst.lo <= REFUSED * (TO_LEAVE if firing else 1.0):
        return Condition(holds=False, summary=worst.text if worst and worst.hits else "")
    said = f"{worst.text} of the requests were refused at admission."
    return condition(worst, "requests_rejected", REFUSED, said, Severity.WARNING)


def abort_or_truncation(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether clients give up, or answers are cut short, more often than before."""
    del settings
    finished = source.parts("requests_finished")
    aborted = labelled(source, "requests_finished", "reason", "abort")
    cut = labelled(source, "requests_finished", "reason", "length")
    if not aborted and not cut:
        return unknown("the server does not tell why requests end")
    slack = TO_LEAVE if firing else 1.0
    gave_up = share(source, aborted, finished, windows=LONG) if moved(source, aborted, firing) else None
    if gave_up is not None and gave_up.lo > ABORTED * slack:
        before = usual(source, aborted, finished)
        if before is None or gave_up.lo > ABORT_FACTOR * before.hits / before.n * slack:
            said = f"{gave_up.text} of the requests were broken off by their client."
            return condition(gave_up, "requests_finished", ABORTED, said, Severity.WARNING)
    short = share(source, cut, finished, windows=LONG) if moved(source, cut, firing) else None
    before = usual(source, cut, finished) if short is not None else None
    if short is None or before is None or short.lo <= before.hi + CUT_POINTS * slack:
        return HOLDS_NOT
    if short.n / short.seconds < LOAD_FELL * before.n / before.seconds:
        return Condition(holds=False, summary="the load fell: long answers are left over")
    if own(source, short.seconds) > MOST_OWN:
        # Every probe ends at its limit of tokens: at a request in three seconds they alone made 71 % of the answers.
        return Condition(holds=False, summary="too many of its requests are this program's own")
    said = f"{short.text} of the answers were cut off by their limit of tokens, before it was {before.text}."
    return condition(short, "requests_finished", before.hi + CUT_POINTS, said, Severity.WARNING)


def usual(source: SourceView, some: list[str], whole: list[str]) -> Share | None:
    """Tell the share of the quarter of an hour before the window."""
    end = source.view.mono - WINDOWS[1]
    hits, n = source.increase_of(some, REFERENCE_SECONDS, end), source.increase_of(whole, REFERENCE_SECONDS, end)
    if hits is None or n is None or n.value < MIN_COUNT:
        return None
    interval = wilson(round(min(hits.value, n.value)), round(n.value))
    return Share(hits.value, n.value, interval.lo, interval.hi, n.seconds) if interval else None


def condition(found: Share, quantity: str, limit: float, said: str, severity: Severity) -> Condition:
    """Say which share of the requests it is."""
    evidence = Evidence(
        quantity,
        found.hits / found.n,
        "ratio",
        threshold=limit,
        window_seconds=found.seconds,
        count=found.n,
        text=found.text,
        lo=found.lo,
        hi=found.hi,
    )
    return Condition(
        holds=True,
        summary=said.rstrip(".").replace(found.text, found.text.split(" (", 1)[0], 1),
        severity=severity,
        description=said,
        evidence=(evidence,),
        affected=found.hits / found.n,
    )


ERROR_RATE = Rule(
    id="error_rate",
    title="Errors",
    of=Source.SERVER,
    condition=error_rate,
    live=Timing(5.0, 30.0),
    page=Timing(120.0, 600.0),
    source="over 1 % a warning, over 5 % critical: llm-d's alerting rules; the lower end of Wilson's 95 % interval",
    impact="high: these requests got no answer",
    mitigation="Read the server's log for the errors; restart a replica that fails alone.",
)
ADMISSION = Rule(
    id="admission_rejections",
    title="Requests refused at admission",
    of=Source.SERVER,
    condition=admission_rejections,
    live=Timing(5.0, 30.0),
    page=Timing(300.0, 600.0),
    source="over 1 %: our default",
    impact="medium: these requests were not served, which protects the others",
    mitigation="Add capacity, or raise the limit where requests still met their objectives; clients should back off.",
)
ABORTS = Rule(
    id="abort_or_truncation",
    title="Requests broken off or cut short",
    of=Source.SERVER,
    condition=abort_or_truncation,
    live=Timing(5.0, 30.0),
    page=Timing(600.0, 900.0),
    source="aborts over 5 % and twice the usual, cut answers 10 points above the usual: our defaults",
    impact="medium: tokens were worked out for nobody, or answers have no end",
    mitigation=(
        "Aborts: shorten the wait (queue, prefill). Cut answers: look at max_tokens, stop sequences and the context."
    ),
    every=2.0,
)
