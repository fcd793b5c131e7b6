from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators import preemption
from insight.estimators.steps import StepCost
from metrics.effect import Grade

GAMMA, RESIDENT = 0.000242, 453.0
"""Of the vLLM on which preemption was measured, in seconds a token and tokens a running request."""


@pytest.mark.parametrize(("per_second", "caching", "measured"), [(1.87, False, 1.213), (1.97, True, 1.104)])
def test_a_real_server_gained_what_was_predicted(per_second: float, caching: bool, measured: float) -> None:
    """Enough KV cache at the same batch brought x1.213 and x1.104; both lie inside, and near the middle."""
    lost = preemption.loss(preemption.proxy(per_second, RESIDENT, GAMMA), caching, n=110, window_seconds=60)
    found = preemption.gain(lost, 1.0)
    assert found.lo is not None
    assert found.hi is not None
    assert found.lo <= measured <= found.hi
    assert found.mid == pytest.approx(measured, rel=0.05)
    assert found.grade is Grade.C


def test_the_comparison_with_a_fit_is_better() -> None:
    """1 - s_predicted / s_observed, with the 10 % that a step is good to."""
    found = preemption.loss_compared(0.0083, 0.01, n=110, window_seconds=60)
    assert found.mid == pytest.approx(0.17)
    assert found.lo == pytest.approx(0.087)
    assert found.hi == pytest.approx(0.253)
    assert found.grade is Grade.B
    assert preemption.loss_compared(0.01, 0.008, 1, 60).mid == 0.0
    assert preemption.loss_compared(0.01, 0.0, 1, 60).basis == "unknown"


def test_counted_tokens_are_the_loss_itself() -> None:
    """615 recomputed tokens/s took 15 % of the time, which is x1.18."""
    lost = preemption.loss_recomputed(615, GAMMA, n=110, window_seconds=60)
    assert lost.mid == pytest.approx(0.149, abs=0.001)
    assert preemption.gain(lost, 1.0).mid == pytest.approx(1.175, abs=0.005)
    assert preemption.loss_recomputed(6150, GAMMA, 1, 60).basis == "unknown"


@given(st.floats(0, 0.95), st.sampled_from([True, False, None]))
def test_the_proxy_is_an_upper_bound(upper: float, caching: bool | None) -> None:
    """Whatever is known of the cache, the loss lies in order within 0 and the proxy, and the gain is none or more."""
    lost = preemption.loss(upper, caching, 10, 60)
    assert lost.lo is not None
    assert lost.mid is not None
    assert lost.hi is not None
    assert 0 <= lost.lo <= lost.mid <= lost.hi <= upper
    found = preemption.gain(lost, 2.0)
    assert found.lo is not None
    assert 2.0 <= found.lo <= (found.mid or 0) <= (found.hi or 0)


def test_a_proxy_that_contradicts_itself_says_nothing() -> None:
    """A loss of more than 95 % of the time leaves no gain to be told, only what is missing."""
    lost = preemption.loss(1.4, None, 10, 60)
    assert lost.basis == "unknown"
    assert preemption.gain(lost, 2.0).needs == lost.needs


def test_the_batch_limit_is_told_apart() -> None:
    """A batch of 22 for 11 brings the ratio of the forecasts, B up to twice the batch and C above."""
    cost = StepCost(0.006, 0.0004, GAMMA)
    near, far = (
        preemption.batch_limit(2.6, 11, then, lambda batch: cost.capacity(280, 288, batch)) for then in (22, 32)
    )
    assert near.mid == pytest.approx(2.6 * cost.capacity(280, 288, 22) / cost.capacity(280, 288, 11))
    assert (near.grade, far.grade) == (Grade.B, Grade.C)
    assert near.lo is not None
    assert near.lo >= 2.6
    assert preemption.batch_limit(2.6, 11, 22, lambda _: None).basis == "unknown"


def test_a_reader_waits_at_least_for_the_prefill() -> None:
    """gamma times the tokens is a lower bound: 0.11 s, where 0.93 s were measured with the queue."""
    found = preemption.victim_gap(RESIDENT, GAMMA)
    assert found.lo == pytest.approx(0.11, abs=0.001)
    assert (found.mid, found.hi) == (None, None)
