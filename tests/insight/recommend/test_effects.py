"""What advice is said to bring, held against what a simulated server does when it is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from insight.recommend.effects import EFFECTS
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
