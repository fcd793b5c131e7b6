"""Where every pane stands: a pure function from the size of the screen to rectangles.

The order from the top is the same at every size; what grows is how much of it there is room for. Panes come in by rank,
each with the least height at which it says anything, then grow in turns, and the graphs take what is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Rect(NamedTuple):
    """A pane and its place, in cells from the top left corner."""

    pane: str
    x: int
    y: int
    width: int
    height: int


class Counts(NamedTuple):
    """How much there is to show."""

    verdict: int = 1
    """Lines of the verdict at this width."""
    targets: int = 1
    gpus: int = 0
    """Lines below the heading: GPUs, or why there is none."""
    risks: int = 1
    quiet: int = 0
    """1 where there are risks that do not hold: a line, where there is room for it."""
    estimates: int = 0
    """Lines: how loaded the server is, then its levels of load where there were several."""
    since: int = 0
    """1 where something was marked."""
    advice: int = 0
    unseen: int = 0
    host: int = 0
    evidence: int = 0
    events: int = 0
    measured: bool = True
    """False where there is no number of the server yet: then the reason stands in place of graphs."""


class Band(NamedTuple):
    """One pane, or two beside one another, over the whole width."""

    panes: tuple[str, ...]
    rank: int
    """Order in which bands get a place."""
    least: int
    most: int


TWO_COLUMNS = 76
"""Cells from which on two graphs stand side by side."""
_GROWTH = (
    ("verdict", 2),
    ("targets", 6),
    ("risks", 4),
    ("gpus", 3),
    ("ttft", 7),
    ("risks", 6),
    ("evidence", 6),
    ("gpus", 10),
    ("load", 5),
)
"""Turns in which bands grow: each up to so many rows, before the next turn."""


def _bands(width: int, height: int, counts: Counts) -> list[Band]:
    if not counts.measured:
        return _bands_of_nothing(counts)
    several = counts.targets > 1
    small = width < 56 or height < 17
    wide = width >= TWO_COLUMNS
    tall = height >= 34
    huge = height >= 44 and wide
    score = 5 if huge else 1
    graph = 6 if height >= 24 else 5
    risks = 1 + max(1, counts.risks + (counts.quiet if tall else 0))
    bands = [
        Band(("header",), 1, 1, 1),
        Band(("verdict",), 0, min(2, counts.verdict) if height > 8 else 1, max(1, counts.verdict)),
        Band(("targets",), 6, 2 + min(3, counts.targets), 2 + counts.targets) if several and height >= 28 else None,
        Band(("score",), 9, 1, score) if not small else None,
        Band(("numbers",), 4, 2, 2) if small else None,
        Band(("ttft", "throughput") if wide else ("ttft",), 7 if not small else 16, graph, height),
        Band(("throughput",), 15, 5, height) if not wide else None,
        Band(("itl", "requests"), 14, 6, height) if wide and tall else None,
        Band(("load", "phases") if wide else ("load",), 5, 3, 5 if tall else 3) if not small else None,
        Band(("phases",), 12, 3, 3) if not wide and not small else None,
        Band(("estimates",), 11, 1, counts.estimates if huge else 1) if counts.estimates and not small else None,
        Band(("since",), 4, 1, 1) if counts.since else None,
        Band(("gpus",), 8, 1 + min(2, counts.gpus), 1 + counts.gpus) if counts.gpus else None,
        Band(("host",), 13, 1, 1) if counts.host else None,
        Band(("risks",), 3, 1 + min(3, max(1, counts.risks)) if height > 8 else 2, risks),
        Band(("evidence",), 12, 2, 1 + counts.evidence) if counts.evidence and tall else None,
        Band(("advice",), 10, 1, min(counts.advice, 3) if tall else 1) if counts.advice else None,
        Band(("unseen",), 11, 1, min(counts.unseen, 3) if tall else 1) if counts.unseen else None,
        Band(("events",), 16, 2, 1 + counts.events) if counts.events and huge else None,
        Band(("footer",), 2, 1, 1),
    ]
    return [band for band in bands if band is not None]


def _bands_of_nothing(counts: Counts) -> list[Band]:
    bands = [
        Band(("header",), 1, 1, 1),
        Band(("verdict",), 0, 1, max(1, counts.verdict)),
        Band(("targets",), 4, 3, 2 + counts.targets) if counts.targets > 1 else None,
        Band(("load",), 3, 1, 4),
        Band(("gpus",), 5, 1, 1 + counts.gpus) if counts.gpus else None,
        Band(("host",), 6, 1, 1) if counts.host else None,
        Band(("risks",), 7, 2, 1 + counts.risks) if counts.risks else None,
        Band(("unseen",), 8, 1, counts.unseen) if counts.unseen else None,
        Band(("footer",), 2, 1, 1),
    ]
    return [band for band in bands if band is not None]


def layout(width: int, height: int, counts: Counts) -> list[Rect]:
    """Place the panes on a screen of this size: never outside of it, never overlapping, none empty."""
    if width < 1 or height < 1:
        return []
    bands = _bands(width, height, counts)
    heights: dict[Band, int] = {}
    left = height
    for band in sorted(bands, key=lambda band: band.rank):
        if band.least <= left:
            heights[band] = band.least
            left -= band.least
    left = _grow(heights, left)
    gaps = _gaps(heights, left, height)
    _share(heights, left - len(gaps))
    return list(_rectangles([band for band in bands if band in heights], heights, gaps, (width, height)))


def _grow(heights: dict[Band, int], left: int) -> int:
    """Let bands grow in turns; return the rows that are left."""
    by_name = {band.panes[0]: band for band in heights}
    everything = tuple((name, band.most) for name, band in by_name.items() if name not in _GRAPHS)
    for name, limit in (*_GROWTH, *everything):
        if (band := by_name.get(name)) is not None:
            more = max(0, min(left, min(limit, band.most) - heights[band]))
            heights[band] += more
            left -= more
    return left


_GRAPHS = ("ttft", "throughput", "itl")
_SECTIONS = ("ttft", "load", "gpus", "risks")


def _gaps(heights: dict[Band, int], left: int, height: int) -> set[str]:
    """Choose the sections with a blank line above: air, where the graphs do not need it."""
    if height < 34 or left < 8:
        return set()
    return {band.panes[0] for band in heights if band.panes[0] in _SECTIONS}


def _share(heights: dict[Band, int], left: int) -> None:
    """Give what is left to the graphs, the first of them a row more than the last."""
    graphs = [band for band in heights if band.panes[0] in _GRAPHS]
    for index, band in enumerate(sorted(graphs, key=lambda band: band.rank)):
        total = sum(heights[each] for each in graphs) + left
        want = -(-total // len(graphs)) if index == 0 else heights[band] + left
        more = max(0, min(left, want - heights[band]))
        heights[band] += more
        left -= more


def _rectangles(
    bands: Iterable[Band], heights: dict[Band, int], gaps: set[str], size: tuple[int, int]
) -> Iterable[Rect]:
    width, height = size
    y = 0
    for band in bands:
        y = height - 1 if band.panes == ("footer",) else y + (band.panes[0] in gaps)
        if len(band.panes) == 1:
            yield Rect(band.panes[0], 0, y, width, heights[band])
        else:
            half = (width - 1) // 2  # one column between the two is the rule
            other = half if band.panes[0] in _GRAPHS else width - half - 1  # two time axes are of one length
            yield Rect(band.panes[0], 0, y, half, heights[band])
            yield Rect(band.panes[1], half + 1, y, other, heights[band])
        y += heights[band]
