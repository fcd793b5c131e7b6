"""The View: what may be asked of the Store at one moment. Time comes in; nothing is changed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from metrics.histogram import merge_common
from metrics.lumps import PLAIN_SECONDS, pace
from metrics.sample import Sample, Source, State
from metrics.series import split_series
from metrics.span import Span, difference, find_span, histogram_difference, known_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.histogram import Histogram
    from metrics.lumps import Pace
    from metrics.store import History, Store

STALE_POLLS = 3
"""A source is stale after so many intervals without a poll that succeeded, and down after so many that failed."""
SLOWEST_ANSWER_SECONDS = 6.0
"""An answer may take so long before its poll is given up: silence within it says nothing yet."""
UNANSWERED_SECONDS = 7.5
"""A server that was asked in vain for so long is down: a busy one answered after 6.8 s, a frozen one never does."""

_KNOWN_STATES = frozenset((State.OK, State.STALE))


class Increase(Struct, frozen=True):
    """How much a counter grew over a window."""

    value: float
    seconds: float
    """Real time between the two polls."""

    @property
    def rate(self) -> float | None:
        """Per second; None where no time passed."""
        return self.value / self.seconds if self.seconds > 0 else None


class GaugeStats(Struct, frozen=True):
    """A gauge over a window."""

    newest: float
    mean: float
    peak: float
    seconds: float


class View:
    """The Store, read at one moment."""

    def __init__(self, store: Store, mono: float, wall: float, interval: float = 1.0) -> None:
        self.mono = mono
        self.wall = wall
        self.interval = interval
        self.patience = max(STALE_POLLS * interval, SLOWEST_ANSWER_SECONDS) + 1.0
        """Seconds for which a source may be silent before that means anything."""
        self.unanswered = max(UNANSWERED_SECONDS, interval + UNANSWERED_SECONDS / 2)
        """Seconds for which a server may be asked in vain: long enough that a second poll was sent and was silent."""
        self._sources = store.sources
        self._ids: dict[Source, list[str]] = {}
        self._spans: dict[tuple[str, int, float, float], Span | None] = {}
        self.known_parts: dict[tuple[str, int, str], list[str]] = {}
        """What `SourceView.parts` found: it is asked for one quantity by many."""

    def ids(self, kind: Source) -> list[str]:
        """List the sources of a kind, in the order in which they were first heard of."""
        if kind not in self._ids:
            self._ids[kind] = [name for name, history in self._sources.items() if history.kind is kind]
        return self._ids[kind]

    def of(self, source: str) -> SourceView:
        """Look at one source."""
        return SourceView(self, source, self._sources[source])

    def all(self, kind: Source) -> Iterator[SourceView]:
        """Look at every source of a kind."""
        return map(self.of, self.ids(kind))

    def span(self, source: SourceView, start: float, stop: float) -> Span | None:
        """Find the polls of a source that bound a window; once, for its quantities are asked over the same windows."""
        key = source.id, source.history.taken, start, stop
        if key not in self._spans:
            self._spans[key] = find_span(source.history.tables, start, stop, self.interval)
        return self._spans[key]

    def wall_at(self, mono: float) -> float:
        """Tell the wall clock's time of a monotonic moment, by the difference between the clocks now."""
        return self.wall - (self.mono - mono)


