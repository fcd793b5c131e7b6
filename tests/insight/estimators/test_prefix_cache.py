from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators import prefix_cache
from insight.estimators.prefix_cache import HitRate, Load
from insight.estimators.step_time import StepTime, fit
from insight.estimators.steps import StepCost, second_order
from insight.estimators.windows import StepWindow, WindowLog
from metrics.effect import Grade
from metrics.store import Store
from metrics.view import View
from tests.captures import load

LOAD = Load(prompt_tokens=300.0, hit_rate=0.0, requests=250.0, window_seconds=60.0)
COST = StepCost(0.006, 0.0004, 0.00025)
ITL_ON = {"m4": 0.00812, "h6.5": 0.01008}
"""Of the capture with caching on, which is not in the repository: these numbers are."""
CAPACITY_OFF, CAPACITY_ON = 8.30, 11.83
TTFT_SAVED = {"m4": 0.0588, "h6.5": 0.0902}


@cache
def windows(phase: str) -> list[StepWindow]:
    store, log = Store(), WindowLog()
    for sample in load("vllm-prefix-off").phase(phase).samples:
        store.add(sample)
        log.observe(View(store, sample.mono, sample.wall).of(sample.source))
    return list(log.windows)


@cache
def fitted() -> StepTime:
    found = fit([*windows("m4"), *windows("h6.5")])
    assert isinstance(found, StepTime)
    return found


@pytest.mark.parametrize("phase", ["m4", "h6.5"])
def test_a_real_server_did_what_was_predicted(phase: str) -> None:
    """From a vLLM without caching: ITL with it within 7 %, capacity and TTFT within what was said."""
    seen, model = windows(phase), fitted()
    seconds, requests = sum(each.seconds for each in seen), sum(each.ttft_count for each in seen)
    gaps = sum(each.itl_count for each in seen)
    prompt, output = sum(each.computed for each in seen) / requests, 1 + gaps / requests
    now = sum(each.itl_sum for each in seen) / gaps
    measured = Load(prompt, 0.0, requests, seconds)
    expected = HitRate(0.427, 0.527, "the lengths of shared prefixes, in whole blocks")

    def forecast(cost: StepCost) -> prefix_cache.Forecast:
        return lambda computed: second_order(cost, requests / seconds, computed, output)

    itl = prefix_cache.itl(
        now, measured, expected, forecast(model.cost), [forecast(each) for each in model.replicates[:40]]
    )
    assert itl.mid == pytest.approx(ITL_ON[phase], rel=0.07)
    assert itl.lo is not None
    assert itl.hi is not None
    assert itl.lo <= ITL_ON[phase] <= itl.hi
    capacity = prefix_cache.capacity(
        CAPACITY_OFF, measured, expected, lambda computed: model.cost.capacity(computed, output, 32)
    )
    assert capacity.lo is not None
    assert capacity.hi is not None
    assert capacity.lo <= CAPACITY_ON <= capacity.hi
    assert capacity.mid == pytest.approx(CAPACITY_ON, rel=0.05)
    ttft = prefix_cache.ttft(0.2, measured, expected, model.cost.gamma)
    assert ttft.hi is not None
    assert 0.02 < 0.2 - ttft.hi < TTFT_SAVED[phase]


def test_capacity_by_hand() -> None:
    """With x = 4/3 the interval is from 1 + 0.7/3 to 4/3, and the middle 1 + 0.85/3."""
    found = prefix_cache.capacity(9.0, LOAD, HitRate(0.5, 0.5, "scenario"), lambda computed: 1200 / (computed + 300))
    assert (found.now, found.unit, found.grade) == (9.0, "1/s", Grade.B)
    assert found.lo == pytest.approx(9 * (1 + 0.7 / 3))
    assert found.mid == pytest.approx(9 * (1 + 0.85 / 3))
    assert found.hi == pytest.approx(9 * 4 / 3)


@given(st.floats(0.1, 3.0), st.floats(0.0, 0.95), st.floats(0.0, 0.95))
def test_more_hits_are_never_worse(rate: float, one: float, other: float) -> None:
    """ITL falls and capacity rises with the hit rate, and the interval holds its middle."""
    less, more = sorted((one, other))

    def at(share: float) -> tuple[float, float]:
        expected = HitRate(share, share, "scenario")
        itl = prefix_cache.itl(0.02, LOAD, expected, lambda computed: second_order(COST, rate, computed, 80))
        capacity = prefix_cache.capacity(5.0, LOAD, expected, lambda computed: COST.capacity(computed, 80, 32))
        for each in (itl, capacity):
            assert each.lo is not None
            assert each.mid is not None
            assert each.hi is not None
            assert each.lo <= each.mid <= each.hi
        return itl.mid or 0.0, capacity.mid or 0.0

    (slow, small), (fast, large) = at(less), at(more)
    assert fast <= slow + 1e-12
    assert large >= small - 1e-12


def test_without_a_fit_nothing_is_predicted() -> None:
    """A forecast that is saturated at the load of now gives no number and says what is missing."""
    for found in (
        prefix_cache.itl(0.02, LOAD, HitRate(0.3, 0.4, "scenario"), lambda _: None),
        prefix_cache.capacity(None, LOAD, HitRate(0.3, 0.4, "scenario"), lambda _: None),
    ):
        assert (found.basis, found.lo, found.mid, found.hi) == ("unknown", None, None, None)
        assert found.needs


def test_ttft_is_only_bounded() -> None:
    """At least gamma * dP is saved, by the least of the hit rates; no gain, no bound."""
    found = prefix_cache.ttft(0.1, LOAD, HitRate(0.4, 0.5, "scenario"), 0.00025)
    assert (found.basis, found.mid) == ("bound", None)
    assert found.hi == pytest.approx(0.1 - 0.00025 * 300 * 0.4)
    assert prefix_cache.ttft(0.1, LOAD, HitRate(0.0, 0.1, "scenario"), 0.00025).hi == 0.1


def test_a_cache_that_is_off_gets_a_table() -> None:
    """10, 30 and 60 %, never one number."""
    rows = prefix_cache.scenarios(
        0.02,
        LOAD,
        lambda computed: second_order(COST, 2.0, computed, 80),
        lambda computed: COST.capacity(computed, 80, 32),
    )
    assert [row.hit_rate for row in rows] == [0.1, 0.3, 0.6]
    assert rows[2].itl.mid < rows[0].itl.mid < 0.02  # type: ignore[operator] # the fit holds, so they are numbers
    assert all(row.capacity.grade is Grade.C for row in rows)
