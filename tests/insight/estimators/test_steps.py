from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators.steps import Limits, StepCost, replay, second_order, simulate
from insight.estimators.traffic import Traffic, arrivals, lengths, mean, observed
from metrics.histogram import Histogram, merge_common
from tests.captures import load
from tests.evaluation.ramp import LIMITS, RAMP, RATES, TRUE_COST, part
from tests.insight.estimators.mixes import alike

COST = StepCost(alpha=0.010, beta=0.001, gamma=0.0001)
MIX = ((50.0, 1 / 3), (200.0, 1 / 3), (600.0, 1 / 3))


def test_one_request_alone_takes_the_steps_that_it_needs() -> None:
    """Its first token comes after alpha + gamma P, each further one after alpha + beta."""
    found = replay(COST, [(1.0, 100.0, 11)], Limits(), 2.0)
    assert found.ttft == pytest.approx(0.010 + 0.0001 * 100)
    assert found.itl == pytest.approx(0.011)
    assert (found.requests, found.waiting) == (1, 0)
    assert found.rate == pytest.approx(0.5)
    assert found.utilisation == pytest.approx((0.020 + 10 * 0.011) / 2.0)


def test_a_token_waits_for_the_prefill_beside_it() -> None:
    """A second prompt lengthens one gap of the first request; then both share each step."""
    found = replay(COST, [(0.0, 0.0, 3), (0.005, 500.0, 2)], Limits(), 1.0)
    # 10 ms, then 10 + 1 + 50 ms with a gap of the first, then 10 + 2 ms with a gap of both.
    assert found.itl == pytest.approx((0.061 + 2 * 0.012) / 3)
    assert found.ttft == pytest.approx((0.010 + 0.010 + 0.061 - 0.005) / 2)


def test_a_long_prompt_is_worked_on_in_chunks() -> None:
    """A prompt of 250 tokens takes three steps of a budget of 100, the last with room for the next prompt."""
    found = replay(COST, [(0.0, 250.0, 1), (0.0, 50.0, 1)], Limits(slots=8, budget=100), 1.0)
    assert found.ttft == pytest.approx(3 * 0.010 + 0.0001 * 300)


def test_no_more_run_than_there_are_slots() -> None:
    """With one slot requests follow one another, and the queue is what was not begun."""
    found = replay(COST, [(0.0, 0.0, 11)] * 3, Limits(slots=1), 0.2)
    assert found.itl == pytest.approx(0.011)
    assert (found.requests, found.waiting) == (2, 1)


def test_an_overloaded_server_finishes_what_its_slots_allow() -> None:
    """Far above capacity the rate is b / (G (alpha + beta b) + gamma P b), and a queue grows."""
    found = simulate(TRUE_COST, Traffic(20.0, MIX, ((80.0, 1.0),)), LIMITS, 300, warm_up=30)
    assert found.rate == pytest.approx(TRUE_COST.capacity(283.3, 80, 32), rel=0.03)
    assert found.waiting > 1000
    assert found.utilisation > 0.99


def test_the_same_seed_gives_the_same_traffic() -> None:
    """Nothing is drawn but from the seed."""
    traffic = alike(5.0, 300, 80)
    runs = [simulate(TRUE_COST, traffic, LIMITS, 60, seed=seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 3000), st.integers(1, 50)), min_size=1, max_size=30),
    st.integers(1, 4),
)
def test_every_request_is_served_in_the_end(asked: list[tuple[float, float, int]], slots: int) -> None:
    """Whatever arrives: all get a first token, nothing waits for ever, and the time that steps take adds up."""
    asked.sort()
    found = replay(COST, asked, Limits(slots, 512), 1000.0)
    assert (found.requests, found.waiting) == (len(asked), 0)
    assert found.rate * 1000.0 == pytest.approx(len(asked))
    prefill = 0.0001 * sum(prompt for _, prompt, _ in asked)
    tokens = sum(output - 1 for *_, output in asked)
    longest = prefill + 0.001 * tokens + 0.010 * (tokens + len(asked) + prefill / 0.0001 / 512 + 1)
    assert prefill + 0.001 * tokens <= found.utilisation * 1000.0 * (1 + 1e-9) <= longest * (1 + 1e-9)


