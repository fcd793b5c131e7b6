from __future__ import annotations

import datetime as dt

from insight.quality.holdout import gap, held_out
from metrics.quality import Graded, Outcome

MONDAY = dt.datetime(2026, 11, 16, tzinfo=dt.UTC).timestamp()
WEEK = 7 * 86_400
ITEMS = [f"item-{n}" for n in range(400)]


def test_half_is_held_out() -> None:
    """About half of them, the same all week, and another half the next."""
    first = {each for each in ITEMS if held_out(each, MONDAY)}
    assert 160 < len(first) < 240
    assert first == {each for each in ITEMS if held_out(each, MONDAY + WEEK - 1)}
    following = {each for each in ITEMS if held_out(each, MONDAY + WEEK)}
    assert 60 < len(first & following) < 140, "drawn anew: not the same half, and not the other one"


def graded(*, open_right: int, held_right: int) -> list[Graded]:
    """Answers to 100 items of each half."""
    halves = [[each for each in ITEMS if held_out(each, MONDAY) is held][:100] for held in (False, True)]
    return [
        Graded(item, "f", Outcome.RIGHT if n < right else Outcome.WRONG)
        for half, right in zip(halves, (open_right, held_right), strict=True)
        for n, item in enumerate(half)
    ]


def test_who_was_made_to_answer_the_open_half() -> None:
    """The gap excludes 0 where it is large, and does not where it may be chance."""
    tuned = gap(graded(open_right=99, held_right=80), MONDAY)
    assert tuned is not None
    assert round(tuned.value, 2) == 0.19
    assert tuned.lo > 0.05
    chance = gap(graded(open_right=90, held_right=87), MONDAY)
    assert chance is not None
    assert chance.lo < 0 < chance.hi


def test_one_half_is_no_comparison() -> None:
    """Nothing is told where only one half was answered."""
    only = [each for each in graded(open_right=9, held_right=9) if not held_out(each.item, MONDAY)]
    assert gap(only, MONDAY) is None
