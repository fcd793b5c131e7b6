from __future__ import annotations

import pytest

from insight.impact import impact, of_cost, of_lost_replica


def test_impact_by_hand() -> None:
    """20 % bad for half an hour at 99 %: burn 20, 1.4 % of the budget of 30 days, high."""
    found = impact(0.2, [1800.0, 1200.0, 2400.0], 0.99)
    assert found.bin == "high"
    assert found.burn == pytest.approx(20)
    assert found.budget == pytest.approx(0.2 * 1800 / (0.01 * 30 * 86_400))
    assert found.text == "high: 20 % of requests for 30 min (median of 3), 1.4 % of the budget of 30 d at 0.99"
    assert impact(0.2, [60.0], 0.99, "users wait").text.startswith("high: users wait; 20 % of requests for 1 min")


@pytest.mark.parametrize(("affected", "name"), [(0.15, "high"), (0.05, "medium"), (0.01, "medium"), (0.005, "low")])
def test_classes_by_burn(affected: float, name: str) -> None:
    """14.4 and 1."""
    assert impact(affected, [60.0], 0.99).bin == name


def test_no_service_and_silent_errors_are_high_whatever_the_share() -> None:
    """One request in a thousand with a wrong answer is high."""
    assert impact(0.001, [], 0.99, silent=True).bin == "high"
    assert impact(0.001, [], 0.99, unavailable=True).bin == "high"


def test_a_duration_that_nobody_saw_is_called_an_assumption() -> None:
    """Half an hour, and it says so."""
    found = impact(0.2, [], 0.99)
    assert found.seconds == 1800
    assert "assumed" in found.text


def test_other_kinds_of_loss() -> None:
    """One of four replicas is a quarter; waste counts from 20 %."""
    assert of_lost_replica(4) == 0.25
    assert of_lost_replica(1) == 1.0
    assert of_cost(0.3).startswith("medium: 30 %")
    assert of_cost(0.1) == "low: 10 % of the cost, no service"
