"""The rules about caches, capacity, lengths and cost: each with the fault there, and without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from collectors.command_line import flags
from insight.rules.spare import DAY
from metrics.finding import Severity
from metrics.histogram import Histogram
from metrics.sample import Process, Sample, Source
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.insight.conftest import Drive

WALL = 1_800_000_000.0
LENGTHS = (100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
NO_LENGTHS = (0.0,) * 7


def server(mono: float, **seen: Any) -> Sample:
    return Sample("http://a", Source.SERVER, WALL + mono, mono, **seen)


# --- preemption


@pytest.mark.parametrize(
    ("a_second", "severity"), [(0.0, None), (1 / 60, None), (0.2, Severity.WARNING), (2.0, Severity.CRITICAL)]
)
def test_preemptions_count_from_a_few_a_minute(
    drive: Callable[[], Drive], a_second: float, severity: Severity | None
) -> None:
    """One a minute is taken for granted, more are a warning, over one a second is critical."""
    driven = drive()
    seen = set()
    for mono in range(150):
        driven.poll(float(mono), server(float(mono), counters={"preemptions": float(int(mono * a_second))}))
        seen.add(driven.states()["preemption"])
    assert ("firing" in seen) == (severity is not None)
    assert severity is None or driven.risk("preemption").severity is severity


# --- prefix cache


def cached(drive: Drive, before: float, after: float, rate: float = 10.0, seconds: int = 40) -> str:
    """Serve 500 tokens a prompt with one hit rate for five minutes and then another."""
    for mono in range(300 + seconds):
        prompts = 500.0 * rate * mono
        hit = 500.0 * rate * (before * min(mono, 300) + after * max(0, mono - 300))
        counters = {"prompt_tokens_total": prompts, "prompt_tokens_cached": hit, "requests_finished": rate * mono}
        drive.poll(float(mono), server(float(mono), counters=counters))
    return drive.states()["prefix_cache_collapse"]


@pytest.mark.parametrize(
    ("before", "after", "rate", "state"),
    [
        (0.5, 0.05, 10.0, "firing"),
        (0.5, 0.4, 10.0, "not_observed"),
        (0.1, 0.0, 10.0, "not_observed"),  # it never gave much
        (0.5, 0.05, 0.1, "unknown"),  # hardly any traffic: nothing of nothing is no collapse
    ],
)
def test_a_prefix_cache_collapses_against_its_own_past(
    drive: Callable[[], Drive], before: float, after: float, rate: float, state: str
) -> None:
    """Half of the usual share or less, found within 30 s, with enough requests to tell."""
    assert cached(drive(), before, after, rate, 30) == state


def test_a_cold_cache_after_a_restart_is_no_collapse(drive: Callable[[], Drive]) -> None:
    """The hits are gone because the process is new: the cold start tells it, with the TTFT of before."""
    driven = drive()
    bounds = (0.1, 0.2, 0.5, 1.0)
    for mono in range(300):
        old = {
            "prompt_tokens_total": 5e3 * mono,
            "prompt_tokens_cached": 2.5e3 * mono,
            "requests_finished": 10.0 * mono,
        }
        ttft = Histogram(bounds, (10.0 * mono, 0.0, 0.0, 0.0, 0.0), 0.5 * mono)
        driven.poll(float(mono), server(float(mono), counters=old, histograms={"ttft_seconds": ttft}))
    for mono in range(300, 340):
        life = mono - 300
        new = {"prompt_tokens_total": 5e3 * life, "prompt_tokens_cached": 0.0, "requests_finished": 10.0 * life}
        ttft = Histogram(bounds, (0.0, 0.0, 10.0 * life, 0.0, 0.0), 3.0 * life)
        driven.poll(float(mono), server(float(mono), counters=new, histograms={"ttft_seconds": ttft}))
    states = driven.states()
    assert states["prefix_cache_collapse"] == "not_observed"
    assert states["cold_start"] == "firing"
    assert driven.risk("cold_start").summary == "mean TTFT 300 ms, before the restart 50 ms"
    assert driven.risk("cold_start").severity is Severity.INFO


@pytest.mark.parametrize(("fact", "state"), [("False", "firing"), ("True", None)])
def test_caching_that_is_off_is_told_where_prompts_take_the_time(
    drive: Callable[[], Drive], fact: str, state: str | None
) -> None:
    """Prompts are worked on in 40 % of the time for eleven minutes; where caching is on, that is not asked."""
    driven = drive()
    for mono in range(0, 800, 2):
        prefill = Histogram((0.1, 0.5), (0.0, mono * 4.0, 0.0), mono * 0.4)
        facts = {"enable_prefix_caching": fact}
        driven.poll(float(mono), server(float(mono), facts=facts, histograms={"prefill_seconds": prefill}))
    assert driven.states().get("prefix_cache_opportunity") == state


# --- slots and budget


@pytest.mark.parametrize(
    ("gauges", "state"),
    [
        ({"max_running_requests": 16.0, "requests_running": 16.0, "kv_cache_usage": 0.3}, "firing"),
        ({"max_running_requests": 16.0, "requests_running": 16.0, "kv_cache_usage": 0.95}, "not_observed"),
        ({"max_running_requests": 64.0, "requests_running": 16.0, "kv_cache_usage": 0.3}, "not_observed"),
        ({"requests_running": 16.0, "kv_cache_usage": 0.3}, "firing"),  # it stands still at 16 while others wait
        ({"requests_running": 16.0, "kv_cache_usage": 0.6}, "not_observed"),
        ({"max_running_requests": 16.0, "requests_running": 16.0}, "unknown"),
        ({"max_running_requests": 16.0, "requests_running": 16.0, "requests_waiting": 0.0}, "not_observed"),
    ],
)
def test_a_limit_of_slots_is_one_while_the_cache_has_room(
    drive: Callable[[], Drive], gauges: dict[str, float], state: str
) -> None:
    """All slots taken, requests waiting, and the KV cache not full."""
    driven = drive()
    for mono in range(40):
        driven.poll(float(mono), server(float(mono), gauges={"requests_waiting": 6.0, **gauges}))
    assert driven.states()["slot_cap"] == state


def slots(drive: Drive, running: tuple[float, ...], limit: float | None, prefill: float) -> str:
    """Let four requests a second go through slots, of which so many are seen taken in poll after poll, and six wait."""
    for mono in range(80):
        gauges = {"requests_waiting": 6.0, "requests_running": running[mono % len(running)], "kv_cache_usage": 0.3}
        if limit is not None:
            gauges["max_running_requests"] = limit
        drive.poll(
            float(mono),
            server(
                float(mono),
                gauges=gauges,
                counters={"requests_finished": 4.0 * mono},
                histograms={"prefill_seconds": Histogram((1.0,), (4.0 * mono, 0.0), 4.0 * mono * prefill)},
            ),
        )
    return drive.states()["slot_cap"]


@pytest.mark.parametrize("limit", [8.0, None])
def test_a_slot_that_is_empty_between_two_requests_is_no_room(drive: Callable[[], Drive], limit: float | None) -> None:
    """Eight slots, one of them seen empty in every fifth poll: so often a prefill of 36 ms leaves one after another."""
    seen = (8.0, 8.0, 8.0, 8.0, 7.0)
    assert slots(drive(), seen, limit, 0.036) == "firing"
    assert slots(drive(), seen, limit, 0.001) == "not_observed"
    assert slots(drive(), (8.0, 5.0), limit, 0.5) == "not_observed"


def test_a_large_batch_that_goes_up_and_down_shows_no_limit(drive: Callable[[], Drive]) -> None:
    """332 at most and 327 on average, with six waiting for room in the steps: nobody said that 332 is the limit."""
    assert slots(drive(), (332.0, 326.0, 329.0, 325.0, 323.0), None, 0.1) == "not_observed"
    assert slots(drive(), (332.0, 332.0, 331.0, 332.0, 332.0), None, 0.1) == "firing"


@pytest.mark.parametrize(("tokens", "state"), [(2040.0, "firing"), (1500.0, "not_observed")])
def test_steps_at_the_budget_are_told_for_certain_only(drive: Callable[[], Drive], tokens: float, state: str) -> None:
    """The bucket says 1024 to 2048, and the sum says where in it the steps are: all near 2048, or not."""
    driven = drive()
    for mono in range(60):
        steps = Histogram((512.0, 1024.0, 2048.0, 4096.0), (0.0, 0.0, mono * 20.0, 0.0, 0.0), mono * 20 * tokens)
        facts = flags("vllm", ["vllm", "serve", "m", "--max-num-batched-tokens", "2048"])
        driven.poll(float(mono), server(float(mono), facts=facts, histograms={"tokens_per_step": steps}))
    assert driven.states()["token_budget_bound"] == state
    plain = drive()
    plain.poll(0.0, server(0.0))
    assert "token_budget_bound" not in plain.states()


# --- over-provisioning


def day(drive: Drive, running: tuple[float, ...], seconds: float = DAY + 600.0) -> str:
    """Watch servers of 100 slots each for a day, once every ten minutes, with their peak at noon."""
    for step in range(int(seconds / 600) + 1):
        mono = step * 600.0
        for index, peak in enumerate(running):
            busy = peak if step == 72 else peak / 4
            gauges = {"requests_running": busy, "requests_waiting": 0.0, "max_running_requests": 100.0}
            drive.store.add(Sample(f"http://{index}", Source.SERVER, WALL, mono, gauges=gauges, facts={"model": "m"}))
        drive.poll(mono)
    return drive.states()["resource_overprovisioning"]


def test_over_provisioning_takes_a_day_and_says_how_long_still(drive: Callable[[], Drive]) -> None:
    """A quiet hour is no proof; after a day the peaks decide, as if all had come at once."""
    young = drive()
    assert day(young, (10.0, 10.0), 3600.0) == "unknown"
    assert "23 h more" in young.risk("resource_overprovisioning").summary
    spare = drive()
    assert day(spare, (20.0, 20.0)) == "firing"
    assert spare.risk("resource_overprovisioning").summary == (
        "the peaks of a day, as if they came at once, need 1 of 2 servers"
    )
    assert day(drive(), (20.0, 80.0)) == "not_observed"
    assert day(drive(), (10.0,)) == "not_observed"  # one server is the least


@pytest.mark.parametrize(
    ("peaks", "facts", "state"),
    [
        ((2.0, 3.0), {}, "firing"),
        ((2.0, 40.0), {}, "not_observed"),
        ((20.0, 20.0), {}, "not_observed"),  # each was a third full at its peak
        ((2.0, 3.0), {"flag_enable_expert_parallel": "true"}, "not_observed"),  # each holds a part of the experts
    ],
)
def test_the_engines_behind_one_address_are_servers_of_their_own(
    drive: Callable[[], Drive], peaks: tuple[float, ...], facts: dict[str, str], state: str
) -> None:
    """Two of 64 slots each, of which a day took two and three: one would have done."""
    driven = drive()
    for step in range(int((DAY + 600) / 600) + 1):
        running = {series("requests_running", engine=str(number)): peak for number, peak in enumerate(peaks)}
        seen = server(step * 600.0, gauges={**running, "max_running_requests": 64.0 * len(peaks)}, facts=facts)
        driven.poll(step * 600.0, seen)
    assert driven.states()["resource_overprovisioning"] == state


@pytest.mark.parametrize("work", [0.9, 0.0])
def test_gpus_that_rest_for_a_day_are_told(drive: Callable[[], Drive], work: float) -> None:
    """One GPU has had nothing to do for a day; the server's own is none to spare, whether it had or not."""
    driven = drive()
    for step in range(150):
        mono = step * 600.0
        gauges = {"requests_running": 80.0, "max_running_requests": 100.0}
        seen = [server(mono, gauges=gauges, processes=(Process(1),))]
        for index, (load, processes) in enumerate(((work, (Process(1, "VLLM::Worker"),)), (0.0, ()))):
            facts = {"index": str(index)}
            seen.append(
                Sample(
                    f"gpu:{index}",
                    Source.GPU,
                    WALL,
                    mono,
                    gauges={"utilisation": load},
                    processes=processes,
                    facts=facts,
                )
            )
        driven.poll(mono, *seen)
    assert driven.risk("resource_overprovisioning").summary == "GPUs 1 had nothing to do for a day"


