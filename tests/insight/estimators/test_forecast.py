from __future__ import annotations

from functools import cache

import pytest
from msgspec.structs import replace

from insight.estimators import capacity, forecast
from insight.estimators.extrapolation import interval, systematic
from insight.estimators.step_time import NoStepTime, StepTime
from insight.estimators.steps import Limits, StepCost, simulate
from insight.estimators.traffic import Traffic
from metrics.effect import Effect, Grade
from tests.evaluation.ramp import LIMITS, RAMP, RATES, TRUE_COST, part

MIX = Traffic(5.0, ((50.0, 1 / 3), (200.0, 1 / 3), (600.0, 1 / 3)), ((80.0, 1.0),))
MODEL = StepTime(
    cost=TRUE_COST,
    replicates=tuple(
        StepCost(TRUE_COST.alpha * (1 + 0.01 * n), TRUE_COST.beta * (1 - 0.02 * n), TRUE_COST.gamma * (1 + 0.005 * n))
        for n in range(-5, 6)
    ),
    prompt=MIX.prompt,
    output=MIX.output,
    r2=0.95,
    vif=4.0,
    batch=16.0,
    load=0.6,
    itl_range=2.0,
    drift=0.01,
    direct=True,
    windows=70,
    seconds=210.0,
)


@cache
def long_run(rate: float) -> float:
    found = simulate(TRUE_COST, MIX.at(rate), LIMITS, 4000, warm_up=60, seed=77).itl
    assert found is not None
    return found


def ends(effect: Effect) -> tuple[float, float, float]:
    assert effect.lo is not None
    assert effect.mid is not None
    assert effect.hi is not None
    return effect.lo, effect.mid, effect.hi


def test_a_forecast_tells_what_it_rests_on() -> None:
    """An effect of the model has an interval around its middle, its windows, their time, and what would disprove it."""
    effect = forecast.itl(MODEL, MIX, LIMITS, now=0.01)
    lo, mid, hi = ends(effect)
    assert lo < mid < hi
    assert (effect.quantity, effect.unit, effect.now, effect.basis) == ("itl_seconds", "s", 0.01, "model")
    assert (effect.n, effect.window_seconds, effect.grade) == (70, 210.0, Grade.B)
    assert effect.assumptions
    assert effect.valid_if


@pytest.mark.parametrize("simulated", [True, False])
def test_itl_at_another_load_is_that_of_a_long_run(simulated: bool) -> None:
    """At loads of 0.3 to 0.8 the middle is that of another long simulation, within 3 %, by the closed form 8 %."""
    for rate in (2.8, 5.0, 7.0):
        _, mid, _ = ends(forecast.itl(MODEL, MIX.at(rate), LIMITS, simulated=simulated))
        assert mid == pytest.approx(long_run(rate), rel=0.03 if simulated else 0.08)


def test_near_saturation_there_is_no_value() -> None:
    """Above a load of 0.85 ITL is only bounded from below."""
    effect = forecast.itl(MODEL, MIX.at(9.0), LIMITS)
    assert (effect.basis, effect.mid, effect.hi, effect.grade) == ("bound", None, None, Grade.C)
    assert effect.lo is not None
    assert effect.lo > 0.025
    assert "near saturation: the load would be 0.9" in effect.assumptions[0]
    assert forecast.itl_at(MODEL, 9.0, 283, 80) is None


@pytest.mark.parametrize(
    ("batch", "load", "expected"),
    [
        (16.0, 0.1, (0.1, Grade.B)),
        (32.0, 0.1, (0.1, Grade.B)),
        (33.0, 0.4, (0.2, Grade.C)),
        (72.0, 0.4, (0.2, Grade.C)),
        (33.0, 0.39, None),
        (73.0, 0.9, None),
    ],
)
def test_how_far_the_model_is_taken(batch: float, load: float, expected: tuple[float, Grade] | None) -> None:
    """To twice the batch seen 10 %, to 4.5 times from a load of 0.4 on 20 % and grade C, else only a bound."""
    assert systematic(replace(MODEL, load=load), batch) == expected


def test_the_two_errors_add_by_their_squares() -> None:
    """Drawn -3 and +4 % with a systematic 10 % make -10.4 and +10.8 %; without draws 10 % are left."""
    assert interval(100.0, [97.0, 104.0], 0.1) == pytest.approx((89.56, 110.77), abs=0.2)
    assert interval(100.0, [], 0.1) == pytest.approx((90.0, 110.0))


def test_the_slots_carry_what_the_formula_says() -> None:
    """At 32 slots the capacity is 8.2 requests/s, within the true range; as the simulation has it, too."""
    lo, mid, hi = ends(capacity.slot_capacity(MODEL, MIX, 32))
    overloaded = simulate(TRUE_COST, MIX.at(20), LIMITS, 400, warm_up=30).rate
    assert mid == pytest.approx(overloaded, rel=0.04)
    assert lo < 8.17 < hi


