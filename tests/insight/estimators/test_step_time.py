from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from insight.estimators.effects import around
from insight.estimators.step_time import NoStepTime, StepTime, fit
from insight.estimators.steps import StepCost
from insight.estimators.windows import StepWindow
from tests.evaluation.ramp import RAMP, RATES, part

if TYPE_CHECKING:
    from collections.abc import Sequence

TRUE = StepCost(alpha=0.006, beta=0.0005, gamma=0.00025)


def window(
    n: int, decoding: float, prompts: float, cost: StepCost = TRUE, noise: float = 1.0, **other: float
) -> StepWindow:
    """Three seconds with D requests decoding and `prompts` tokens/s of prefill, as the model says that they are."""
    itl = noise * (cost.alpha + cost.beta * (1 + decoding)) / (1 - cost.gamma * prompts)
    fields: dict[str, float | None] = {
        "end": 3.0 * n,
        "seconds": 3.0,
        "itl_sum": 3.0 * decoding,
        "itl_count": 3.0 * decoding / itl,
        "ttft_sum": 1.0,
        "ttft_count": prompts * 3.0 / 200,
        "generated": 3.0 * decoding / itl,
        "computed": prompts * 3.0,
        "finished": 1.0,
        "prefill_sum": None,
        "prefill_count": None,
        "prefilled": None,
        "queue_sum": None,
        "steps": 3.0 / itl,
        "preemptions": 0.0,
        "running": decoding,
        "running_min": decoding,
        "waiting": 0.0,
        "waiting_min": 0.0,
        "kv": 0.1,
        **other,
    }
    return StepWindow(**fields)  # type: ignore[arg-type] # the names are those of the fields


def varied(count: int = 80, noise: float = 0.02, cost: StepCost = TRUE, seed: int = 1) -> list[StepWindow]:
    draw = random.Random(seed)
    return [
        window(n, draw.uniform(1, 12), draw.uniform(200, 1600), cost, 1 + noise * draw.uniform(-1, 1))
        for n in range(count)
    ]


def fitted(windows: Sequence[StepWindow]) -> StepTime:
    found = fit(windows)
    assert isinstance(found, StepTime), found
    return found


def refused(windows: Sequence[StepWindow]) -> NoStepTime:
    found = fit(windows)
    assert isinstance(found, NoStepTime), found
    return found


def test_the_costs_are_found_again() -> None:
    """Of windows that follow the model exactly the costs come out exactly, whatever their order."""
    for windows in (varied(noise=0.0), varied(noise=0.0)[::-1]):
        found = fitted(windows)
        assert found.cost.alpha == pytest.approx(TRUE.alpha)
        assert found.cost.beta == pytest.approx(TRUE.beta)
        assert found.cost.gamma == pytest.approx(TRUE.gamma)
        assert found.r2 == pytest.approx(1.0)
        assert found.prompt == pytest.approx(200)
        assert not found.direct


def test_the_interval_holds_the_work_of_a_request() -> None:
    """In 40 experiments with noise the 5-95 % interval of the resampled fits holds the true work in at least 80 %."""
    held = 0
    for seed in range(40):
        found = fitted(varied(noise=0.1, seed=seed))
        lo, hi = around(found.work, [each.work(found.prompt, found.output) for each in found.replicates])
        held += lo <= TRUE.work(found.prompt, found.output) <= hi
    assert held >= 32


def test_the_same_windows_give_the_same_fit() -> None:
    """Resampling is seeded."""
    assert fit(varied()) == fit(varied())
    assert fit(varied()) != fit(varied(), seed=2)


def test_gamma_comes_from_prefill_times_at_light_load() -> None:
    """With 40 prefills in windows with few decoding gamma is what their time leaves over a step without them."""
    windows = []
    for n, each in enumerate(varied(noise=0.1)):
        light = each if n % 3 else window(n, 1.5, 600)
        if light.decoding < 2.5:
            base = TRUE.alpha + TRUE.beta * light.decoding
            beside = 1 + light.ttft_count / 3.0 * light.itl
            prefill = (base + TRUE.gamma * 200 * beside) * light.ttft_count
            light = replace(
                light, prefill_sum=prefill, prefill_count=light.ttft_count, prefilled=200 * light.ttft_count
            )
        windows.append(light)
    found = fitted(windows)
    assert found.direct
    assert found.cost.gamma == pytest.approx(TRUE.gamma, rel=0.03)


