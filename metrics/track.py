"""A quantity over time on a grid of equal steps: what the graphs draw.

The grid is anchored to the clock on the wall (a step ends at a multiple of its length), so a column that is drawn once
does not change again, and each column is worked out once: a `Tracks` keeps those that are complete. That is what makes
a graph of 150 columns cost one column every two seconds.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct

from metrics.histogram import quantile
from metrics.measure import total_gauge
from metrics.observed import Track

if TYPE_CHECKING:
    from metrics.view import SourceView

QUANTILE_SECONDS = 30.0
"""A point of a quantile's track looks back over at least so long: at 1 request/s p95 then has its 20 observations."""
RATE_SECONDS = 5.0
"""A point of a rate's track looks back over at least so long: a server's counters move in lumps."""
STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200)
POINTS = 180
"""A window has at most so many steps: as many as the sub-columns of a braille graph half of 160 columns wide."""
MAX_KEPT = 8
"""Lengths of step that are kept at once for one source; a user switches between few."""


class Spec(Struct, frozen=True):
    """What a track shows."""

    quantity: str
    unit: str
    q: float | None = None
    """A quantile of a histogram; None for a counter's rate or a gauge."""
    gauge: bool = False


SERVER_TRACKS = {
    "ttft_p50": Spec("ttft_seconds", "s", 0.50),
    "ttft_p95": Spec("ttft_seconds", "s", 0.95),
    "ttft_p99": Spec("ttft_seconds", "s", 0.99),
    "itl_p50": Spec("itl_seconds", "s", 0.50),
    "itl_p95": Spec("itl_seconds", "s", 0.95),
    "requests_rate": Spec("requests_finished", "1/s"),
    "output_tokens_rate": Spec("output_tokens_total", "tokens/s"),
    "prompt_tokens_rate": Spec("prompt_tokens_total", "tokens/s"),
    "requests_running": Spec("requests_running", "1", gauge=True),
    "requests_waiting": Spec("requests_waiting", "1", gauge=True),
    "kv_cache_usage": Spec("kv_cache_usage", "ratio", gauge=True),
}
GPU_TRACKS = {
    "utilisation": Spec("utilisation", "ratio", gauge=True),
    "power_watts": Spec("power_watts", "W", gauge=True),
    "sm_clock_hertz": Spec("sm_clock_hertz", "Hz", gauge=True),
    "temperature_celsius": Spec("temperature_celsius", "celsius", gauge=True),
    "memory_used_bytes": Spec("memory_used_bytes", "bytes", gauge=True),
}


def step_for(window: float, interval: float = 1.0) -> float:
    """Choose the length of a step for a window: at most `POINTS` steps, none shorter than the polling interval."""
    wanted = max(window / POINTS, interval)
    return float(next((step for step in STEPS if step >= wanted), STEPS[-1]))


class Tracks:
    """The tracks of every source, each column worked out once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, float], dict[str, _Grid]] = {}
        self._offset: float | None = None

    def of(self, source: SourceView, specs: dict[str, Spec], window: float) -> dict[str, Track]:
        """Draw up the tracks of one source over the window that ends now."""
        view = source.view
        offset = view.wall - view.mono
        if self._offset is None or abs(offset - self._offset) > 1.0:
            # The wall clock jumped: columns drawn before would stand at the wrong time.
            self._kept.clear()
            self._offset = offset
        step = step_for(window, view.interval)
        key = (source.id, step)
        grids = self._kept.setdefault(key, {})
        self._forget_unused(key)
        last = int((source.newest.mono + self._offset) // step)
        count = max(1, round(window / step))
        return {
            name: self._track(source, spec, grids.setdefault(name, _Grid()), last, count, step)
            for name, spec in specs.items()
            if spec.quantity in source.history.columns.by_quantity
        }

    def _track(self, source: SourceView, spec: Spec, grid: _Grid, last: int, count: int, step: float) -> Track:
        if grid.last is None or last - grid.last > count or count > grid.count:
            grid.points, grid.last, grid.count = deque(maxlen=count), last - count, count
        if grid.last < last or grid.track is None:
            for index in range(grid.last + 1, last + 1):
                end = index * step - (self._offset or 0.0)
                begin = source.history.first_mono
                grid.points.append(_point(source, spec, end, step) if end >= begin else None)
            grid.last = last
            grid.track = Track(spec.unit, last * step, step, tuple(grid.points))
        points = grid.track.values
        return grid.track if len(points) <= count else Track(spec.unit, last * step, step, points[-count:])

    def _forget_unused(self, key: tuple[str, float]) -> None:
        mine = [each for each in self._kept if each[0] == key[0]]
        if len(mine) > MAX_KEPT:
            oldest = next(each for each in mine if each != key)
            del self._kept[oldest]


class _Grid:
    """The complete columns of one track."""

    def __init__(self) -> None:
        self.points: deque[float | None] = deque()
        self.last: int | None = None
        self.count = 0
        self.track: Track | None = None


def _point(source: SourceView, spec: Spec, end: float, step: float) -> float | None:
    """Work out one column: what was so at `end`, None where nothing was seen around it."""
    if not source.seen_at(end, step):
        return None
    if spec.gauge:
        return total_gauge(source, spec.quantity, step, end)
    if spec.q is None:
        return source.rate(spec.quantity, max(step, RATE_SECONDS), end)
    observed = source.histogram(spec.quantity, max(step, QUANTILE_SECONDS), end)
    found = quantile(observed, spec.q) if observed else None
    if found is None:
        return None
    # Above the last finite bound all that is known is "more than this".
    return found.lo if found.estimate is None else found.estimate
