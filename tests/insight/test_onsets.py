from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from insight.onsets import onsets
from metrics import units
from metrics.finding import Risk, RiskState, Severity
from metrics.observed import Gpu, Target, Track
from metrics.sample import State

WALL = 1_800_000_000.0
STEP = 2.0


def target(**values: list[float | None]) -> Target:
    """A server with these tracks; the last point of each is at WALL."""
    quantities = {"kv_cache_usage": "ratio", "requests_waiting": "1", "ttft_p95": "s"}
    quantities |= {"requests_running": "1", "requests_rate": "1/s"}
    tracks = {name: Track(quantities[name], WALL, STEP, tuple(each)) for name, each in values.items()}
    return Target(
        id="http://a",
        url="http://a",
        engine="vllm",
        engine_version=None,
        model=None,
        state=State.OK,
        reason="",
        age_seconds=0.0,
        uptime_seconds=None,
        window_seconds=300.0,
        poll_seconds=0.01,
        simulated=False,
        quantities={},
        tracks=tracks,
        quantile_seconds=30.0,
    )


def risk(seconds_ago: float, severity: Severity = Severity.CRITICAL, state: RiskState = RiskState.FIRING) -> Risk:
    return Risk(
        id="ttft_slo",
        title="TTFT objective missed",
        state=state,
        severity=severity,
        likelihood="",
        impact="",
        description="",
        mitigation="",
        since=units.rfc3339(WALL - seconds_ago),
        target="http://a",
    )


def stepped(before: float, after: float, changed_ago: float, noise: float, seed: int) -> list[float | None]:
    """150 points with noise that go from one value to another at a point so many seconds before the end."""
    random = Random(seed)
    late = round(changed_ago / STEP)
    return [max(0.0, (after if i >= 150 - late else before) + random.gauss(0, noise)) for i in range(150)]


def test_what_changed_is_listed_in_the_order_in_which_it_changed() -> None:
    """The cache filled before the queue grew, and the queue before TTFT rose."""
    found = onsets(
        [
            target(
                ttft_p95=stepped(0.3, 8.0, 40, 0.02, 1),
                requests_waiting=stepped(0.0, 30.0, 60, 0.4, 2),
                kv_cache_usage=stepped(0.5, 0.98, 80, 0.01, 3),
            )
        ],
        [],
        [risk(30)],
    )
    assert [each.quantity for each in found] == ["kv_cache_usage", "requests_waiting", "ttft_p95"]
    assert [WALL - each.wall for each in found] == pytest.approx([78, 58, 38], abs=2)
    assert found[0].before == pytest.approx(0.5, abs=0.02)
    assert found[0].after == pytest.approx(0.98, abs=0.02)
    assert found[0].within_seconds == STEP
    assert found[2].within_seconds == 30.0


def test_a_surge_of_demand_comes_first_and_what_ends_more_is_left_out() -> None:
    """12 to 17 requests/s come: the batch grows at once, and as many end as come only when the first of them are done.

    What comes is told, though no counter of it is on the page; that more are finished follows from it.
    """
    came = [12.0 if i < 110 else 17.0 for i in range(150)]
    ended = [12.0 if i < 120 else 17.0 for i in range(150)]
    held = [30.0]
    for more, less in zip(came[1:], ended[1:], strict=True):
        held.append(held[-1] + STEP * (more - less))
    served = target(requests_rate=list(ended), requests_running=list(held), requests_waiting=[0.0] * 150)
    found = onsets([served], [], [risk(30)])
    assert [each.quantity for each in found] == ["arrivals", "requests_running"]
    assert (found[0].before, found[0].after) == pytest.approx((12.0, 17.0), rel=0.1)
    assert found[0].within_seconds == 5.0
    assert [WALL - each.wall for each in found] == pytest.approx([78, 78], abs=3)
    fell = onsets([target(requests_rate=stepped(15.0, 4.0, 60, 0.2, 1))], [], [risk(30)])
    assert [each.quantity for each in fell] == ["requests_rate"]


def gpu(clock: list[float | None], heat: list[float | None]) -> Gpu:
    tracks = {
        "sm_clock_hertz": Track("Hz", WALL, STEP, tuple(clock)),
        "temperature_celsius": Track("celsius", WALL, STEP, tuple(heat)),
    }
    return Gpu(
        index=3,
        uuid="GPU-3",
        name=None,
        state=State.OK,
        reason="",
        age_seconds=0.0,
        simulated=False,
        utilisation=None,
        memory_used_bytes=None,
        memory_total_bytes=None,
        power_watts=None,
        power_limit_watts=None,
        energy_joules=None,
        temperature_celsius=None,
        memory_temperature_celsius=None,
        sm_clock_hertz=None,
        sm_clock_max_hertz=None,
        throttle_reasons=None,
        throttled_seconds=None,
        ecc_uncorrected=None,
        xids=(),
        processes=None,
        tracks=tracks,
    )