@pytest.mark.parametrize(("slots", "batch"), [(None, 32), (256, 32)])
def test_far_beyond_what_was_seen_capacity_is_only_bounded(slots: float | None, batch: float) -> None:
    """With 256 slots, or nobody knows how many, it is at least the rate at twice the batch seen, less 10 %."""
    effect = capacity.slot_capacity(MODEL, MIX, slots)
    assert (effect.basis, effect.mid, effect.hi, effect.grade) == ("bound", None, None, Grade.C)
    assert effect.lo == pytest.approx(0.9 * TRUE_COST.capacity(MIX.prompt, MIX.output, batch))


@pytest.mark.parametrize("limit", [0.010, 0.015, 0.020])
def test_the_rate_within_an_objective_gives_that_itl(limit: float) -> None:
    """A long run at the predicted rate has the ITL that was asked for, within 4 %."""
    lo, mid, hi = ends(forecast.rate_within(MODEL, MIX, LIMITS, limit))
    assert long_run(round(mid, 2)) == pytest.approx(limit, rel=0.04)
    assert lo < mid < hi


def test_objectives_out_of_reach_are_said_to_be() -> None:
    """Below alpha + beta no rate keeps the objective; one met up to saturation bounds the rate from below."""
    assert ends(forecast.rate_within(MODEL, MIX, LIMITS, 0.006)) == (0.0, 0.0, 0.0)
    easy = forecast.rate_within(MODEL, MIX, LIMITS, 0.5)
    assert (easy.basis, easy.mid) == ("bound", None)
    assert easy.lo == pytest.approx(0.9 * 0.85 / TRUE_COST.work(MIX.prompt, MIX.output))
    barely = forecast.rate_within(replace(MODEL, batch=1.5), MIX, LIMITS, 0.025)
    assert (barely.basis, barely.mid) == ("bound", None)
    assert barely.lo is not None
    assert barely.lo < 3.0


