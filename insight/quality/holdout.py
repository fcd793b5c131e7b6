"""The half of the items that is held out, another half each week: what nobody can have tuned a server to by watching.

The open half is asked on every pass, the half that is held out once a day. Where a server is right on the one and not
on the other, it was made to answer the questions that it is asked, and not to answer well.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from insight.quality.statistics import Interval, difference
from insight.quality.summary import newest
from metrics.quality import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metrics.quality import Graded

_WEEK = 7 * 86_400.0
_FIRST_MONDAY = 4 * 86_400.0
"""1970-01-05, in seconds since the epoch."""


def held_out(item: str, wall: float) -> bool:
    """Tell whether an item, by its id, is held out in the week of `wall`, in seconds since the epoch.

    About half of any set is, drawn anew each Monday (UTC) and alike on every host.
    """
    week = int((wall - _FIRST_MONDAY) // _WEEK)
    return blake2b(f"{week} {item}".encode(), digest_size=1).digest()[0] % 2 == 1


def gap(graded: Iterable[Graded], now: float) -> Interval | None:
    """Give the accuracy on the open half less that on the half held out this week; None without answers to both.

    No rule reads it. The items of the halves differ, so that nothing is paired: with 47 in each, a gap below some 15
    points cannot be told from chance, and `lo` > 0 comes by chance in one week of forty.
    """
    answers = newest(graded).values()
    halves = [[each for each in answers if held_out(each.item, now) is held] for held in (False, True)]
    hits = [sum(each.outcome is Outcome.RIGHT for each in half) for half in halves]
    return difference(hits[0], len(halves[0]), hits[1], len(halves[1]))