# --- drift


def lengths(drive: Drive, shift: bool, rate: float = 20.0, watched: int = 300, seconds: int = 30) -> str:
    """Serve prompts of which nine in ten are short; with a shift, half of them are long from then on."""
    for mono in range(watched + seconds):
        early, late = rate * min(mono, watched), rate * max(0, mono - watched)
        short = 0.9 * early + (0.5 if shift else 0.9) * late
        counts = (0.0, short, 0.0, 0.0, early + late - short, 0.0, 0.0)
        prompts = Histogram(LENGTHS, counts, 150 * short + 1500 * (early + late - short))
        outputs = Histogram(LENGTHS, (early + late, *NO_LENGTHS[1:]), 50 * (early + late))
        drive.poll(float(mono), server(float(mono), histograms={"prompt_tokens": prompts, "output_tokens": outputs}))
    return drive.states()["model_drift"]


def test_other_lengths_are_a_drift(drive: Callable[[], Drive]) -> None:
    """Long prompts from a tenth to a half: found within 30 s, with the means before and now."""
    driven = drive()
    assert lengths(driven, shift=True) == "firing"
    risk = driven.risk("model_drift")
    assert "mean 285 to" in risk.description
    assert risk.evidence[0].quantity == "prompt_tokens"
    assert risk.evidence[0].count is not None
    assert lengths(drive(), shift=False) == "not_observed"


