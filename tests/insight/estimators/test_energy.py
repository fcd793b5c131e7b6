from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators import energy
from insight.estimators.energy import Operation, Used
from metrics.effect import Grade

USED = Used(
    joules=6000.0, seconds=60.0, output_tokens=12_000.0, prompt_tokens=24_000.0, requests=120.0, idle_watts=60.0
)


def test_energy_by_hand() -> None:
    """6 kJ in 60 s: 2 output tokens and 6 tokens a joule, 50 J a request, 20 J without the idle power, 100 W."""
    found = energy.energy(USED)
    assert found is not None
    assert found.output_tokens_per_joule == 2.0
    assert found.total_tokens_per_joule == 6.0
    assert found.joules_per_request == 50.0
    assert found.marginal_joules_per_request == 20.0
    assert found.watts == 100.0


def test_nothing_is_divided_by_nothing() -> None:
    """Without tokens there are no tokens a joule, without requests no joules a request; a short window has nothing."""
    idle = energy.energy(Used(6000.0, 60.0, 0.0, 0.0, 0.0))
    assert idle is not None
    assert (idle.output_tokens_per_joule, idle.joules_per_request, idle.marginal_joules_per_request) == (None,) * 3
    assert energy.energy(Used(600.0, 9.0, 1.0, 1.0, 1.0)) is None
    assert energy.energy(Used(0.0, 60.0, 1.0, 1.0, 1.0)) is None


def test_a_measured_number_has_the_error_of_the_sensor() -> None:
    """5 % each way, grade A; with another process on the boards it is a bound, and says so."""
    alone = energy.measured("joules_per_request", "J", 50.0, 60.0)
    assert alone.lo == pytest.approx(50 / 1.05)
    assert alone.hi == pytest.approx(50 / 0.95)
    shared = energy.measured("joules_per_request", "J", 50.0, 60.0, shared=True)
    assert (alone.grade, shared.grade, shared.basis) == (Grade.A, Grade.C, "bound")
    assert any("another process" in each for each in shared.assumptions)


@given(st.floats(0.1, 100), st.floats(0.1, 1e5), st.floats(0.1, 1e5), st.floats(0, 1))
def test_the_parts_of_the_price_add_up(hourly: float, output: float, prompt: float, share: float) -> None:
    """What an hour's tokens cost, each at its price, is the price of the hour; so is the blended price."""
    found = energy.cost(hourly, output, prompt, share)
    assert found.output is not None
    assert found.prompt is not None
    assert (found.output * output + found.prompt * prompt) * 3600 / 1e6 == pytest.approx(hourly)
    assert found.blended == pytest.approx(hourly / (3600 * output) * 1e6)


def test_no_share_no_split() -> None:
    """Without the step-time model there is but the blended price, and without tokens none."""
    assert energy.cost(3.6, 1000.0, 2000.0).blended == pytest.approx(1.0)
    assert energy.cost(3.6, 1000.0, 2000.0).prompt is None
    assert energy.cost(3.6, 0.0, 2000.0, 0.5).blended is None


def test_the_share_of_prompts_is_that_of_the_step() -> None:
    """100 prompt tokens at 0.1 ms against 5 ms + 10 * 0.5 ms are half."""
    assert energy.prefill_share(0.005, 0.0005, 0.0001, 10, 100) == pytest.approx(0.5)


def test_electricity_and_carbon() -> None:
    """1 kW for an hour at 0.3 and a PUE of 1.5; a kWh at 400 g."""
    assert energy.electricity(1000, 0.3, pue=1.5) == pytest.approx(0.45)
    assert energy.carbon(3.6e6, 400) == pytest.approx(400)


def test_a_power_limit_is_judged_by_what_was_measured_under_it() -> None:
    """12 windows each at matched batches give the efficiency under both; too few, or other batches, give none."""
    draw = random.Random(5)

    def under(limit: float, efficiency: float, batch: float, count: int) -> list[Operation]:
        return [
            Operation(limit, limit * 0.9, limit * 0.9 * efficiency * draw.gauss(1, 0.02), batch + draw.random())
            for _ in range(count)
        ]

    now, then = under(700, 4.0, 32, 40), under(500, 5.0, 32, 40)
    found = energy.power_limit([*now, *then], 700, 500)
    assert found.lo is not None
    assert found.hi is not None
    assert found.lo <= 5.0 <= found.hi
    assert found.now == pytest.approx(4.0, rel=0.02)
    assert found.hi - found.lo < 0.3
    assert energy.power_limit([*now, *then[:5]], 700, 500).basis == "unknown"
    assert energy.power_limit([*now, *under(500, 5.0, 64, 40)], 700, 500).basis == "unknown"