def test_too_few_windows_are_refused_with_how_many_more() -> None:
    """39 windows of 3 s make no fit, 40 do; of windows of 5 s 25 do."""
    assert refused(varied(39)).needs == "traffic for 3 s more"
    assert fitted(varied(40)).windows == 40
    longer = [
        replace(each, seconds=5.0, itl_sum=each.itl_sum * 5 / 3, computed=each.computed * 5 / 3) for each in varied(25)
    ]
    longer = [replace(each, itl_count=each.itl_count * 5 / 3) for each in longer]
    assert fitted(longer).windows == 25
    assert "0 windows" in refused([]).reason
    preempting = [replace(each, preemptions=2.0) for each in varied(60, seed=7)]
    assert refused([*varied(30), *preempting]).needs == "traffic without preemptions for 30 s more"


@pytest.mark.parametrize(
    "spoilt", [{"itl_count": 39.0}, {"steps": 49.0}, {"preemptions": 1.0}, {"itl_count": 0.0, "steps": 0.0}]
)
def test_windows_that_say_little_do_not_count(spoilt: dict[str, float]) -> None:
    """A window with few tokens or steps is left out, and one with preemptions, whose work nobody counts."""
    windows = varied()
    spoiling = [replace(each, **spoilt) for each in varied(20, seed=7)]
    assert fitted([*windows, *spoiling]).windows == len(windows)


def test_steady_load_is_refused() -> None:
    """Where ITL hardly varies the costs cannot be told apart from one another."""
    draw = random.Random(2)
    steady = [window(n, draw.uniform(1, 1.4), draw.uniform(100, 150)) for n in range(80)]
    assert "load varied too little" in refused(steady).reason


def test_noise_is_refused() -> None:
    """Where something else than batch and prefill moves ITL there is no model."""
    reason = refused(varied(noise=0.7)).reason
    assert "explain" in reason or "below 0" in reason


def test_an_engine_that_changed_is_refused_and_one_that_drifts_spreads() -> None:
    """alpha that grew by half makes no model; one that moved by a tenth widens the resampled alphas."""

    def drifting(by: float) -> list[StepWindow]:
        draw = random.Random(4)
        return [
            window(
                n, draw.uniform(1, 30), draw.uniform(200, 1600), replace(TRUE, alpha=TRUE.alpha * (1 + by * n / 120))
            )
            for n in range(120)
        ]

    assert "moved by" in refused(drifting(0.9)).reason

    def spread(found: StepTime) -> float:
        lo, hi = around(found.cost.alpha, [each.alpha for each in found.replicates])
        return (hi - lo) / found.cost.alpha

    steady, moved = fitted(drifting(0.0)), fitted(drifting(0.2))
    assert moved.drift == pytest.approx(0.13, abs=0.03)
    assert spread(moved) > spread(steady) + 0.15


def test_a_mix_that_never_varies_is_not_told_apart() -> None:
    """Where prefill follows decoding strictly the fit stands for this mix only."""
    draw = random.Random(5)
    tied = [(draw.uniform(1, 12), draw.uniform(0.97, 1.03)) for _ in range(80)]
    windows = [window(n, d, 130 * d / (1 + d / 12) * jitter) for n, (d, jitter) in enumerate(tied)]
    found = fit(windows)
    assert isinstance(found, NoStepTime) or not found.tells_apart


def test_light_load_alone_is_refused_on_a_real_engine() -> None:
    """The two lowest rates of the ramp explain too little; with the third there is a model."""
    low = [each for name in RATES[:2] for each in part(RAMP, name).windows]
    assert "explain 87 %" in refused(low).reason
    assert fitted([*low, *part(RAMP, RATES[2]).windows]).load < 0.5