@pytest.mark.parametrize("name", RATES)
def test_the_simulation_follows_a_real_engine(name: str) -> None:
    """Replayed with the true costs of its steps, its mean ITL is within 6 % at every rate and its TTFT within 8 %."""
    capture, phase = load(RAMP), part(RAMP, name)
    begin = next(each["t"] for each in capture.events if each["event"] == "phase_start" and each.get("phase") == name)
    asked = sorted((each["t_send"] - begin, each["p"], each["g"]) for each in capture.client if each["phase"] == name)
    found = replay(TRUE_COST, asked, LIMITS, 3.0 + phase.seconds, warm_up=3.0)
    assert found.itl == pytest.approx(phase.itl, rel=0.06)
    assert found.ttft == pytest.approx(phase.mean("ttft_sum", "ttft_count"), rel=0.08)


@pytest.mark.parametrize(
    ("cost", "prompt", "output", "below"),
    [
        (TRUE_COST, 283, 80, 0.08),
        (StepCost(3.01e-3, 0.182e-3, 0.0559e-3), 283, 80, 0.05),
        (StepCost(7e-3, 0.04e-3, 0.02e-3), 2000, 80, 0.13),
    ],
)
@pytest.mark.parametrize("load", [0.3, 0.5, 0.7])
def test_the_closed_form_is_a_little_below_the_simulation(
    cost: StepCost, prompt: float, output: float, below: float, load: float
) -> None:
    """Without slots in the way: up to 8 % low for an engine bound by compute, 5 by overhead, 13 for one like a GPU."""
    rate = load / cost.work(prompt, output)
    simulated = simulate(cost, alike(rate, prompt, output), Limits(4096, 65_536), 8000 / rate, warm_up=30).itl
    closed = second_order(cost, rate, prompt, output)
    assert simulated is not None
    assert closed is not None
    assert -below <= closed / simulated - 1 <= 0.02
    assert closed > cost.alpha / (1 - load)


def test_the_closed_form_ends_where_the_load_is_one() -> None:
    """At no load a token takes alpha + beta; at a load of 1 there is no mean."""
    assert second_order(COST, 0.0, 100, 10) == pytest.approx(0.011)
    assert second_order(COST, 1.0 / COST.work(100, 10), 100, 10) is None


def test_arrivals_are_as_many_and_as_long_as_asked_for() -> None:
    """Over a long time rate, prompts and outputs are those of the traffic, fractions of a token included."""
    drawn = arrivals(Traffic(10.0, MIX, ((79.4, 1.0),)), 2000, random.Random(3))
    assert len(drawn) / 2000 == pytest.approx(10.0, rel=0.03)
    assert sum(prompt for _, prompt, _ in drawn) / len(drawn) == pytest.approx(283.3, rel=0.03)
    assert sum(output for *_, output in drawn) / len(drawn) == pytest.approx(79.4, rel=0.001)
    assert arrivals(alike(0.0, 1, 1), 100, random.Random(0)) == []


@given(st.lists(st.floats(0, 1000), min_size=4, max_size=4).filter(lambda counts: sum(counts) > 1), st.floats(1, 2000))
def test_lengths_have_the_mean_that_they_should(counts: list[float], tokens: float) -> None:
    """However a histogram is filled, the lengths drawn from it have the mean that was asked for."""
    histogram = Histogram((10.0, 100.0, 1000.0), tuple(counts), 55.0 * sum(counts))
    spread = lengths(histogram, tokens)
    assert mean(spread) == pytest.approx(tokens)
    assert sum(share for _, share in spread) == pytest.approx(1.0)
    assert lengths(None, tokens) == ((tokens, 1.0),)


@pytest.mark.parametrize(
    "histogram",
    [
        Histogram((), (5.0,), 300.0),
        Histogram((0.0, 1.0), (5.0, 0.0, 0.0), 3.0),
        merge_common([Histogram((10.0,), (5.0, 0.0), 30.0), Histogram((16.0,), (5.0, 0.0), 30.0)]),
    ],
)
def test_a_histogram_that_tells_nothing_of_lengths_leaves_them_alike(histogram: Histogram) -> None:
    """One bucket alone, all counts at 0, and two engines that have no bound in common."""
    assert lengths(histogram, 100.0) == ((100.0, 1.0),)


def test_traffic_is_counted_by_first_tokens() -> None:
    """Rate and prompts of a real phase are those that its client sent; outputs, begun before or cut off, within 5 %."""
    phase = part(RAMP, "r7")
    sent = [each for each in load(RAMP).client if each["phase"] == "r7"]
    assert phase.traffic.rate == pytest.approx(len(sent) / 75, rel=0.03)
    assert phase.traffic.prompt == pytest.approx(sum(each["p"] for each in sent) / len(sent), rel=0.03)
    assert phase.traffic.output == pytest.approx(sum(each["g"] for each in sent) / len(sent), rel=0.05)
    assert observed([]) is None
