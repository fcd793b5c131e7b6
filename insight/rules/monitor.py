"""Does this program itself see well enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source, State
from metrics.series import series, split_series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from insight.settings import Settings
    from metrics.view import SourceView, View

SECONDS = 60.0
MISSED = 0.1
SLOW = 0.5
TAINTED = 0.2
MIN_PROBES = 5
SKEW = 2.0
"""Seconds between two clocks: `Date` has a resolution of one, and some servers write it once a second. Our default."""
SKEW_SECONDS = 30.0
LAG = 0.05
"""Seconds by which polls begin late in the mean: what a poll counts is then off by 5 % of a second. Our default."""


def monitor_degraded(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether polls are left out, take too long, or probes were timed too late to count."""
    del settings, firing
    found = [*_polls(source, "polls_missed", "left out"), *_polls(source, "polls_overrun", "given up")]
    found += [*_lagging(source), *_slow(source.view), *_skewed(source.view)]
    found += [each for probe in source.view.all(Source.PROBE) if (each := _late(probe)) is not None]
    if not found:
        return HOLDS_NOT
    said = "; ".join(each.text for each in found[:3])
    return Condition(
        holds=True,
        summary=said,
        severity=Severity.INFO,
        description=f"{said[0].upper()}{said[1:]}. What is said of these is coarser, or later, than it should be.",
        evidence=tuple(found),
    )


def _polls(source: SourceView, quantity: str, done: str) -> Iterator[Evidence]:
    """Tell of every collector of which a tenth of the polls or more was not made or not waited for."""
    moved, now = source.history.moved, source.view.mono
    for name in source.parts(quantity):
        grown = source.increase_of([name], SECONDS) if now - moved.get(name, -SECONDS) < SECONDS else None
        if grown is None or grown.seconds < SECONDS / 4 or grown.value * source.view.interval <= MISSED * grown.seconds:
            continue
        collector = dict(split_series(name)[1]).get("collector", "")
        text = f"{units.count(grown.value)} polls of {collector} {done} in {units.duration(grown.seconds)}"
        yield Evidence(quantity, grown.value, "1", MISSED * grown.seconds, window_seconds=grown.seconds, text=text)


def _lagging(source: SourceView) -> Iterator[Evidence]:
    """Tell of polls that begin late, because this program does not get a CPU in time."""
    lag = source.gauge_over("loop_lag_seconds", SECONDS)
    if lag is not None and lag.mean > LAG and lag.seconds >= SECONDS / 4:
        text = f"polls begin {units.value(lag.mean, 's')} late"
        yield Evidence("loop_lag_seconds", lag.mean, "s", threshold=LAG, window_seconds=lag.seconds, text=text)


def _slow(view: View) -> Iterator[Evidence]:
    """Tell of every source whose last poll took more than half of the interval."""
    limit = SLOW * view.interval
    for kind in (Source.SERVER, Source.DRIVER, Source.HOST):
        for each in view.all(kind):
            if each.newest.state is State.OK and each.newest.duration > limit:
                text = f"a poll of {each.id} takes {units.value(each.newest.duration, 's')}"
                yield Evidence("poll_seconds", each.newest.duration, "s", threshold=limit, text=text)


def _skewed(view: View) -> Iterator[Evidence]:
    """Tell of every server whose clock is not this host's: its log tells other times than what is written here."""
    for each in view.all(Source.SERVER):
        offset = each.gauge_over("clock_offset_seconds", SKEW_SECONDS)
        if offset is not None and abs(offset.mean) > SKEW and offset.seconds >= SKEW_SECONDS / 2:
            where = "ahead of" if offset.mean > 0 else "behind"
            text = f"the clock of {each.id} is {units.value(abs(offset.mean), 's')} {where} the one here"
            yield Evidence("clock_offset_seconds", offset.mean, "s", SKEW, window_seconds=offset.seconds, text=text)


def _late(probe: SourceView) -> Evidence | None:
    """Tell of how many requests the timing was spoilt by this program's own being late."""
    late = probe.increase_of([series("probe_left_out", reason="tainted")], 5 * SECONDS)
    sent = probe.increase("probe_requests", 5 * SECONDS)
    if late is None or sent is None or sent.value < MIN_PROBES or late.value <= TAINTED * sent.value:
        return None
    text = f"{units.count(late.value)} of {units.count(sent.value)} probes were timed too late"
    share = late.value / sent.value
    return Evidence("probe_left_out", share, "ratio", TAINTED, 5 * SECONDS, count=sent.value, text=text)


DEGRADED = Rule(
    id="monitor_degraded",
    title="Monitor degraded",
    of=Source.MONITOR,
    condition=monitor_degraded,
    live=Timing(10.0, 30.0),
    page=Timing(60.0, 300.0),
    source=(
        "a tenth of the polls left out, over half of the interval or 50 ms late, a fifth of the probes spoilt, a clock "
        "2 s off: ours"
    ),
    impact="low: other findings come later or rest on less",
    mitigation=(
        "Poll less often (--interval), or give this program a core of its own. Where a clock is off, let NTP set both "
        "hosts' (timedatectl), and until then allow for it when reading the server's log."
    ),
    needs_answer=False,
)
