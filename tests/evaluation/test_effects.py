"""Recommendations that are really followed, in the simulator."""

from __future__ import annotations

import pytest

from metrics.effect import Effect, Grade
from metrics.finding import Change, Recommendation
from simulator.faults import CoolingLoss, PowerCap
from simulator.scenario import load
from tests.evaluation.effects import CannotBeFollowedError, Trial, effects_table, follow, tried
from tests.evaluation.live import URL


def advice(
    name: str, *changes: tuple[str, str], promised: tuple[str, float, float] | None = None, grade: Grade = Grade.B
) -> Recommendation:
    effect = None
    if promised is not None:
        quantity, lo, hi = promised
        effect = Effect(quantity, None, lo, (lo + hi) / 2, hi, "1", "model", grade)
    flags = tuple(Change(flag, None, proposed, restart=True) for flag, proposed in changes)
    return Recommendation(name, name, (), effect, (), target=URL, changes=flags)


def test_flags_become_what_they_are_in_a_scenario() -> None:
    """Slots, blocks, caching, queue and replicas each change what they stand for and nothing else."""
    scenario = load("slot_cap")
    assert follow(scenario, advice("a", ("--max-num-seqs", "96"))).engine.max_num_seqs == 96
    assert follow(scenario, advice("a", ("--kv-cache-dtype", "fp8"))).engine.num_gpu_blocks == 18_000
    assert follow(scenario, advice("a", ("--no-enable-prefix-caching", ""))).engine.enable_prefix_caching is False
    assert follow(scenario, advice("a", ("--max-num-queued-reqs", "9"))).engine.max_num_queued_reqs == 9
    doubled = follow(scenario, advice("a", ("--data-parallel-size", "2")))
    assert (doubled.engine.replica_shares, doubled.gpus.count) == ((0.5, 0.5), 16)
    assert doubled.faults == scenario.faults


def test_of_several_ways_the_first_that_can_be_gone_is_gone() -> None:
    """More memory in words is no change to make; a smaller type of the KV cache is one."""
    ways = advice("a", ("--gpu-memory-utilization", "higher"), ("--kv-cache-dtype", "fp8"), ("--max-num-seqs", "9"))
    followed = follow(load("cache_pressure"), ways).engine
    assert (followed.num_gpu_blocks, followed.max_num_seqs) == (6000, 128)


def test_what_is_broken_is_mended() -> None:
    """Cooling takes the loss of cooling away, and a power limit the limit of before."""
    assert not any(isinstance(f, CoolingLoss) for f in follow(load("thermal_throttle"), advice("cool_gpu")).faults)
    capped = follow(load("power_cap"), advice("a", ("nvidia-smi -pl", "600"))).faults
    assert capped == (PowerCap(at=0.0, watts=600.0),)


@pytest.mark.parametrize(
    ("recommendation", "why"),
    [
        (advice("a"), "it names no change"),
        (advice("a", ("--swap-space", "8")), "the simulator has no --swap-space"),
        (advice("a", ("--max-num-seqs", "higher"), ("-x", "1")), "--max-num-seqs higher: invalid literal"),
        (advice("a", ("--max-num-seqs", "many")), "--max-num-seqs many: invalid literal"),
        (advice("a", ("--kv-cache-dtype", "int4")), "--kv-cache-dtype int4: only fp8 is known"),
    ],
)
def test_what_cannot_be_followed_says_why(recommendation: Recommendation, why: str) -> None:
    """Nothing is tried that is not what was recommended."""
    with pytest.raises(CannotBeFollowedError) as caught:
        follow(load("slot_cap"), recommendation)
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize(("lo", "hi", "covered"), [(11.0, 13.0, True), (8.0, 10.0, False)])
def test_a_promise_is_held_against_what_came(lo: float, hi: float, covered: bool) -> None:
    """With 128 slots instead of 32 all 12 requests a second are finished: so many, and not 9."""
    trial = tried(
        advice("more_slots", ("--max-num-seqs", "128"), promised=("requests_finished", lo, hi)), load("slot_cap"), 1
    )
    assert trial is not None
    assert trial.measured == pytest.approx(12.0, rel=0.1)
    assert trial.covered is covered


def test_nothing_is_tried_that_promises_no_interval() -> None:
    """Words are no prediction."""
    assert tried(advice("a", ("--max-num-seqs", "128")), load("slot_cap"), 1) is None


def trial(lo: float, hi: float, measured: float | None, grade: Grade = Grade.B) -> Trial:
    return Trial("s", 1, "a", "itl_seconds", "s", grade, None, lo, None, hi, measured, "" if measured else "no flag")


def test_the_table_tells_whether_promises_are_kept() -> None:
    """Nine of ten inside and narrow enough is reached; eight of ten, too wide, or nothing tried at all is not."""
    inside, outside = trial(0.9, 1.1, 1.0), trial(0.9, 1.1, 2.0)
    assert effects_table([inside] * 9 + [outside])[1]
    assert not effects_table([inside] * 8 + [outside] * 2)[1]
    assert not effects_table([trial(0.5, 1.5, 1.0)] * 10)[1]
    assert effects_table([trial(0.5, 1.5, 1.0, Grade.C)] * 10)[1]
    assert not effects_table([trial(0.9, 1.1, None)])[1]
    assert "was not tried: no flag" in "\n".join(effects_table([trial(0.9, 1.1, None)])[0])
