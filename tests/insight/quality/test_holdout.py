from __future__ import annotations

import datetime as dt

from insight.quality.holdout import held_out

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
