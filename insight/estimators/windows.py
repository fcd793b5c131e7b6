"""Short windows of what a server counted: what the step-time model is fitted on.

Windows are 3 s (2 to 5 s): in longer ones decoding and prefill rise and fall together, so that their costs cannot be
told apart (VIF 4-6 at 2-3 s, 8-20 at 10 s), and in windows of 1 s requests across an edge bias the fit (-15 %).
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.store import Table
    from metrics.view import SourceView

SHORTEST_SECONDS, LONGEST_SECONDS = 2.5, 6.0
"""A window ends at the first poll so long after its begin: 3 polls of 1 s, 2 of 2 s, 1 of 3 to 5 s."""
MAX_WINDOWS = 2400
"""Two hours of windows of 3 s."""


class StepWindow(Struct, frozen=True, array_like=True):
    """What one server counted between two polls. What it does not tell is None."""

    end: float
    """By the monotonic clock."""
    seconds: float
    itl_sum: float
    """Seconds between the tokens of requests, added up."""
    itl_count: float
    ttft_sum: float
    ttft_count: float
    """Requests that got their first token."""
    generated: float
    """Output tokens."""
    computed: float
    """Prompt tokens that were worked on."""
    finished: float
    prefill_sum: float | None
    """Seconds of prefill of the requests that ended."""
    prefill_count: float | None
    prefilled: float | None
    """Prompt tokens that were worked on of the requests that ended."""
    queue_sum: float | None
    """Seconds in the queue of the requests that ended."""
    steps: float | None
    preemptions: float | None
    running: float | None
    """Mean over the polls, the one at the begin included."""
    running_min: float | None
    waiting: float | None
    waiting_min: float | None
    kv: float | None
    """Mean share of the KV cache in use."""

    @property
    def itl(self) -> float:
        """Mean time between two tokens, in seconds; NaN where there was none."""
        return self.itl_sum / self.itl_count if self.itl_count else math.nan

    @property
    def decoding(self) -> float:
        """Requests that were decoding on average over time: D."""
        return self.itl_sum / self.seconds

    @property
    def in_server(self) -> float:
        """Requests in the server on average over time. It equalled what the clients saw within 1 % on a real vLLM."""
        return (self.itl_sum + self.ttft_sum) / self.seconds


class WindowLog:
    """The last windows of one server, collected as polls come in."""

    def __init__(self, maxlen: int = MAX_WINDOWS) -> None:
        self.windows: deque[StepWindow] = deque(maxlen=maxlen)
        """Oldest first, not overlapping."""
        self._begin: float | None = None
        """When the window under way began; None where a gap broke it off."""
        self._read = -math.inf
        """Up to when the polls have been read."""
        self._restarted: float | None = None

    def observe(self, source: SourceView) -> None:
        """Read the polls since the last call.

        A window across a poll that failed is dropped, and after a restart all windows are: another process answers,
        perhaps with other settings.
        """
        history = source.history
        if history.restarted_mono != self._restarted:
            self._restarted = self._read = history.restarted_mono or -math.inf
            self._begin = history.restarted_mono
            self.windows.clear()
        table = history.tables[0]
        ring = table.ring
        for row in range(ring.last_at(self._read) + 1, len(ring)):
            self._read = ring.time(row)
            if ring.cell(row, 1) != 1.0:
                self._begin = None
            elif self._begin is None or self._read - self._begin > LONGEST_SECONDS:
                self._begin = self._read
            elif self._read - self._begin >= SHORTEST_SECONDS:
                window = _between(source, table, ring.last_at(self._begin), row)
                if window is not None:
                    self.windows.append(window)
                self._begin = self._read


def _between(source: SourceView, table: Table, first: int, last: int) -> StepWindow | None:
    """Take the difference of two rows; None where the server does not tell what the fit cannot do without."""
    grown = _Grown(source, table, first, last)
    itl, ttft = grown.histogram("itl_seconds"), grown.histogram("ttft_seconds")
    computed, generated = grown.computed(), grown.counter("output_tokens_total")
    if itl is None or ttft is None or computed is None or generated is None:
        return None
    prefill, queue = grown.histogram("prefill_seconds"), grown.histogram("queue_seconds")
    running, waiting = grown.gauge("requests_running"), grown.gauge("requests_waiting")
    usage = grown.gauge("kv_cache_usage")
    running_mean, running_min = _mean_and_min(running)
    waiting_mean, waiting_min = _mean_and_min(waiting)
    return StepWindow(
        end=table.ring.time(last),
        seconds=table.ring.time(last) - table.ring.time(first),
        itl_sum=itl[0],
        itl_count=itl[1],
        ttft_sum=ttft[0],
        ttft_count=ttft[1],
        generated=generated,
        computed=computed,
        finished=grown.counter("requests_finished") or 0.0,
        prefill_sum=prefill and prefill[0],
        prefill_count=prefill and prefill[1],
        prefilled=grown.counter("prompt_tokens_prefilled"),
        queue_sum=queue and queue[0],
        steps=grown.counter("engine_steps"),
        preemptions=grown.counter("preemptions"),
        running=running_mean,
        running_min=running_min,
        waiting=waiting_mean,
        waiting_min=waiting_min,
        # Each engine has a cache of its own.
        kv=sum(usage) / len(usage) / len(source.parts("kv_cache_usage")) if usage else None,
    )


class _Grown:
    """Two rows of a table, and what grew between them; a series that either row lacks makes its quantity unknown."""

    def __init__(self, source: SourceView, table: Table, first: int, last: int) -> None:
        self._source, self._ring, self._first, self._last = source, table.ring, first, last
        self._columns = source.history.columns

    def counter(self, quantity: str) -> float | None:
        """Add up the growth of every part."""
        columns = [self._columns.counters.get(name, self._ring.width) for name in self._source.parts(quantity)]
        return self._growth([(column, 1) for column in columns])

    def histogram(self, quantity: str) -> tuple[float, float] | None:
        """Give the sum and the count of what was observed."""
        known = self._columns.histograms
        layouts = [known[name] for name in self._source.parts(quantity) if name in known]
        count = self._growth([(column, len(bounds) + 1) for column, bounds in layouts])
        total = self._growth([(column + len(bounds) + 1, 1) for column, bounds in layouts])
        return None if count is None or total is None else (total, count)

    def computed(self) -> float | None:
        """Tell the prompt tokens that were worked on: by the server's own count, or all of them less the cached."""
        computed = self.counter("prompt_tokens_computed")
        if computed is not None:
            return computed
        prompts, cached = self.counter("prompt_tokens_total"), self.counter("prompt_tokens_cached")
        return None if prompts is None else prompts - (cached or 0.0)

    def gauge(self, quantity: str) -> list[float]:
        """List what each poll showed, all parts added; empty where one of them is not known."""
        columns = [self._columns.gauges.get(name, self._ring.width) for name in self._source.parts(quantity)]
        if not columns or max(columns) >= self._ring.width:
            return []
        values = map(sum, zip(*(self._ring.column(each, self._first, self._last) for each in columns), strict=True))
        return [each for each in values if not math.isnan(each)]

    def _growth(self, blocks: Sequence[tuple[int, int]]) -> float | None:
        """Add up the growth of blocks of neighbouring columns; None where there is none, or it is not known."""
        ring = self._ring
        if not blocks or any(column + width > ring.width for column, width in blocks):
            return None
        ends = (sum(sum(ring.cells(row, *block)) for block in blocks) for row in (self._last, self._first))
        grown = next(ends) - next(ends)
        return None if math.isnan(grown) else grown


def _mean_and_min(values: list[float]) -> tuple[float | None, float | None]:
    return (sum(values) / len(values), min(values)) if values else (None, None)
