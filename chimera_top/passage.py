"""Recorded time going by: what a replay and a look back over a recording have in common."""

from __future__ import annotations

import math
from collections import deque
from statistics import median_low
from typing import TYPE_CHECKING

from chimera_top import promised
from metrics.view import View

if TYPE_CHECKING:
    from insight.assess import Assessor
    from metrics.sample import Sample
    from metrics.store import Store

_SPACINGS = 5
"""Polls of a source that its pace is the median of: two late ones do not change it, three of another run do."""
_SHORTEST = 0.05
"""Seconds: half the shortest interval there is. Samples that are nearer to each other are of one poll."""
_TOLERANCE = 0.1
"""A pace that is as near as this to the one that is known is the same one: polls are some milliseconds late or early,
and the steps of the graphs are not to change with them."""
CLOSER = 4.0
"""So many times as often the rules are asked while it is open whether something fires, or is over."""


class Pace:
    """From poll to poll how long it was when a recording was made, by how far apart the Samples of a source lie."""

    def __init__(self) -> None:
        self.interval = 1.0
        """Seconds; the default interval of polling as long as no source was seen twice."""
        self._last: dict[str, float] = {}
        self._spacings: dict[str, deque[float]] = {}
        self._paces: dict[str, float] = {}

    def add(self, sample: Sample) -> None:
        """Take in the next Sample."""
        spacing = sample.mono - self._last.get(sample.source, sample.mono)
        self._last[sample.source] = sample.mono
        if spacing < _SHORTEST:
            return
        spacings = self._spacings.setdefault(sample.source, deque(maxlen=_SPACINGS))
        spacings.append(spacing)
        self._paces[sample.source] = median_low(spacings)
        # A source that is slow to answer is asked less often than the interval, and none is asked more often.
        fastest = min(self._paces.values())
        if abs(fastest - self.interval) > _TOLERANCE * self.interval:
            self.interval = _round(fastest)


def _round(seconds: float) -> float:
    """Write a measured interval as somebody would have set it, where it is near to that: 9.98 s as 10 s.

    Near is half the tolerance, so that what was set stays within the tolerance of what is written.
    """
    rounded = float(f"{seconds:.1g}")
    return rounded if abs(rounded - seconds) <= _TOLERANCE / 2 * seconds else float(f"{seconds:.2g}")


class Passage:
    """A Store that fills with Samples of a recording, and rules that are asked once an interval of recorded time.

    So they are asked as they were when it was made, however fast it goes by. Now is always the newest Sample: that
    nothing follows it says nothing of the source. Before `asks_from`, on the recording's clock, they are not asked.
    With `every` they are asked once in so many seconds, and four times as often while something begins or ends.
    """

    def __init__(
        self, store: Store, assessor: Assessor, first: Sample, asks_from: float = -math.inf, every: float = 0.0
    ) -> None:
        self._every = every
        self._store = store
        self._assessor = assessor
        self._own_objectives = promised.kept_by(assessor.settings)
        self._asks_from = asks_from
        self._pace = Pace()
        self._newest = first
        self._due = first.mono
        self._add(first)

    @property
    def view(self) -> View:
        """The Store at the newest Sample."""
        return View(self._store, self._newest.mono, self._newest.wall, self._pace.interval)

    def take(self, sample: Sample) -> None:
        """Take in the next Sample; where an interval begins with it, the rules are asked about the one before."""
        if sample.mono >= self._due and sample.mono >= self._asks_from:
            self._assessor.observe(self.view)
        self._add(sample)

    def _add(self, sample: Sample) -> None:
        self._pace.add(sample)
        self._store.add(sample)
        if not self._own_objectives:
            self._assessor.settings = promised.adopted(self._assessor.settings, sample)
        if sample.mono >= self._due:
            every = self._every / CLOSER if self._every and self._assessor.unsettled else self._every
            interval = max(self._pace.interval, every)
            # In the middle between two ticks, so that all Samples of one tick fall into one interval.
            self._due = max(self._due + interval, sample.mono + interval / 2)
        if sample.mono >= self._newest.mono:  # a poll that took long is stamped earlier than what came before it
            self._newest = sample
