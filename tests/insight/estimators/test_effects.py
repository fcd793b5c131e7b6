from __future__ import annotations

import math
from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators.effects import around, bound, percentile, student90, unknown
from metrics.effect import Grade


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_percentiles_agree_with_the_standard_library(values: list[float]) -> None:
    """The cut points of `statistics.quantiles`, inclusive."""
    cuts = quantiles(values, n=20, method="inclusive")
    assert percentile(values, 0.05) == pytest.approx(cuts[0])
    assert percentile(values, 0.95) == pytest.approx(cuts[-1])


def test_infinite_values_have_percentiles() -> None:
    """A maximum that lies nowhere is infinite, never not a number."""
    assert percentile([1.0, math.inf, math.inf], 0.95) == math.inf
    assert percentile([3.0], 0.5) == 3.0


def test_an_interval_holds_its_middle() -> None:
    """Also where all that was drawn lies on one side of it, and where nothing was."""
    assert around(5.0, [1.0, 2.0, 3.0])[1] == 5.0
    assert around(0.0, [1.0, 2.0, 3.0])[0] == 0.0
    assert around(5.0, []) == (5.0, 5.0)


def test_what_is_unknown_has_no_number_and_what_is_bounded_no_middle() -> None:
    """The basis, the grade and the fields go together."""
    nothing = unknown("itl_seconds", "s", "a fit", now=0.01)
    assert (nothing.now, nothing.lo, nothing.mid, nothing.hi) == (0.01, None, None, None)
    assert (nothing.basis, nothing.grade, nothing.needs) == ("unknown", Grade.D, "a fit")
    half = bound("itl_seconds", "s", 0.01, 0.005, 0.01)
    assert (half.mid, half.basis, half.grade) == (None, "bound", Grade.C)


@pytest.mark.parametrize(("freedom", "value"), [(3, 2.353), (5, 2.015), (9, 1.833), (18, 1.734), (60, 1.671)])
def test_students_t(freedom: int, value: float) -> None:
    """Within 1 % of the tables."""
    assert student90(freedom) == pytest.approx(value, rel=0.01)
