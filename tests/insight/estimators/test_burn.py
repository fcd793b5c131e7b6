from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators import burn
from insight.estimators.burn import PAIRS, Burn
from metrics.histogram import Histogram


def observed(good: int, between: int, bad: int) -> Histogram:
    """Observe TTFTs up to 1 s, from 1 to 2.5 s, and above."""
    return Histogram((1.0, 2.5), (float(good), float(between), float(bad)), 0.0)


def test_burn_by_hand() -> None:
    """10 of 100 bad at 99 % burn ten times as fast as allowed, exactly at a bucket's bound."""
    found = burn.burn(observed(90, 0, 10), 1.0, 0.99, 300)
    assert found is not None
    assert found.certain == pytest.approx(10)
    assert found.possible == pytest.approx(10)
    assert found.lo == pytest.approx(5.52, abs=0.01)
    assert found.hi == pytest.approx(17.44, abs=0.01)


def test_between_two_bounds_only_the_kinder_answer_is_certain() -> None:
    """Of 20 that took 1 to 2.5 s nobody knows how many took more than 2."""
    found = burn.burn(observed(70, 20, 10), 2.0, 0.99, 300)
    assert found is not None
    assert found.certain == pytest.approx(10)
    assert found.possible == pytest.approx(30)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300), st.floats(0.5, 3.0), st.floats(0.5, 0.999))
def test_the_interval_holds_both_answers(good: int, between: int, bad: int, limit: float, objective: float) -> None:
    """0 <= lo <= certain <= possible <= hi <= all bad."""
    found = burn.burn(observed(good, between, bad), limit, objective, 300)
    if good + between + bad == 0:
        assert found is None
        return
    assert found is not None
    most = 1 / (1 - objective)
    assert 0 <= found.lo <= found.certain + 1e-9
    assert found.certain <= found.possible + 1e-9
    assert found.possible - 1e-9 <= found.hi <= most + 1e-9


@pytest.mark.parametrize("objective", [0.0, 1.0, 99.0])
def test_an_objective_that_is_no_share_is_refused(objective: float) -> None:
    """With what to write instead."""
    with pytest.raises(ValueError, match=r"write 0\.99 for 99 %"):
        burn.burn(observed(1, 1, 1), 1.0, objective, 300)


def test_a_pair_needs_both_its_windows() -> None:
    """A burn that is over no longer alerts, nor does one of few requests; the certain burn counts."""
    hot, over, few = (Burn(certain, 30.0, 10.0, 40.0, n, 300) for certain, n in ((20.0, 100), (1.0, 100), (20.0, 29)))
    page = PAIRS[0]
    assert burn.burns(page, hot, hot) is True
    assert burn.burns(page, hot, over) is False
    assert burn.burns(page, over, hot) is False
    assert burn.burns(page, hot, few) is None
    assert burn.burns(page, None, hot) is None


def test_the_pairs_spend_what_the_workbook_says() -> None:
    """2, 5 and 10 % of the budget; 14.4 cannot be reached by an objective of 90 %."""
    assert [round(pair.budget, 3) for pair in PAIRS] == [0.02, 0.05, 0.1]
    assert all(pair.long / pair.short == 12 for pair in PAIRS)
    assert PAIRS[0].reachable(0.94)
    assert not PAIRS[0].reachable(0.9)


def test_budget() -> None:
    """All requests bad for 7.2 h at 99 % spend the 30 days' budget; half of it left burns off in 1.5 d at 10."""
    assert burn.spent(1.0, 7.2 * 3600, 0.99) == pytest.approx(1.0)
    found = burn.exhaustion(Burn(10.0, 10.0, 5.0, 20.0, 100, 300), 0.5)
    assert found.mid == pytest.approx(1.5 * 86_400)
    assert found.lo == pytest.approx(0.75 * 86_400)
    assert found.hi == pytest.approx(3 * 86_400)


def test_nothing_bad_or_nothing_seen_has_no_end() -> None:
    """Without a bad request, or with few requests, there is no time, but what would have to be seen."""
    for each in (None, Burn(0.0, 0.0, 0.0, 4.0, 100, 300), Burn(10.0, 10.0, 5.0, 20.0, 20, 300)):
        found = burn.exhaustion(each, 0.5)
        assert (found.basis, found.mid) == ("unknown", None)
        assert found.needs