def test_replicas_follow_from_what_one_carries() -> None:
    """So many as carry the rate together, more at the lower end of what one carries; a bound stays a bound."""
    within = forecast.rate_within(MODEL, MIX, LIMITS, 0.015)
    lo, mid, hi = ends(capacity.replicas(within, 20.0))
    each = ends(within)
    assert (lo, mid, hi) == tuple(-int(-20.0 // rate) for rate in reversed(each))
    bounded = capacity.replicas(forecast.rate_within(MODEL, MIX, LIMITS, 0.5), 20.0)
    assert (bounded.basis, bounded.lo, bounded.mid, bounded.hi) == ("bound", None, None, 3)
    assert capacity.replicas(forecast.rate_within(MODEL, MIX, LIMITS, 0.001), 20.0).basis == "unknown"


def test_a_short_window_has_more_luck_than_a_long_one() -> None:
    """The predictive interval holds the mean ITL of 17 of 20 windows of 75 s, and is wider than that of 600 s."""
    busy = MIX.at(6.5)
    short, long = (ends(forecast.predictive(MODEL, busy, LIMITS, seconds)) for seconds in (75, 600))
    assert short[2] - short[0] > 1.2 * (long[2] - long[0])
    seen = [simulate(TRUE_COST, busy, LIMITS, 75, warm_up=60, seed=1000 + n).itl or 0.0 for n in range(20)]
    assert sum(short[0] <= each <= short[2] for each in seen) >= 17


def test_the_same_question_has_the_same_answer() -> None:
    """Simulations are seeded."""
    one, other = (ends(forecast.predictive(MODEL, MIX, LIMITS, 60, seed=3)) for _ in range(2))
    assert one == other != ends(forecast.predictive(MODEL, MIX, LIMITS, 60, seed=4))
    assert ends(forecast.itl(MODEL, MIX, LIMITS)) == ends(forecast.itl(MODEL, MIX, LIMITS))


def test_another_mix_needs_costs_that_are_told_apart() -> None:
    """Longer prompts may be asked about only where VIF < 10, outputs only up to a quarter off."""
    tied = replace(MODEL, vif=11.0)
    shorter = replace(MIX, prompts=((100.0, 1.0),))
    assert forecast.itl(MODEL, shorter, LIMITS).basis == "model"
    refused = forecast.itl(tied, shorter, LIMITS)
    assert (refused.basis, refused.mid) == ("unknown", None)
    assert "vary apart" in refused.needs
    assert forecast.itl(tied, MIX, LIMITS).basis == "model"
    longer = replace(MIX, outputs=((110.0, 1.0),))
    assert "110 output tokens: the fit is of 80" in capacity.slot_capacity(MODEL, longer, 32).needs
    assert forecast.rate_within(MODEL, longer, LIMITS, 0.015).basis == "unknown"


def test_the_load_is_told_or_bounded() -> None:
    """rho = rate * kappa by the model; without one at least 1 - light ITL / step time, which is not above the truth."""
    lo, mid, hi = ends(capacity.load(MODEL, MIX))
    assert mid == pytest.approx(5.0 * TRUE_COST.work(MIX.prompt, MIX.output))
    assert lo < mid < hi
    none = NoStepTime("39 windows", "one more window")
    windows = [*part(RAMP, "r1").windows, *part(RAMP, "r8").windows]
    bounded = capacity.load(none, part(RAMP, "r8").traffic, windows)
    assert bounded.basis == "bound"
    assert bounded.lo is not None
    assert 0.6 < bounded.lo < 0.79
    assert capacity.load(none, MIX).needs == "one more window"


def test_capacity_is_measured_only_where_a_queue_stood() -> None:
    """No phase of the ramp below saturation has ten windows with a queue and full slots."""
    below = [each for name in RATES[:5] for each in part(RAMP, name).windows]
    assert capacity.measured_capacity(below, 32).basis == "unknown"
    assert capacity.measured_capacity([], None).basis == "unknown"
    unsaid = capacity.measured_capacity([*below, *part(RAMP, "sat").windows], None)
    assert unsaid.grade is Grade.A
    assert unsaid.now == pytest.approx(8.17, rel=0.01)


def test_headroom_is_what_is_left_to_a_limit() -> None:
    """A capacity of 8 at a rate of 5 leaves 0.6; a bound gives a bound, and no rate nothing."""
    found = capacity.headroom(capacity.slot_capacity(MODEL, MIX, 32), 5.0)
    _, mid, _ = ends(found)
    assert mid == pytest.approx(TRUE_COST.capacity(MIX.prompt, MIX.output, 32) / 5.0 - 1)
    assert capacity.headroom(capacity.slot_capacity(MODEL, MIX, 512), 5.0).mid is None
    assert capacity.headroom(capacity.slot_capacity(MODEL, MIX, 32), 0.0).basis == "unknown"


def test_the_queue_cap_counts_the_batch_in() -> None:
    """vLLM's limit is on all in flight: 32 that run, and what capacity works off in a second."""
    one = capacity.slot_capacity(MODEL, MIX, 32)
    lo, mid, hi = ends(capacity.queue_cap(one, 32, 1.0))
    assert mid == 32 + int(ends(one)[1])
    assert lo <= mid <= hi
    assert capacity.queue_cap(capacity.slot_capacity(MODEL, MIX, 512), 512, 1.0).basis == "unknown"


def test_a_replica_is_planned_with_room() -> None:
    """It carries 85 % of its capacity, or what keeps the ITL objective where that is less; a bound stays a bound."""
    most = capacity.slot_capacity(MODEL, MIX, 32)
    loose, strict = (forecast.rate_within(MODEL, MIX, LIMITS, limit) for limit in (0.5, 0.012))
    assert ends(capacity.carried(most, loose)) == pytest.approx(tuple(0.85 * each for each in ends(most)))
    assert capacity.carried(most, strict) is strict
    bounded = capacity.carried(capacity.slot_capacity(MODEL, MIX, 512), loose)
    assert (bounded.basis, bounded.mid) == ("bound", None)
    nothing = capacity.measured_capacity([], None)
    assert capacity.carried(nothing, loose).needs == nothing.needs


def test_a_token_budget_bounds_the_longest_step() -> None:
    """The largest budget whose longest step stays within the objective is chosen; smaller ones cost chunks."""
    table = capacity.prefill_budgets(MODEL, batch=16, prompt=2000)
    worst = {each.tokens: ends(each.worst_itl) for each in table}
    assert worst[2048][1] == pytest.approx(5.81e-3 + 16 * 0.470e-3 + 0.242e-3 * (2048 - 16))
    chosen = capacity.largest_within(table, 0.3)
    assert chosen is not None
    assert chosen.tokens == 1024
    assert chosen.extra_ttft == pytest.approx(5.81e-3 + 16 * 0.470e-3)
    assert capacity.largest_within(table, 0.01) is None
    assert capacity.prefill_budgets(replace(MODEL, direct=False, vif=20.0), 16, 2000) == ()
    assert capacity.prefill_budgets(MODEL, 200, 2000) == ()


def test_no_requests_make_no_saturation() -> None:
    """At a rate of 0 a token takes alpha + beta, and nothing is divided by 0."""
    assert ends(forecast.itl(MODEL, MIX.at(0.0), Limits(), simulated=True))[1] == pytest.approx(6.28e-3)
    assert forecast.predictive(MODEL, MIX.at(0.0), LIMITS, 60).basis == "unknown"
