from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators import balance
from metrics.effect import Grade


def closed(rate: float) -> float | None:
    """A convex cost with a known answer: 10 ms / (1 - rate / 20)."""
    return 0.010 / (1 - rate / 20) if rate < 20 else None


def test_all_on_one_of_two() -> None:
    """14 on one replica is 33 ms; 7 and 7 are 15 ms."""
    found = balance.balanced([14, 0], closed)
    assert found.now == pytest.approx(0.010 / 0.3)
    assert found.mid == pytest.approx(0.010 / 0.65)
    assert found.grade is Grade.B
    assert "hit rate" in found.valid_if[0]


def test_the_measured_itl_is_scaled() -> None:
    """With a measured now the ratio of the forecasts is applied to it."""
    found = balance.balanced([14, 0], closed, now=0.020)
    assert found.mid == pytest.approx(0.020 * 0.3 / 0.65)


@given(st.lists(st.floats(0, 19), min_size=2, max_size=8).filter(lambda rates: sum(rates) > 0.01))
def test_balance_never_hurts(rates: list[float]) -> None:
    """Of a convex cost the even spread is the best; even rates gain nothing."""
    found = balance.balanced(rates, closed)
    assert found.now is not None
    assert found.mid is not None
    assert found.mid <= found.now * (1 + 1e-9)
    even = balance.balanced([sum(rates) / len(rates)] * len(rates), closed)
    assert even.mid == pytest.approx(even.now)


def test_what_cannot_be_told() -> None:
    """One replica, no requests, or one beyond the forecast: no number, and what is missing."""
    for rates in ([5.0], [0.0, 0.0], [25.0, 5.0]):
        found = balance.balanced(rates, closed)
        assert (found.basis, found.mid) == ("unknown", None)
        assert found.needs


def test_the_interval_spans_the_replicates() -> None:
    """Fits that are more or less convex make the gain more or less."""
    others = [lambda rate, k=k: 0.010 / (1 - rate / k) for k in (18, 19, 21, 24)]
    found = balance.balanced([14, 4], closed, others)
    assert found.lo is not None
    assert found.mid is not None
    assert found.hi is not None
    assert found.lo < found.mid < found.hi
