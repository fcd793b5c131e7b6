from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators import energy
from metrics.effect import Grade


def test_energy_by_hand() -> None:
    """6 kJ for 12 000 tokens are 0.5 J each, 5 % either way by the sensor, measured: grade A."""
    found = energy.per_token(6000.0, 12_000.0, 60.0)
    assert (found.mid, found.basis, found.grade, found.n) == (0.5, "measured", Grade.A, 12_000.0)
    assert found.lo == pytest.approx(0.5 / 1.05)
    assert found.hi == pytest.approx(0.5 / 0.95)


def test_the_energy_of_a_neighbour_makes_it_a_bound() -> None:
    """With another process on the boards it is at most that, and the text says so."""
    found = energy.per_token(6000.0, 12_000.0, 60.0, shared=True)
    assert (found.lo, found.mid, found.basis, found.grade) == (None, None, "bound", Grade.C)
    assert found.hi == pytest.approx(0.5 / 0.95)
    assert any("another process" in each for each in found.assumptions)


@pytest.mark.parametrize(("joules", "tokens", "seconds"), [(6000.0, 0.0, 60.0), (0.0, 1.0, 60.0), (600.0, 100.0, 9.0)])
def test_nothing_is_divided_by_nothing(joules: float, tokens: float, seconds: float) -> None:
    """Without tokens, without energy, or in a short window there is no number, but what is missing."""
    found = energy.per_token(joules, tokens, seconds)
    assert (found.basis, found.mid) == ("unknown", None)
    assert found.needs


@given(st.floats(0.1, 100), st.floats(1.0, 1e7), st.floats(1.0, 3600.0))
def test_an_hour_of_tokens_costs_the_hour(hourly: float, tokens: float, seconds: float) -> None:
    """The price of a million times the millions of an hour is the price of the hour."""
    found = energy.cost(hourly, tokens, seconds)
    assert found.mid is not None
    assert found.mid * tokens / seconds * 3600 / 1e6 == pytest.approx(hourly)
    assert (found.lo, found.hi, found.grade) == (found.mid, found.mid, Grade.A)


def test_no_tokens_have_no_price() -> None:
    """An idle server has no price of a token, and says what is missing."""
    assert energy.price(3.6, 0.0) is None
    assert energy.cost(3.6, 0.0, 60.0).basis == "unknown"
    assert energy.price(3.6, 1000.0) == pytest.approx(1.0)