def test_a_drift_that_lasts_is_not_forgotten(drive: Callable[[], Drive]) -> None:
    """Four minutes later the reference is still the time before it."""
    assert lengths(drive(), shift=True, seconds=240) == "firing"


def test_drift_takes_a_reference_and_enough_requests(drive: Callable[[], Drive]) -> None:
    """In the first two minutes, and with few requests, it cannot be told, and the row says how long still."""
    young = drive()
    assert lengths(young, shift=False, watched=60) == "unknown"
    assert "needs a reference of 2 min" in young.risk("model_drift").summary
    assert lengths(drive(), shift=True, rate=0.2) == "unknown"


def test_the_probe_of_this_program_is_no_drift_of_the_users(drive: Callable[[], Drive]) -> None:
    """When users go away and the probe's short requests are left, lengths are not judged by them."""
    driven = drive()
    for mono in range(520):
        users, own = 20.0 * min(mono, 300), 1.0 * mono
        counts = (own, users, *NO_LENGTHS[2:])
        seen = {"prompt_tokens": Histogram(LENGTHS, counts, 50 * own + 150 * users)}
        counters = {"probe_requests": own}
        probe = Sample("probe:http://a", Source.PROBE, WALL + mono, float(mono), counters=counters)
        driven.poll(float(mono), server(float(mono), histograms=seen), probe)
        assert driven.states()["model_drift"] in {"unknown", "not_observed"}
    assert driven.risk("model_drift").summary == "too many of its requests are this program's own"


