from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.quality.budget import Budget


def test_room_comes_back_after_an_hour() -> None:
    """What was spent is forgotten an hour later, piece by piece."""
    budget = Budget(100)
    budget.spend(60, 0.0)
    budget.spend(40, 600.0)
    assert budget.seconds_until(10, 700.0) == 2900.0
    assert budget.seconds_until(70, 700.0) == 3500.0
    assert budget.seconds_until(60, 3600.0) == 0.0


def test_a_question_larger_than_the_budget_is_asked_when_nothing_else_was() -> None:
    """Else it would wait for ever."""
    budget = Budget(100)
    assert budget.seconds_until(500, 0.0) == 0.0
    budget.spend(500, 0.0)
    assert budget.seconds_until(1, 1.0) == 3599.0


@given(st.lists(st.tuples(st.floats(0, 2000), st.integers(1, 90)), max_size=60))
def test_no_hour_holds_more_than_the_budget(steps: list[tuple[float, int]]) -> None:
    """Whoever waits as long as he is told never spends more than the budget in any hour."""
    budget, now, spent = Budget(100), 0.0, []
    for pause, tokens in steps:
        now += pause
        now += budget.seconds_until(tokens, now)
        budget.spend(tokens, now)
        spent.append((now, tokens))
    for end, _ in spent:
        assert sum(tokens for moment, tokens in spent if end - 3600 + 1e-6 < moment <= end) <= 100
