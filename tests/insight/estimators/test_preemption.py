from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators import preemption
from metrics.effect import Grade

GAMMA, RESIDENT = 0.000242, 453.0
"""Of the vLLM on which preemption was measured, in seconds a token and tokens a running request."""


@pytest.mark.parametrize(("per_second", "caching", "measured"), [(1.87, False, 1.213), (1.97, True, 1.104)])
def test_a_real_server_lost_what_was_estimated(per_second: float, caching: bool, measured: float) -> None:
    """Enough KV cache at the same batch brought x1.213 and x1.104: 1 / (1 - loss) is near it, and holds it."""
    lost = preemption.loss(preemption.proxy(per_second, RESIDENT, GAMMA), caching, n=110, window_seconds=60)
    assert lost.lo is not None
    assert lost.mid is not None
    assert lost.hi is not None
    assert 1 / (1 - lost.lo) <= measured <= 1 / (1 - lost.hi)
    assert 1 / (1 - lost.mid) == pytest.approx(measured, rel=0.05)
    assert lost.grade is Grade.C


def test_counted_tokens_are_the_loss_itself() -> None:
    """615 recomputed tokens/s took 15 % of the time."""
    lost = preemption.loss_recomputed(615, GAMMA, n=110, window_seconds=60)
    assert lost.mid == pytest.approx(0.149, abs=0.001)
    assert preemption.loss_recomputed(6150, GAMMA, 1, 60).basis == "unknown"


@given(st.floats(0, 0.95), st.sampled_from([True, False, None]))
def test_the_proxy_is_an_upper_bound(upper: float, caching: bool | None) -> None:
    """Whatever is known of the cache, the loss lies in order within 0 and the proxy."""
    lost = preemption.loss(upper, caching, 10, 60)
    assert lost.lo is not None
    assert lost.mid is not None
    assert lost.hi is not None
    assert 0 <= lost.lo <= lost.mid <= lost.hi <= upper


def test_a_proxy_that_contradicts_itself_says_nothing() -> None:
    """A loss of more than 95 % of the time cannot be; then it is said what is missing."""
    lost = preemption.loss(1.4, None, 10, 60)
    assert lost.basis == "unknown"
    assert lost.needs