# --- speculation and energy


@pytest.mark.parametrize(("accepted", "state"), [(0.3, "firing"), (0.7, "not_observed")])
def test_drafts_that_are_thrown_away_are_told(drive: Callable[[], Drive], accepted: float, state: str) -> None:
    """Below half of 200 drafted tokens a second accepted, with eight requests running."""
    driven = drive()
    for mono in range(50):
        counters = {"spec_draft_tokens": 200.0 * mono, "spec_accepted_tokens": 200.0 * accepted * mono}
        driven.poll(float(mono), server(float(mono), counters=counters, gauges={"requests_running": 8.0}))
    assert driven.states()["spec_decode_inefficient"] == state


def test_without_speculation_it_is_not_spoken_of(drive: Callable[[], Drive]) -> None:
    """A server that drafts nothing has no such row, and one without GPUs none about energy."""
    driven = drive()
    driven.poll(0.0, server(0.0))
    assert not {"spec_decode_inefficient", "efficiency_regression"} & driven.states().keys()


@pytest.mark.parametrize(("watts", "running", "state"), [(600.0, 20.0, "firing"), (500.0, 20.0, "not_observed")])
def test_energy_is_compared_at_the_like_load(
    drive: Callable[[], Drive], watts: float, running: float, state: str
) -> None:
    """From 480 to 600 W at the same load, batch and tokens is 25 % more a token; to 500 W is not enough."""
    driven = drive()
    for mono in range(1000):
        joules = 480.0 * min(mono, 800) + watts * max(0, mono - 800)
        counters = {"output_tokens_total": 1000.0 * mono, "prompt_tokens_total": 3000.0 * mono}
        gpu = Sample(
            "gpu:0",
            Source.GPU,
            WALL,
            float(mono),
            counters={"energy_joules": joules},
            processes=(Process(1, "VLLM::Worker"),),
        )
        driven.poll(float(mono), server(float(mono), counters=counters, gauges={"requests_running": running}), gpu)
    assert driven.states()["efficiency_regression"] == state
