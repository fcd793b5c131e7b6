"""What is known of every server.

It is worked out anew every 15 s at most, because a fit and what follows from it take some milliseconds and a screen
asks every second; the windows themselves are collected with every poll.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

from insight.estimators.windows import WindowLog
from insight.recommend.work_out import ONSET_SECONDS, work_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from insight.recommend.known import Known
    from insight.settings import Settings
    from metrics.view import SourceView

REFIT_SECONDS = 15.0


class Knowledge:
    """What is known of every server; collected with every poll, worked out when asked for."""

    def __init__(self) -> None:
        self._logs: dict[str, WindowLog] = {}
        self._kept: dict[str, tuple[float, float | None, Known | None]] = {}
        """By server: when it was asked about, since when something slowed it then, and the answer.

        That there is none is kept, too: a server that tells no latencies must not keep others from being asked about.
        """

    def observe(self, source: SourceView) -> None:
        """Read the polls of a server since the last call."""
        log = self._logs.get(source.id)
        if log is None:
            log = self._logs[source.id] = WindowLog()
        log.observe(source)

    def of(self, source: SourceView, settings: Settings, slow_since: float | None) -> Known | None:
        """Tell what is known of a server, as of 15 s ago at most; None before it has counted anything.

        `slow_since` is since when a finding says that something slows the engine.
        """
        log = self._logs.get(source.id)
        if log is None:
            return None
        kept = self._kept.get(source.id)
        if kept is None or kept[2] is None or self._age(source, slow_since) >= REFIT_SECONDS:
            known = work_out(source, tuple(log.windows), settings, slow_since) if log.windows else None
            self._kept[source.id] = kept = source.view.mono, slow_since, known
        return kept[2]

    def give_up(self, source: SourceView, slow_since: float | None) -> None:
        """Keep that nothing is known of a server for now: the others are asked about before it is tried again."""
        self._kept[source.id] = source.view.mono, slow_since, None

    def kept(self, source: SourceView) -> Known | None:
        """Tell what was worked out last, however long ago."""
        found = self._kept.get(source.id)
        return None if found is None else found[2]

    def stalest(self, sources: Iterable[SourceView], slowed: Mapping[str, float]) -> SourceView | None:
        """Find the server that it is most pressing to ask about anew; None where all are fresh.

        A fit takes some ten milliseconds: those of many servers are spread over as many seconds.
        """
        aged = [(self._age(each, slowed.get(each.id)), each) for each in sources if each.id in self._logs]
        age, source = max(aged, key=operator.itemgetter(0), default=(0.0, None))
        return source if age >= REFIT_SECONDS else None

    def _age(self, source: SourceView, slow_since: float | None) -> float:
        """Tell how old the answer is; infinitely where none is kept, or another time of slowness is asked about."""
        kept = self._kept.get(source.id)
        if kept is None or (kept[1] is None) != (slow_since is None):
            return math.inf
        moved = kept[1] is not None and slow_since is not None and abs(kept[1] - slow_since) > ONSET_SECONDS
        return math.inf if moved else source.view.mono - kept[0]
