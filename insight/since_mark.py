"""What came of a mark: each server before it and since, in numbers that are exact, with the times that they speak of.

Rates and means are differences of what the server counts, divided; a quantile has the bounds of its bucket. Nothing is
smoothed and nothing is judged: whether a change is more than luck takes longer, and `compare` tells it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from insight.verification.spells import RESTART_SECONDS, SETTLE_SECONDS, arrived, beginnings, changed_at
from metrics import units
from metrics.measure import describe
from metrics.observed import Measure
from metrics.quantity import QUANTITIES
from metrics.sample import Source, State
from metrics.snapshot import SinceMark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metrics.effect import Effect
    from metrics.finding import Recommendation
    from metrics.view import SourceView, View

SHOWN_SECONDS = 3600.0
"""A mark is spoken of for so long, or for the window where that is longer."""
LEAST_SECONDS = 30.0
"""So much time on either side before anything is told, ..."""
LEAST_REQUESTS = 20.0
"""... and so many requests: what fewer tell of a p95 is their maximum."""
ALIKE = 1.2
"""Times as many requests a second, at most, for two loads to be alike. Our own default."""
ADVISED_SECONDS = 30.0
"""Advice of a Snapshot that is not older than this stood at the mark."""
SET_SECONDS = 1.0
"""By so much more than the monotonic clock the wall clock went on where it was set: a clock that is kept in time by
small steps, at most 500 ppm, drifts by less within half an hour."""
_LEAST, _LEAST_APART = units.duration(LEAST_SECONDS), units.duration(LEAST_SECONDS + SETTLE_SECONDS)
_HISTOGRAMS = ("itl_seconds", "tpot_seconds", "ttft_seconds")
_COUNTERS = ("requests_finished", "requests_rejected", "output_tokens_total")


class Mark(NamedTuple):
    """A moment that was marked."""

    mono: float
    """By the monotonic clock; ..."""
    wall: float
    """... in seconds since the epoch, as the clock was set then."""
    text: str


class Marks:
    """The newest mark, and the advice that stood when it was set: who followed it wants to see what came."""

    def __init__(self) -> None:
        self._newest: Mark | None = None
        self._stood: tuple[Recommendation, ...] = ()
        self._last: tuple[float, tuple[Recommendation, ...]] = (0.0, ())
        """The moment of the last Snapshot, and its advice."""

    def since(self, view: View, window: float, advised: tuple[Recommendation, ...]) -> tuple[SinceMark, ...]:
        """Tell what every server did before the newest mark and since; `advised` is the advice that stands now."""
        marks = marks_of(view)
        if marks and marks[-1] != self._newest:
            moment, advice = self._last
            self._newest = marks[-1]
            self._stood = advice if self._newest.wall - moment <= ADVISED_SECONDS else ()
        self._last = view.wall, advised
        if not marks or view.wall - marks[-1].wall > max(window, SHOWN_SECONDS):
            return ()
        return tuple(
            since_mark(each, marks, window, foretold(self._stood, each.id)) for each in view.all(Source.SERVER)
        )


def marks_of(view: View) -> list[Mark]:
    """List the marks that are known, oldest first; one without a text has its number."""
    histories = [each.history for each in view.all(Source.MONITOR)]
    found = sorted(
        Mark(mono, event.wall, event.text)
        for history in histories
        for mono, event in zip(history.happened, history.events, strict=True)
        if event.kind == "mark"
    )
    return [each if each.text else each._replace(text=f"mark {at}") for at, each in enumerate(found, 1)]


def foretold(advised: Iterable[Recommendation], target: str) -> tuple[Effect, ...]:
    """List what advice about a server was expected to bring, of what can be held against it here; one of a quantity."""
    found: dict[str, Effect] = {}
    for each in advised:
        effect = each.effect
        if effect is None or each.target not in {None, target} or effect.basis == "unknown":
            continue
        if effect.quantity in _HISTOGRAMS or effect.quantity in _COUNTERS:
            found.setdefault(effect.quantity, effect)
    return tuple(found.values())


def since_mark(source: SourceView, marks: list[Mark], window: float, expected: tuple[Effect, ...] = ()) -> SinceMark:
    """Tell what one server did before the newest of `marks` and since.

    The time before is at most a window long, and reaches back to the mark or the restart before it. For half a minute
    after a change caches are cold and what ran before still runs: that is in neither. A restart soon after the mark is
    what it was set for; a later one ends the time since, for what comes after it is of the restart.
    """
    view, mark = source.view, marks[-1]
    if abs(view.wall_at(mark.mono) - mark.wall) > SET_SECONDS:
        passed = max(0.0, view.mono - mark.mono)
        return SinceMark(mark.text, source.id, mark.wall, passed, 0.0, why="the clock was set meanwhile")
    anew, walls = sorted(beginnings(source)), [each.wall for each in marks]
    end = changed_at(anew, mark.wall, walls)
    last = mark.wall + RESTART_SECONDS
    changed = max((each for each in anew if mark.wall < each <= last), default=end)
    again = min((each for each in anew if each > last), default=None)
    # a restart is known by the first page after it, which is no part of the time before
    until = view.wall if again is None else again - view.interval
    cut = max((each for each in (*anew, *walls) if each < end), default=None)
    watched = view.wall_at(source.history.first_mono)
    begin = max(end - window, watched, watched if cut is None else cut + SETTLE_SECONDS)
    before = _counted(source, begin, end if end == mark.wall else end - view.interval)
    after = _counted(source, changed + SETTLE_SECONDS, until)
    if source.state is not State.OK:
        why = "it does not answer"
    elif end - begin < LEAST_SECONDS:
        why = _too_short(end - begin, None if cut is None or begin > cut + SETTLE_SECONDS else end - cut, cut in walls)
    elif until - changed - SETTLE_SECONDS < LEAST_SECONDS:
        why = _too_soon(changed, until, again)
    else:
        why = _too_few(before, after)
    return SinceMark(
        mark=mark.text,
        target=source.id,
        wall=changed,
        seconds=max(0.0, until - changed),
        before_seconds=max(0.0, end - begin),
        before=before,
        after=after,
        alike=_alike(before, after),
        why=why,
        foretold=expected,
    )


def _counted(source: SourceView, begin: float, end: float) -> dict[str, Measure]:
    """Take what was counted between two moments, in seconds since the epoch."""
    seconds = end - begin
    if seconds <= 0:
        return {}
    stop = source.view.mono - (source.view.wall - end)
    found: dict[str, Measure] = {}
    for name in _HISTOGRAMS:
        observed = source.histogram(name, seconds, stop)
        if observed is not None and observed.count:
            found[name] = describe(observed, QUANTITIES[name].unit, seconds)
    grown = {name: each for name in _COUNTERS if (each := source.increase(name, seconds, stop)) is not None}
    for name, each in grown.items():
        found[name] = Measure(QUANTITIES[name].unit, rate=each.rate, increase=each.value, window_seconds=each.seconds)
    came = arrived(source, seconds, stop, {name: each.value for name, each in grown.items()})
    if came is not None:
        found["requests_arrived"] = Measure("1", rate=came / seconds, increase=came, window_seconds=seconds)
    return found


def _alike(before: dict[str, Measure], after: dict[str, Measure]) -> bool | None:
    """Tell whether as many requests came as before; None where that is not known."""
    rates = [each.rate for side in (before, after) if (each := side.get("requests_arrived")) is not None]
    known = [each for each in rates if each]
    return max(known) <= ALIKE * min(known) if len(known) == 2 else None


def _too_short(watched: float, apart: float | None, marked: bool) -> str:
    """Say that there is too little before the change; `apart`: from the mark or restart before it, if that cut it."""
    if apart is None:
        return f"it was watched for {units.duration(max(0.0, watched))} before, and it takes {_LEAST}"
    what = "mark" if marked else "restart"
    return f"only {units.duration(apart)} lie between the {what} before and this one, and it takes {_LEAST_APART}"


def _too_soon(changed: float, until: float, again: float | None) -> str:
    """Say when there is enough since the change, or that there will never be: it began anew too soon."""
    if again is None:
        return f"told in {units.duration(LEAST_SECONDS + SETTLE_SECONDS - (until - changed))}"
    return f"it began anew after {units.duration(again - changed)}, and it takes {_LEAST_APART}"


def _too_few(before: dict[str, Measure], after: dict[str, Measure]) -> str:
    """Say why the numbers tell nothing yet; empty where they do."""
    for name, side in (("before", before), ("since", after)):
        seen = _requests(side)
        if seen is not None and seen < LEAST_REQUESTS:
            return f"{units.count(seen)} requests {name}, and it takes {units.count(LEAST_REQUESTS)}"
    return "" if before and after else "the server counts nothing that could be held against what was before"


def _requests(side: dict[str, Measure]) -> float | None:
    """Count the requests that the numbers are of: those that got a first token or ended; None where neither is told."""
    found = [each.count or each.increase for name in ("ttft_seconds", "requests_finished") if (each := side.get(name))]
    known = [each for each in found if each is not None]
    return max(known) if known else None
