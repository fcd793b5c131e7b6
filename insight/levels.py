"""Normal and heavy load, told apart by the data: what a server did while little was in it, and while much was.

The window is cut into cells, each with the requests in the server on average; the cells are parted in two where that
explains most of how they differ (Otsu's threshold, on the logarithm). Where one level explains nearly as much, there
was but one.
"""

from __future__ import annotations

import math
from itertools import groupby
from statistics import pstdev
from typing import TYPE_CHECKING

from msgspec import Struct

from metrics import units
from metrics.finding import LoadLevel
from metrics.histogram import merge
from metrics.measure import describe, total_gauge
from metrics.observed import Measure
from metrics.quantity import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.histogram import Histogram
    from metrics.view import SourceView

CELL_SECONDS = 10.0
MOST_CELLS = 180
FEWEST_CELLS = 6
"""A minute: below that, nothing is said of levels."""
FEWEST_AT_LEVEL = 3
EXPLAINED = 0.85
"""Share of the variance between the cells that two levels have to explain. The best cut explains 75 % of a uniform and
64 % (2 / pi) of a normal distribution, in which there are no two levels; of 100 draws from the former up to 81 %."""
RATIO = 1.5
"""Heavy is at least so many times normal. Our own default."""
EVEN = 0.5
"""A load of one level whose cells scatter by no more than this share of its mean (standard deviation) is even. Of a
Poisson number of requests that is from 4 in the server on, of a uniform load from none it is 0.58. Our own default."""
COUNTERS = ("requests_finished", "output_tokens_total", "prompt_tokens_total")
HISTOGRAMS = ("ttft_seconds", "itl_seconds", "e2e_seconds", "queue_seconds")


class _Cell(Struct, frozen=True):
    end: float
    in_flight: float


def levels(source: SourceView, window: float) -> tuple[LoadLevel, ...]:
    """Tell what the server did at each level of load in the window: normal and heavy, or one.

    Nothing where the server does not tell how many requests it holds, or nothing was in it all the time.
    """
    size = max(CELL_SECONDS, window / MOST_CELLS, 2 * source.view.interval)
    cells = _cells(source, window, size)
    if not any(cell.in_flight > 0 for cell in cells):
        return ()
    least, most = min(cell.in_flight for cell in cells), max(cell.in_flight for cell in cells)
    if len(cells) < FEWEST_CELLS:
        why = f"seen for {units.duration(len(cells) * size)}, too short to tell: it takes a minute"
        return (_level(source, units.UNKNOWN, why, cells, size),)
    limit, explained = threshold([cell.in_flight for cell in cells])
    normal = [cell for cell in cells if cell.in_flight <= limit]
    heavy = [cell for cell in cells if cell.in_flight > limit]
    apart = (
        min(len(normal), len(heavy)) >= FEWEST_AT_LEVEL
        and explained >= EXPLAINED
        and _mean(heavy) >= RATIO * max(_mean(normal), 1.0)
    )
    if not apart:
        seen = f"{units.digits(least)} to {units.digits(most)} requests in the server"
        if pstdev([cell.in_flight for cell in cells]) <= EVEN * _mean(cells):
            return (_level(source, "even", f"the load was one level: {seen}", cells, size),)
        return (_level(source, "uneven", f"the load varied, and not between two levels: {seen}", cells, size),)
    why = (
        f"up to {units.digits(limit)} requests in the server are normal, above is heavy: the cut explains "
        f"{units.value(explained, 'ratio')} of how {len(cells)} spells of {units.duration(size)} differ"
    )
    return (_level(source, "normal", why, normal, size), _level(source, "heavy", why, heavy, size))


def threshold(values: Sequence[float]) -> tuple[float, float]:
    """Cut values in two where that explains most of their variance (Otsu), on log(1 + x); there are two or more.

    Returns the highest value of the lower part, and the share of the variance that lies between the parts.
    """
    ordered = sorted(values)
    logs = [math.log1p(max(0.0, value)) for value in ordered]
    n, whole = len(logs), math.fsum(logs)
    mean = whole / n
    variance = math.fsum((each - mean) ** 2 for each in logs)
    best, cut, below = 0.0, n - 1, 0.0
    for index in range(n - 1):
        below += logs[index]
        if ordered[index] == ordered[index + 1]:
            continue
        count = index + 1
        between = count * (below / count - mean) ** 2 + (n - count) * ((whole - below) / (n - count) - mean) ** 2
        if between > best:
            best, cut = between, index
    return ordered[cut], best / variance if variance > 0 else 0.0


def _cells(source: SourceView, window: float, size: float) -> list[_Cell]:
    newest = source.newest_ok
    seconds = source.seconds(window)
    if newest is None or not seconds:
        return []
    ends = [newest.mono - index * size for index in range(int(seconds / size))]
    found: list[_Cell] = []
    for end in reversed(ends):
        running = total_gauge(source, "requests_running", size, end)
        waiting = total_gauge(source, "requests_waiting", size, end)
        if running is not None and source.seen_at(end, size):
            found.append(_Cell(end, running + (waiting or 0.0)))
    return found


def _mean(cells: Sequence[_Cell]) -> float:
    return math.fsum(cell.in_flight for cell in cells) / len(cells) if cells else 0.0


def _level(source: SourceView, name: str, why: str, cells: Sequence[_Cell], size: float) -> LoadLevel:
    """Put together what was counted in these cells; neighbours are read as one spell."""
    spells = [
        (len(run) * size, run[-1].end)
        for _, group in groupby(enumerate(cells), key=lambda pair: round(pair[1].end / size) - pair[0])
        if (run := [cell for _, cell in group])
    ]
    quantities: dict[str, Measure] = {}
    for quantity in COUNTERS:
        grown = [each for seconds, end in spells if (each := source.increase(quantity, seconds, end)) is not None]
        seconds = math.fsum(each.seconds for each in grown)
        if seconds > 0:
            increase = math.fsum(each.value for each in grown)
            unit = QUANTITIES[quantity].unit
            quantities[quantity] = Measure(unit, rate=increase / seconds, increase=increase, window_seconds=seconds)
    for quantity in HISTOGRAMS:
        observed = [source.histogram(quantity, seconds, end) for seconds, end in spells]
        known: list[Histogram] = [each for each in observed if each is not None]
        whole = merge(known)
        if whole is not None and whole.count:
            total = math.fsum(seconds for seconds, _ in spells)
            quantities[quantity] = describe(whole, QUANTITIES[quantity].unit, total)
    return LoadLevel(source.id, name, why, len(cells) * size, _mean(cells), quantities)
