from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators import scaling
from insight.estimators.scaling import Policy
from metrics.effect import Effect, Grade

MINUTE = 60.0
DAYS = [10 + 8 * math.sin(2 * math.pi * i / 1440) for i in range(1440)]
"""A day of rates, minute by minute, from 2 to 18 requests/s."""


def test_replicas_by_hand() -> None:
    """10/s at 4/s each are 3, at 5/s exactly 2, with a spare one more, and never none."""
    assert scaling.needed(10, 4) == 3
    assert scaling.needed(10, 5) == 2
    assert scaling.needed(0.3, 0.1) == 3
    assert scaling.needed(10, 5, spare=1) == 3
    assert scaling.needed(0, 5) == 1


def test_a_step_up_waits_for_its_start() -> None:
    """From 1 to 3 replicas at 20/s: seen after a minute, ready two later; 10/s are unmet for three minutes."""
    rates = [5.0] * 10 + [25.0] * 10
    found = scaling.replay(rates, MINUTE, 10.0, Policy(start_seconds=120, cooldown_seconds=300))
    assert (found.starts, found.most) == (2, 3)
    assert found.unmet_requests == pytest.approx(15 * 3 * MINUTE)
    assert found.replica_hours == pytest.approx((11 * 1 + 9 * 3) / 60)


def test_a_step_down_waits_for_the_cooldown() -> None:
    """What was needed within the last five minutes is kept."""
    rates = [25.0] * 10 + [5.0] * 10
    found = scaling.replay(rates, MINUTE, 10.0, Policy(start_seconds=120, cooldown_seconds=300))
    assert found.unmet_requests == 0
    assert found.replica_hours == pytest.approx((15 * 3 + 5 * 1) / 60)


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=60),
    st.floats(0.5, 50),
    st.integers(0, 600),
    st.integers(60, 900),
    st.integers(0, 2),
)
def test_a_replay_stays_within_its_bounds(
    rates: list[float], each: float, start: int, cooldown: int, spare: int
) -> None:
    """Never fewer hours than the least, never more replicas than the busiest step needs, no more unmet than came."""
    found = scaling.replay(rates, MINUTE, each, Policy(start, cooldown, spare))
    most = scaling.needed(max(rates), each, spare)
    hours = len(rates) * MINUTE / 3600
    assert (1 + spare) * hours * (1 - 1e-9) <= found.replica_hours <= most * hours * (1 + 1e-9)
    assert found.most <= most
    assert 0 <= found.unmet_requests <= sum(rates) * MINUTE * (1 + 1e-9)


def carries(lo: float, mid: float | None, hi: float | None) -> Effect:
    return Effect("requests_finished", None, lo, mid, hi, "1/s", "model", Grade.B)


FIVE = carries(4.5, 5.0, 5.5)


def test_hours_of_a_day() -> None:
    """Six replicas where the busiest minute needs four and the mean two and a half: 96 h, and fewer that follow."""
    static = scaling.spent(DAYS, MINUTE, 6, FIVE, None)
    assert (static.now, static.mid) == (144.0, 96.0)
    follows = scaling.spent(DAYS, MINUTE, 6, FIVE, Policy(start_seconds=120))
    assert follows.lo is not None
    assert follows.mid is not None
    assert follows.hi is not None
    assert 24 * 2.0 < follows.lo <= follows.mid <= follows.hi < 96.0
    assert follows.grade is Grade.B
    assert "1 d of load replayed" in follows.assumptions


def test_how_much_a_recording_allows_to_say() -> None:
    """Less than a day speaks of itself alone, grade C; none says what is missing."""
    hour = scaling.spent(DAYS[:60], MINUTE, 6, FIVE, None)
    assert (hour.grade, hour.basis) == (Grade.C, "bound")
    assert "1 h of load replayed" in hour.assumptions
    assert scaling.spent([], MINUTE, 6, FIVE, None).needs


def test_a_bound_of_what_one_carries_bounds_the_hours() -> None:
    """Of a replica that carries at least 4.5 a second it is only known that so many hours are enough."""
    found = scaling.spent(DAYS, MINUTE, 6, carries(4.5, None, None), None)
    assert (found.basis, found.lo, found.mid, found.hi) == ("bound", None, None, 96.0)