class SourceView:
    """One source, read at one moment."""

    def __init__(self, view: View, source: str, history: History) -> None:
        self.view = view
        self.id = source
        self.history = history

    @property
    def newest(self) -> Sample:
        """The last Sample, whatever its state."""
        return self.history.newest

    @property
    def newest_ok(self) -> Sample | None:
        """The last Sample of a poll that succeeded."""
        return self.history.newest_ok

    @property
    def age(self) -> float | None:
        """Seconds since the last poll that succeeded; None where none did."""
        newest = self.history.newest_ok
        return None if newest is None else max(0.0, self.view.mono - newest.mono)

    @property
    def state(self) -> State:
        """The state of the last poll; `stale` while it is too early to say that the source is down.

        Under load a server is slow just when it matters, so a poll that fails does not yet make it down (`lost`). A
        source that is not polled any more is stale, too.
        """
        newest = self.history.newest.state
        if newest is State.OK:
            return State.STALE if self.view.mono - self.history.newest.mono > self.view.patience else State.OK
        if newest is State.DOWN and self.history.newest_ok is not None:
            early = self.history.kind is Source.SERVER and not self.lost
            return State.STALE if early else State.DOWN
        return newest

    @property
    def lost(self) -> bool:
        """Whether `STALE_POLLS` polls failed in a row, or fewer that went unanswered for as long as says enough.

        A server that takes a request and never answers holds each poll up for 5 s: three would take 18 s.
        """
        since = self.history.failing_since
        asked = 0.0 if since is None else self.view.mono - since
        return self.history.failed_polls >= STALE_POLLS or asked >= self.view.unanswered

    @property
    def facts(self) -> dict[str, str]:
        """What is known in words, kept through polls that fail."""
        newest = self.history.newest_ok
        return {**(newest.facts if newest else {}), **self.newest.facts}

    def parts(self, quantity: str) -> list[str]:
        """List the series of a quantity that its value is put together from, those that have gone among them.

        A page may give a quantity whole and also split by a label: the series with the fewest labels are the whole.
        What counts is the newest page: with the second of several models, all may have got a label.
        """
        key = self.id, self.history.taken, quantity
        if key not in self.view.known_parts:
            self.view.known_parts[key] = self._parts(quantity)
        return self.view.known_parts[key]

    def _parts(self, quantity: str) -> list[str]:
        by_labels: dict[tuple[str, ...], list[str]] = {}
        for name in self._names(quantity):
            labels = tuple(label for label, _ in split_series(name)[1])
            by_labels.setdefault(labels, []).append(name)
        there = [labels for labels, names in by_labels.items() if any(map(self._on_newest_page, names))]
        return by_labels[min(there or by_labels, key=len)] if by_labels else []

    def split(self, quantity: str) -> list[str]:
        """List every series of a quantity that has labels."""
        return [name for name in self._names(quantity) if name != quantity]

    def increase(self, quantity: str, window: float, end: float | None = None) -> Increase | None:
        """Tell how much a counter grew over the window, all parts added; None where that is not known."""
        return self.increase_of(self.parts(quantity), window, end)

    def increase_of(self, names: list[str], window: float, end: float | None = None) -> Increase | None:
        """Tell how much these counter series grew together over the window, or since the first of them was seen."""
        bounds = self._span(window, end)
        if bounds is None:
            return None
        columns = [self.history.columns.counters[name] for name in names if name in self.history.columns.counters]
        grown = [difference(bounds, column) for column in columns]
        known = [each for each in grown if each is not None]
        if not known:
            return None
        return Increase(math.fsum(each.value for each in known), bounds.last.time - min(each.since for each in known))

    def rate(self, quantity: str, window: float, end: float | None = None) -> float | None:
        """Tell the growth of a counter per second of real time.

        That of a counter which moves only when a request ends is taken between two moments at which it was right.
        """
        if self.is_lumpy(quantity) and window < PLAIN_SECONDS:
            steady = self.pace_of(self.parts(quantity), window, end)
            return None if steady is None else steady.rate
        increase = self.increase(quantity, window, end)
        return None if increase is None else increase.rate

    def is_lumpy(self, quantity: str) -> bool:
        """Tell whether the server counts this only when a request ends."""
        newest = self.history.newest_ok
        return newest is not None and quantity in newest.facts.get("lumpy_counters", "").split(", ")

    def pace_of(self, names: list[str], window: float, end: float | None = None) -> Pace | None:
        """Tell how fast counters grow that move only when a request ends."""
        stop = self.view.mono if end is None else end
        return pace(self.history, names, self.parts("requests_running"), stop - window, stop)

    def histogram(self, quantity: str, window: float, end: float | None = None) -> Histogram | None:
        """Collect what was observed in the window, all parts added bucket by bucket."""
        return self.histogram_of(self.parts(quantity), window, end)

    def histogram_of(self, names: list[str], window: float, end: float | None = None) -> Histogram | None:
        """Collect what these histogram series observed in the window."""
        bounds = self._span(window, end)
        if bounds is None:
            return None
        known = self.history.columns.histograms
        differences = [histogram_difference(bounds, *known[name]) for name in names if name in known]
        return merge_common([each for each in differences if each is not None])

    def gauge(self, name: str) -> float | None:
        """Tell the newest value of one gauge series.

        None where the last poll that succeeded did not give it, and where the source is down: nobody knows it then.
        """
        newest = self.history.newest_ok
        return None if newest is None or self.state not in _KNOWN_STATES else newest.gauges.get(name)

    def gauge_over(self, name: str, window: float, end: float | None = None) -> GaugeStats | None:
        """Tell the mean and the peak of one gauge series over the polls of the window."""
        column = self.history.columns.gauges.get(name)
        bounds = self._span(window, end)
        if column is None or bounds is None:
            return None
        means, peaks = known_values(bounds, column), known_values(bounds, column + 1)
        if not means:
            return None
        newest = self.gauge(name) if end is None else None
        return GaugeStats(means[-1] if newest is None else newest, sum(means) / len(means), max(peaks), bounds.seconds)

    def gauge_mean_at(self, name: str, seconds: float, end: float) -> float | None:
        """Tell the mean of one gauge series over the `seconds` up to `end`."""
        column = self.history.columns.gauges.get(name)
        bounds = self._span(seconds, end)
        means = known_values(bounds, column) if column is not None and bounds is not None else None
        return sum(means) / len(means) if means else None

    def seen_at(self, moment: float, reach: float) -> bool:
        """Tell whether the last poll at or before `moment` succeeded and was not more than `reach` earlier."""
        for table in self.history.tables:
            row = table.ring.last_at(moment)
            if row >= 0:
                late = moment - table.ring.time(row) > max(reach, STALE_POLLS * self.view.interval)
                return table.ring.cell(row, 1) == 1.0 and not late
        return False

    def still_for(self, quantity: str) -> float | None:
        """Tell for how many seconds no series of a counter has grown; None where it was never seen."""
        moments = [self.history.moved[name] for name in self._names(quantity) if name in self.history.moved]
        return self.view.mono - max(moments) if moments else None

    def held_for(self, name: str) -> float | None:
        """Tell for how many seconds a gauge series has been above 0 without a break; None where it is not."""
        since = self.history.held.get(name)
        return None if since is None else self.view.mono - since

    def seconds(self, window: float) -> float | None:
        """Tell the real time between the polls at the two ends of the window."""
        bounds = self._span(window, None)
        return None if bounds is None else bounds.seconds

    def _on_newest_page(self, name: str) -> bool:
        newest = self.history.newest_ok
        return newest is not None and (name in newest.counters or name in newest.gauges or name in newest.histograms)

    def _names(self, quantity: str) -> list[str]:
        return self.history.columns.by_quantity.get(quantity, [])

    def _span(self, window: float, end: float | None) -> Span | None:
        stop = self.view.mono if end is None else end
        return self.view.span(self, stop - window, stop)
