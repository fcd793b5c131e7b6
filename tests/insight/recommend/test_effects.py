"""What advice is said to bring, held against what a simulated server does when it is followed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from insight.estimators.steps import StepCost
from insight.objectives import parse_objectives
from insight.recommend.effects import EFFECTS
from insight.settings import Settings
from metrics.effect import Effect, Grade
from metrics.finding import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.insight.recommend.conftest import Watched


def inside(effect: Effect | None, truth: float) -> bool:
    assert effect is not None
    assert effect.lo is not None
    assert effect.hi is not None
    return effect.lo <= truth <= effect.hi


def test_a_capped_queue_waits_as_long_as_foretold(watched: Callable[..., Watched]) -> None:
    """N is what runs and what may wait; with it set, the mean time in the queue lies in the interval."""
    found = EFFECTS["admission_control"](watched("overload").case("model_overloading"))
    limit = int(found.values["in_flight"])
    assert limit == pytest.approx(128 + 18.4, abs=3)
    after = watched("overload", 240, engine={"max_num_queued_reqs": limit})
    queue = after.view.of("http://a").histogram("queue_seconds", 120.0)
    assert queue is not None
    assert queue.mean is not None
    assert inside(found.effect, queue.mean)
    assert any("refused at once" in reason for reason in found.because)


def test_replicas_finish_what_comes(watched: Callable[..., Watched]) -> None:
    """Three replicas are advised for 31 a second, and together they finish what was foretold."""
    found = EFFECTS["scale_out"](watched("overload").case("model_overloading"))
    assert found.values == {"replicas": "3"}
    after = watched("overload", 240, engine={"replica_shares": (0.34, 0.33, 0.33)}, gpus={"tensor_parallel": 2})
    finished = after.view.of("http://a").increase("requests_finished", 120.0)
    assert finished is not None
    assert finished.rate is not None
    assert inside(found.effect, finished.rate)


def test_more_slots_finish_what_comes(watched: Callable[..., Watched]) -> None:
    """With 40 slots a queue stands; with those that are advised it does not, and as much is finished as foretold."""
    few = watched("healthy", 300, facts={"flag_max_num_seqs": "40"}, engine={"max_num_seqs": 40})
    found = EFFECTS["raise_slots"](few.case("slot_cap"))
    slots = int(found.values["slots"])
    assert 44 <= slots <= 80
    after = watched("healthy", 300, engine={"max_num_seqs": slots}).view.of("http://a")
    finished = after.increase("requests_finished", 120.0)
    assert finished is not None
    assert finished.rate is not None
    assert inside(found.effect, finished.rate)


def test_more_slots_are_withheld_where_the_cache_holds_no_more(watched: Callable[..., Watched]) -> None:
    """Where the cache is what limits, more slots would only be preempted; the reason is given."""
    full = watched("cache_pressure", 300, facts={"flag_max_num_seqs": "128"})
    found = EFFECTS["raise_slots"](full.case("slot_cap"))
    assert found.effect is None
    assert "KV cache holds" in found.withheld


def test_a_roomier_cache_finishes_as_much_as_foretold(watched: Callable[..., Watched]) -> None:
    """With twice the tokens in the cache what is finished lies in the interval."""
    full = watched("cache_pressure", 300, facts={"flag_max_num_seqs": "128"})
    found = EFFECTS["kv_quantisation"](full.case("cache_saturation"))
    after = watched("cache_pressure", 300, engine={"num_gpu_blocks": 6000}).view.of("http://a")
    finished = after.increase("requests_finished", 120.0)
    assert finished is not None
    assert finished.rate is not None
    assert inside(found.effect, finished.rate)


def test_a_cooled_gpu_gives_the_itl_of_before(watched: Callable[..., Watched]) -> None:
    """With the heat gone ITL is what was foretold from the time before, and how much it cost is said."""
    hot = watched("thermal_throttle", 180)
    found = EFFECTS["cool_gpu"](hot.case("thermal_throttle", slow_since=29.0))
    cool = watched("healthy", 180, workload={"requests_per_second": 9.5}).view.of("http://a")
    itl = cool.histogram("itl_seconds", 120.0)
    assert itl is not None
    assert itl.mean is not None
    assert inside(found.effect, itl.mean)
    assert found.effect is not None
    assert found.effect.grade is Grade.B


def test_replicas_shorten_the_steps(watched: Callable[..., Watched]) -> None:
    """Where tokens are too slow ITL is foretold for half of the requests on each of two, and comes true."""
    found = EFFECTS["scale_out"](watched("healthy").case("itl_slo"))
    assert found.values == {"replicas": "2"}
    after = watched("healthy", 240, engine={"replica_shares": (0.5, 0.5)}, gpus={"tensor_parallel": 4})
    itl = after.view.of("http://a").histogram("itl_seconds", 120.0)
    assert itl is not None
    assert itl.mean is not None
    assert inside(found.effect, itl.mean)
    assert found.effect is not None
    assert found.effect.quantity == "itl_seconds"


def test_a_long_prefill_leaves_less_time_to_wait(watched: Callable[..., Watched]) -> None:
    """Half of the objective may be waited for; where prefill and a step take more than the other half, less."""
    case = watched("overload").case("model_overloading")
    assert "takes 1 s of the 2 s" in EFFECTS["admission_control"](case).because[0]
    strict = replace(case, settings=Settings(objectives=parse_objectives("ttft_p95=50ms")))
    assert case.known is not None
    assert case.known.fitted is not None
    assert case.known.traffic is not None
    prefill = case.known.fitted.cost.gamma * case.known.traffic.prompt
    assert prefill > 0.015
    said = EFFECTS["admission_control"](strict).because[0]
    assert "even one request that waits misses" in said


def test_even_engines_finish_what_comes(watched: Callable[..., Watched]) -> None:
    """Where a queue stands before the one that gets most, all that comes is finished once each gets the same."""
    found = EFFECTS["balance_load"](watched("uneven_replicas", 240).case("replica_imbalance"))
    after = watched("uneven_replicas", 240, engine={"replica_shares": (0.5, 0.5)}).view.of("http://a")
    finished = after.increase("requests_finished", 120.0)
    assert finished is not None
    assert finished.rate is not None
    assert inside(found.effect, finished.rate)
    assert "of 2 engines gets 8" in found.because[0]


def test_a_clock_that_is_held_down_bounds_nothing_but_itself(watched: Callable[..., Watched]) -> None:
    """Hot from the start, there is no time before to go by: the clock may come back, and ITL is not foretold."""
    clock = Evidence("sm_clock_hertz", 1.188e9, "Hz", threshold=0.8 * 1.98e9)
    found = EFFECTS["cool_gpu"](watched("healthy", 30).case("thermal_throttle", clock, slow_since=0.0))
    assert found.effect is not None
    assert (found.effect.quantity, found.effect.lo, found.effect.mid) == ("sm_clock_hertz", 1.188e9, None)
    assert found.effect.hi == pytest.approx(1.98e9)
    assert any("to be measured: ITL without it" in each for each in found.because)


def test_lost_hits_cost_ttft_too(watched: Callable[..., Watched]) -> None:
    """Beside ITL with the hit rate of before, what the prompts that are worked on take of TTFT is said."""
    share = Evidence("prompt_tokens_cached", 0.05, "ratio", threshold=0.3)
    found = EFFECTS["restore_prefix_cache"](watched("healthy").case("prefix_cache_collapse", share))
    assert found.effect is not None
    assert found.effect.quantity == "itl_seconds"
    assert any("of a mean TTFT of" in each and "at least" in each for each in found.because)
    queued = EFFECTS["restore_prefix_cache"](watched("overload").case("prefix_cache_collapse", share))
    assert queued.effect is not None
    assert queued.effect.quantity == "requests_finished"


def test_a_cache_that_is_off_gets_a_table_and_no_prediction(watched: Callable[..., Watched]) -> None:
    """ITL and capacity at the hit rates above that of now; nobody knows what the prompts share."""
    facts = {"flag_max_num_seqs": "128"}
    found = EFFECTS["enable_prefix_cache"](watched("healthy", facts=facts).case("ttft_slo"))
    assert found.effect is None
    assert re.fullmatch(r"60 % hits: ITL [\d.]+ ms, [\d.]+/s at most; now ITL .* at most", found.because[0])


def test_other_lengths_move_the_capacity(watched: Callable[..., Watched]) -> None:
    """Prompts of twice the length leave less, by as much as the true costs of a step say."""
    facts = {"flag_max_num_seqs": "64"}
    short = watched("healthy", 300, facts=facts)
    case = short.case("model_drift")
    known = case.known
    assert known is not None
    assert known.traffic is not None
    double = replace(known.traffic, prompts=tuple((2 * tokens, share) for tokens, share in known.traffic.prompts))
    found = EFFECTS["retune"](replace(case, known=replace(known, traffic=double)))
    said = re.search(r"those of now ([\d.]+)/s \(([\d.]+) to ([\d.]+)/s", found.because[1])
    assert said is not None
    truth = StepCost(9e-3, 6e-5, 35e-6).capacity(double.prompt, double.output, 64)
    assert float(said[2]) <= truth <= float(said[3])


def test_a_day_of_load_is_replayed(watched: Callable[..., Watched]) -> None:
    """Two servers that had a quiet day and one busy hour: one less all day, and fewer still if they follow."""
    case = watched("healthy", 300, facts={"flag_max_num_seqs": "128"}).case("resource_overprovisioning")
    assert case.known is not None
    assert "a day of load" in EFFECTS["scale_in"](case).because[0]
    quiet, busy = replace(case.known, day=(1.0,) * 144), replace(case.known, day=(1.0,) * 138 + (9.0,) * 6)
    days = replace(case, alike=(quiet, busy, quiet))
    fixed, follows = EFFECTS["scale_in"](days).effect, EFFECTS["dynamic_scaling"](days).effect
    assert fixed is not None
    assert follows is not None
    assert (fixed.now, fixed.mid, fixed.unit) == (72.0, 24.0, "h")
    assert follows.mid is not None
    assert follows.mid <= 24.0
    assert any("not measured" in each for each in EFFECTS["dynamic_scaling"](days).because)


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_without_a_model_every_estimate_says_what_is_missing(watched: Callable[..., Watched], name: str) -> None:
    """After 20 s nothing is foretold that is not measured, and there is a reason for that."""
    found = EFFECTS[name](watched("healthy", 20).case("model_overloading"))
    assert found.effect is None or found.effect.basis in {"measured", "bound"}
    assert found.because or found.withheld or found.effect is not None


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_every_estimate_has_its_interval_in_order(watched: Callable[..., Watched], name: str) -> None:
    """lo <= mid <= hi, with a unit and what it assumes."""
    evidence = Evidence("prompt_tokens_cached", 0.05, "ratio", threshold=0.2)
    effect = EFFECTS[name](watched("overload").case("model_overloading", evidence)).effect
    if effect is None:
        return
    known = [each for each in (effect.lo, effect.mid, effect.hi) if each is not None]
    assert known == sorted(known)
    assert effect.unit
    assert effect.assumptions