def test_a_gpu_is_told_of_where_its_clock_changed() -> None:
    """Heat rose and then the clock fell; heat alone goes with the load, and is not told."""
    heat, clock = stepped(60.0, 88.0, 70, 0.5, 1), stepped(1.98e9, 1.155e9, 50, 0.0, 2)
    found = onsets([target()], [gpu(clock, heat)], [risk(30)])
    assert [each.quantity for each in found] == ["temperature_celsius", "sm_clock_hertz"]
    assert {each.target for each in found} == {"gpu:GPU-3"}
    assert not onsets([target()], [gpu([1.98e9] * 150, heat)], [risk(30)])


FILLED = stepped(0.5, 0.98, 80, 0.01, 3)


@pytest.mark.parametrize("days", [0.001, 3.0])
def test_an_older_fault_of_something_else_hides_nothing(days: float) -> None:
    """A disk that is nearly full, for days or since before the cache filled, is not the fault that is looked at."""
    disk = replace(risk(days * 86_400, Severity.WARNING), id="disk_pressure", target="host")
    assert onsets([target(kv_cache_usage=FILLED)], [], [disk, risk(30)])
    assert not onsets([target(kv_cache_usage=FILLED)], [], [disk])


def test_a_fault_that_is_older_than_the_graphs_hides_no_newer_one() -> None:
    """A server that misses an objective for an hour, and whose cache filled a minute ago."""
    assert onsets([target(kv_cache_usage=FILLED)], [], [risk(3600), risk(30)])
    assert not onsets([target(kv_cache_usage=FILLED)], [], [risk(3600)])


def test_each_server_goes_by_its_own_faults_and_those_of_its_gpus() -> None:
    """A fault of another server says nothing of this one; one of its GPU does, and one of a GPU of others does not."""
    ours, theirs = target(kv_cache_usage=FILLED), replace(target(kv_cache_usage=FILLED), id="http://b")
    assert {each.target for each in onsets([ours, theirs], [], [risk(30)])} == {"http://a"}
    hot = replace(risk(30), id="thermal_throttle", target="gpu:GPU-3")
    ours, theirs = replace(ours, gpus=(3,)), replace(theirs, gpus=(4,))
    clock, heat = stepped(1.98e9, 1.155e9, 50, 0.0, 2), stepped(60.0, 88.0, 70, 0.5, 1)
    assert {each.target for each in onsets([ours, theirs], [gpu(clock, heat)], [hot])} == {"http://a", "gpu:GPU-3"}
    late = replace(risk(30), target="http://b")
    assert {each.target for each in onsets([ours, theirs], [gpu(clock, heat)], [late])} == {"http://b"}


def test_a_host_without_cpu_time_is_a_fault_of_all_that_runs_on_it() -> None:
    """What starves the servers is what they are looked at for."""
    starved = replace(risk(30), id="host_cpu_starvation", target="host")
    assert onsets([target(kv_cache_usage=FILLED)], [], [starved])


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_change(seed: int) -> None:
    """A series that only scatters has no onset, whatever fires."""
    assert not onsets([target(ttft_p95=stepped(0.5, 0.5, 40, 0.1, seed))], [], [risk(30)])


def test_a_single_point_outside_is_no_change() -> None:
    """One slow request makes one high point."""
    values = stepped(0.5, 0.5, 40, 0.01, 1)
    values[120] = 9.0
    assert not onsets([target(ttft_p95=values)], [], [risk(30)])


@pytest.mark.parametrize(
    "quiet", [risk(30, Severity.INFO), risk(30, state=RiskState.RESOLVING), risk(30, state=RiskState.PENDING)]
)
def test_nothing_changed_first_where_nothing_fires(quiet: Risk) -> None:
    """A note, and what is over or not yet sure, is no fault that something could have led to."""
    assert not onsets([target(kv_cache_usage=stepped(0.5, 0.98, 80, 0.01, 3))], [], [quiet])


def test_what_was_not_seen_before_the_fault_has_no_onset() -> None:
    """Four points before the fault do not say what is usual; gaps are no points."""
    values = [None] * 131 + [0.5, 0.5, 0.5, 0.5] + [0.98] * 15
    assert not onsets([target(kv_cache_usage=values)], [], [risk(29)])
