from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators import kv_capacity
from insight.estimators.steps import Limits, StepCost, second_order, simulate
from metrics.effect import Grade
from tests.insight.estimators.mixes import alike

COST = StepCost(0.006, 0.0004, 0.00025)


def itl(rate: float) -> float | None:
    return second_order(COST, rate, 280.0, 80.0)


def test_a_running_request_holds_its_share() -> None:
    """Half of 10 000 tokens among ten are 500 each; with hardly one running nobody knows."""
    assert kv_capacity.resident_tokens(0.5, 10_000, 10) == 500
    assert kv_capacity.resident_tokens(0.5, 10_000, 0.4) is None


def test_the_batch_is_limited_by_the_smaller_of_slots_and_cache() -> None:
    """What is not known does not limit; nothing known is no batch."""
    assert kv_capacity.largest_batch(32, 10_000, 500) == 20
    assert kv_capacity.largest_batch(16, 10_000, 500) == 16
    assert kv_capacity.largest_batch(16, None, 500) == 16
    assert kv_capacity.largest_batch(None, 10_000, None) is None


def test_without_a_forecast_it_is_an_upper_bound() -> None:
    """Usage goes with the rate at least, so that 0.3 at 2/s is 0.9 at 6/s or before."""
    found = kv_capacity.capacity(2.0, 0.3)
    assert (found.basis, found.lo, found.mid) == ("bound", None, None)
    assert found.hi == pytest.approx(6.0)


def test_the_fixed_point() -> None:
    """At the rate found, the usage of now times rate and ITL is 0.9; as far as twice the rate of now it is grade B."""
    found = kv_capacity.capacity(4.0, 0.4, itl, 20.0, 60.0)
    assert found.mid is not None
    now, then = itl(4.0), itl(found.mid)
    assert now is not None
    assert then is not None
    assert 0.4 * found.mid / 4.0 * then / now == pytest.approx(0.9, rel=1e-4)
    assert (found.grade, found.n, found.window_seconds) == (Grade.B, 20.0, 60.0)
    assert found.lo == pytest.approx(0.9 * found.mid)
    far = kv_capacity.capacity(1.0, 0.02, itl)
    assert far.mid is not None
    assert far.grade is Grade.C
    assert far.hi == pytest.approx(1.2 * far.mid)


@given(st.floats(0.2, 5.0), st.floats(0.02, 0.99))
def test_it_is_below_the_upper_bound_and_its_interval_holds_it(rate: float, usage: float) -> None:
    """The solution never passes the bound without a forecast where the cache has room, and lo <= mid <= hi."""
    found = kv_capacity.capacity(rate, usage, itl)
    assert found.lo is not None
    assert found.mid is not None
    assert found.hi is not None
    assert found.lo <= found.mid <= found.hi
    assert found.mid <= max(rate * 0.9 / usage, rate) * (1 + 1e-9)


def test_nothing_running_says_nothing() -> None:
    """No rate, no usage or no fit at the load of now is no capacity, but what would have to be seen."""
    for found in (
        kv_capacity.capacity(0.0, 0.3),
        kv_capacity.capacity(2.0, 0.0),
        kv_capacity.capacity(2.0, 0.3, lambda _: None),
    ):
        assert found.basis == "unknown"
        assert found.needs


def test_the_first_limit_is_named() -> None:
    """The least of the known limits comes first."""
    assert kv_capacity.binding({"slots": 9.0, "kv_cache": 4.0, "objective": None}) == "kv_cache"
    assert kv_capacity.binding({"slots": None}) is None


def test_the_simulated_cache_is_as_full_as_predicted() -> None:
    """At the rate that was predicted for 90 %, from 40 % at 3 requests/s, the step simulation has 90 %, within 8 %."""

    def resident(rate: float) -> float:
        ended = simulate(COST, alike(rate, 280.0, 80.0), Limits(512, 8192), 3000.0, warm_up=60.0, seed=1)
        return ended.batch * (280.0 + 40.0)

    held = resident(3.0)
    found = kv_capacity.capacity(3.0, 0.4, itl)
    assert found.mid is not None
    assert resident(found.mid) / (held / 0.4) == pytest.approx(0.9, rel=0.08)
