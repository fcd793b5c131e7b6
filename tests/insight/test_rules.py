"""Each rule at its boundaries."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from collectors.answer import Answer, Failure, nothing_there, refusal
from insight.objectives import parse_objectives
from insight.settings import Settings
from metrics.finding import Severity
from metrics.histogram import Histogram
from metrics.sample import Sample, Source, State
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.insight.conftest import Drive

WALL = 1_800_000_000.0
BOUNDS = (0.5, 1.0, 2.5, 5.0)


def server(mono: float, state: State = State.OK, reason: str = "", **seen: Any) -> Sample:
    return Sample("http://a", Source.SERVER, WALL + mono, mono, state=state, reason=reason, **seen)


def gpu(mono: float, reason: str | None = None, mhz: float = 1980.0, **seen: Any) -> Sample:
    reasons = ("gpu_idle", "sw_power_cap", "hw_slowdown", "sw_thermal", "hw_thermal")
    gauges = {series("throttle", reason=each): float(each == reason) for each in reasons}
    gauges |= {"sm_clock_hertz": mhz * 1e6, "sm_clock_max_hertz": 1.98e9, "temperature_celsius": 87.0}
    facts = {"index": "1", "uuid": "GPU-1"}
    return Sample("gpu:GPU-1", Source.GPU, WALL + mono, mono, gauges=gauges, facts=facts, **seen)


def latencies(*counts: float) -> dict[str, Histogram]:
    return {"ttft_seconds": Histogram(BOUNDS, counts, sum(counts))}


def judged(drive: Drive, first: dict[str, Histogram], last: dict[str, Histogram], seconds: int = 10) -> str:
    """Tell the state of the TTFT rule after some seconds in which the histogram grew from `first` to `last`."""
    drive.poll(0.0, server(0.0, histograms=first))
    for mono in range(1, seconds + 1):
        drive.poll(float(mono), server(float(mono), histograms=last))
    return drive.states()["ttft_slo"]


# --- queue


def queued(drive: Drive, waiting: float, running: float, rate: float | None = None, seconds: int = 40) -> str:
    for mono in range(seconds):
        counters = {} if rate is None else {"requests_finished": rate * mono}
        gauges = {"requests_waiting": waiting, "requests_running": running}
        drive.poll(float(mono), server(float(mono), gauges=gauges, counters=counters))
    return drive.states()["model_overloading"]


@pytest.mark.parametrize(
    ("waiting", "running", "rate", "state"),
    [
        (4, 4, None, "not_observed"),  # a short queue is none
        (5, 5, None, "firing"),
        (5, 6, None, "not_observed"),  # shorter than the batch, and nothing tells how long it takes
        (20, 256, 100.0, "not_observed"),  # 0.2 s of a 2 s objective
        (20, 256, 19.0, "firing"),  # 1.05 s: more than half of it
        (20, 256, 21.0, "not_observed"),
        (54, 0, None, "firing"),  # nothing runs at all
    ],
)
def test_overloading_takes_a_queue_that_is_long_in_number_or_in_time(
    drive: Callable[[], Drive], waiting: float, running: float, rate: float | None, state: str
) -> None:
    """Five must wait, and either as many as run or longer than half of the TTFT objective."""
    assert queued(drive(), waiting, running, rate) == state


def test_overloading_takes_10_s(drive: Callable[[], Drive]) -> None:
    """A queue of 9 s is pending and says when it fires; at 10 s it fires."""
    driven = drive()
    assert queued(driven, 54, 8, seconds=10) == "pending"
    assert driven.risk("model_overloading").fires_in_seconds == pytest.approx(1.0)
    assert queued(drive(), 54, 8, seconds=11) == "firing"


@pytest.mark.parametrize(
    ("waiting", "rate", "severity"), [(10, None, Severity.WARNING), (40, None, "critical"), (10, 4.0, "critical")]
)
def test_overloading_is_critical_when_the_wait_is_the_service(
    drive: Callable[[], Drive], waiting: float, rate: float | None, severity: str
) -> None:
    """Five times as many waiting as running, or a wait above the objective, is critical."""
    driven = drive()
    queued(driven, waiting, 8, rate)
    assert driven.risk("model_overloading").severity == severity


def test_a_server_that_tells_no_queue_is_not_judged(drive: Callable[[], Drive]) -> None:
    """Without a gauge of waiting requests the row says that it cannot be told, and why."""
    driven = drive()
    driven.poll(0.0, server(0.0))
    risk = driven.risk("model_overloading")
    assert risk.state.value == "unknown"
    assert "does not tell how many requests wait" in risk.summary


# --- latency


def test_an_objective_is_missed_only_when_no_reading_of_the_buckets_keeps_it(drive: Callable[[], Drive]) -> None:
    """The limit of 2 s lies in the bucket 1-2.5 s: what is in there is never held against the server."""
    empty = latencies(0, 0, 0, 0, 0)
    assert judged(drive(), empty, latencies(90, 0, 10, 0, 0)) == "not_observed"
    assert judged(drive(), empty, latencies(90, 0, 0, 10, 0)) == "firing"
    assert judged(drive(), empty, latencies(95, 0, 0, 5, 0)) == "not_observed"


def test_what_may_be_missed_is_said_but_does_not_fire(drive: Callable[[], Drive]) -> None:
    """When only the buckets' worse reading misses the objective, the row says `possibly missed`."""
    driven = drive()
    judged(driven, latencies(0, 0, 0, 0, 0), latencies(90, 0, 10, 0, 0))
    assert driven.risk("ttft_slo").summary.startswith("possibly missed: p95 1-2.5 s of 2 s")


def test_a_latency_is_judged_from_20_observations_on(drive: Callable[[], Drive]) -> None:
    """19 requests that all miss are too few, 20 are enough."""
    empty = latencies(0, 0, 0, 0, 0)
    assert judged(drive(), empty, latencies(0, 0, 0, 0, 19)) == "unknown"
    assert judged(drive(), empty, latencies(0, 0, 0, 0, 20)) == "firing"


def test_over_half_missed_is_critical(drive: Callable[[], Drive]) -> None:
    """Half of the requests missed is a warning, more is critical."""
    empty = latencies(0, 0, 0, 0, 0)
    half, more = drive(), drive()
    judged(half, empty, latencies(50, 0, 0, 50, 0))
    judged(more, empty, latencies(49, 0, 0, 51, 0))
    assert half.risk("ttft_slo").severity is Severity.WARNING
    assert more.risk("ttft_slo").severity is Severity.CRITICAL


def test_few_requests_are_judged_over_the_whole_window(drive: Callable[[], Drive]) -> None:
    """At one request in 6 s the last minute has 10; over five minutes there are enough."""
    driven = drive()
    for mono in range(200):
        driven.poll(float(mono), server(float(mono), histograms=latencies(0, 0, 0, mono // 6, 0)))
    assert driven.states()["ttft_slo"] == "firing"


def test_a_latency_recovers_when_the_load_is_gone(drive: Callable[[], Drive]) -> None:
    """With no requests at all in the last minute nobody waits, and the finding ends."""
    driven = drive()
    judged(driven, latencies(0, 0, 0, 0, 0), latencies(0, 0, 0, 0, 100))
    for mono in range(11, 100):
        driven.poll(float(mono), server(float(mono), histograms=latencies(0, 0, 0, 0, 100)))
    risk = driven.risk("ttft_slo")
    assert risk.state.value == "not_observed"
    assert len(risk.episodes) == 1
    assert "once in" in risk.likelihood


def test_only_what_was_stated_or_is_a_default_has_a_row(drive: Callable[[Settings], Drive]) -> None:
    """End-to-end latency is judged once an objective for it is stated, and has no row before."""
    plain = drive(Settings())
    plain.poll(0.0, server(0.0))
    assert "e2e_slo" not in plain.states()
    stated = drive(Settings(objectives=parse_objectives("e2e_p90=1s")))
    full = (
        {"e2e_seconds": Histogram(BOUNDS, (0, 0, 0, 0, 0), 0)},
        {"e2e_seconds": Histogram(BOUNDS, (0, 0, 0, 0, 30), 300)},
    )
    for mono in range(10):
        stated.poll(float(mono), server(float(mono), histograms=full[mono > 0]))
    assert stated.states()["e2e_slo"] == "firing"


# --- KV cache


@pytest.mark.parametrize(
    ("usage", "waiting", "preempted", "state", "severity"),
    [
        (0.99, 0, 0, "not_observed", Severity.INFO),  # full, and nobody suffers: well used
        (0.89, 9, 0, "not_observed", Severity.INFO),
        (0.92, 1, 0, "firing", Severity.WARNING),
        (0.97, 1, 0, "firing", Severity.WARNING),
        (0.97, 0, 1, "firing", Severity.CRITICAL),
        (0.93, 0, 1, "firing", Severity.WARNING),
    ],
)
def test_a_full_cache_counts_only_where_requests_suffer(
    drive: Callable[[], Drive], usage: float, waiting: float, preempted: float, state: str, severity: Severity
) -> None:
    """Above 90 % with a queue or preemptions it fires; above 95 % with preemptions it is critical."""
    driven = drive()
    for mono in range(20):
        gauges = {"kv_cache_usage": usage, "requests_waiting": waiting}
        driven.poll(float(mono), server(float(mono), gauges=gauges, counters={"preemptions": preempted * mono}))
    risk = driven.risk("cache_saturation")
    assert (risk.state.value, risk.severity) == (state, severity)


# --- server


def test_three_failed_polls_make_a_server_unreachable(drive: Callable[[], Drive]) -> None:
    """Two failures are a hiccup; the third is an outage, with its reason in the verdict."""
    driven = drive()
    driven.poll(0.0, server(0.0))
    for mono in (1.0, 2.0):
        driven.poll(mono, server(mono, State.DOWN, "connection refused"))
    assert driven.states()["server_unreachable"] == "not_observed"
    driven.poll(3.0, server(3.0, State.DOWN, "connection refused"))
    verdict = driven.snapshot().verdict
    assert verdict.severity is Severity.CRITICAL
    assert verdict.text == "server unreachable: no metrics for 3 s: connection refused"


def test_a_collector_that_fell_silent_makes_a_server_unreachable(drive: Callable[[], Drive]) -> None:
    """No Sample at all for longer than an answer may take is as bad as failed polls."""
    driven = drive()
    driven.poll(0.0, server(0.0))
    driven.poll(7.0)
    assert driven.states()["server_unreachable"] == "not_observed"
    driven.poll(7.1)
    assert driven.states()["server_unreachable"] == "firing"


def test_one_slow_answer_is_no_outage(drive: Callable[[], Drive]) -> None:
    """An answer that takes 4.7 s of the 5 s it may take leaves a silence that says nothing yet."""
    driven = drive()
    driven.poll(0.0, server(0.0))
    for tenth in range(1, 60):
        driven.poll(tenth / 10)
        assert driven.states()["server_unreachable"] == "not_observed"
    driven.poll(6.0, server(6.0))
    assert driven.view.of("http://a").state is State.OK


def hanging(drive: Drive, interval: float, until: float) -> list[tuple[float, str, str]]:
    """Poll a server that froze right after an answer at 0: each GET is given up after 5 s. Tells what is said when."""
    drive.interval = interval
    drive.poll(0.0, server(0.0))
    sent, seen = interval, []
    for half in range(1, round(until * 2) + 1):
        now = half / 2
        if now >= sent + 5.0:
            timeout = replace(server(sent + 2.5, State.DOWN, "no answer in 5 s"), duration=5.0)
            sent = interval * math.ceil(now / interval)
            drive.poll(now, timeout)
        else:
            drive.poll(now)
        seen.append((now, drive.view.of("http://a").state.value, drive.states()["server_unreachable"]))
    return seen


@pytest.mark.parametrize(("interval", "latest"), [(0.5, 8.0), (1.0, 8.5), (2.0, 9.5), (10.0, 24.0)])
def test_a_frozen_server_is_down_when_a_second_poll_is_silent(
    drive: Callable[[], Drive], interval: float, latest: float
) -> None:
    """Silence of 6.8 s, as a busy server's, says nothing; beyond it state and rule say the same at every moment."""
    seen = hanging(drive(), interval, 40.0)
    fired = next(now for now, _, rule in seen if rule == "firing")
    assert interval + 7.4 <= fired <= latest
    assert {state for now, state, _ in seen if now >= fired} == {"down"}
    assert {rule for now, state, rule in seen if state != "down" and now < 7.0 + interval} == {"not_observed"}
    assert all((state == "down") == (rule == "firing") for _, state, rule in seen)


def test_a_poll_that_fails_after_a_time_without_polls_is_no_outage(drive: Callable[[], Drive]) -> None:
    """Nobody asked for an hour: that the server answered to nobody is no silence of its own."""
    driven = drive()
    driven.poll(0.0, server(0.0))
    driven.poll(3600.0, server(3600.0, State.DOWN, "no answer in 5 s"))
    assert driven.states()["server_unreachable"] == "not_observed"
    assert driven.view.of("http://a").state is State.STALE


@pytest.mark.parametrize(
    "said",
    [
        *(refusal(Answer(status, "text/plain", b"no"), "http://a") for status in (400, 404, 405, 429, 501)),
        nothing_there(b"<html>hello", "http://a"),
        nothing_there(b'{"a": 1}', "http://a"),
        nothing_there(b"hello", "http://a"),
    ],
)
def test_a_host_that_answers_without_metrics_lives(drive: Callable[[], Drive], said: Failure) -> None:
    """It answered, so nobody is told to bring it back: it is a warning about the page that was asked for."""
    driven = drive()
    for mono in range(4):
        driven.poll(float(mono), server(float(mono), State.DOWN, said.reason))
    snapshot = driven.snapshot()
    assert snapshot.verdict.severity is Severity.WARNING
    assert snapshot.verdict.text == f"no metrics page: it answers, but not with metrics: {said.reason}"
    assert [each.id for each in snapshot.recommendations] == ["find_metrics_page"]
    assert driven.states()["server_unreachable"] == "not_observed"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_answer_that_a_proxy_may_give_is_no_sign_of_life(drive: Callable[[], Drive], status: int) -> None:
    """Behind a proxy that answers 502 the server may be dead."""
    driven, said = drive(), refusal(Answer(status, "text/plain", b""), "http://a")
    assert said is not None
    for mono in range(4):
        driven.poll(float(mono), server(float(mono), State.DOWN, said.reason))
    assert driven.states()["server_unreachable"] == "firing"


def test_a_server_that_refuses_us_is_not_unreachable(drive: Callable[[], Drive]) -> None:
    """401 has a finding of its own, which is a warning."""
    driven = drive()
    for mono in range(5):
        driven.poll(float(mono), server(float(mono), State.UNAUTHORISED, "401: wants a token"))
    states = driven.states()
    assert (states["server_unreachable"], states["server_unauthorised"]) == ("not_observed", "firing")
    assert driven.snapshot().verdict.severity is Severity.WARNING


def test_a_starting_server_is_no_fault(drive: Callable[[], Drive]) -> None:
    """A server that loads its model is reported with severity info."""
    driven = drive()
    for mono in range(5):
        driven.poll(float(mono), server(float(mono), State.STARTING, "503 Loading model"))
    assert driven.states()["server_starting"] == "firing"
    assert driven.snapshot().verdict.severity in {None, Severity.INFO}


def frozen(drive: Drive, counters: dict[str, float], until: int, **seen: Any) -> str:
    """Work for 10 s, then stand still with two requests running; tell the state of the rule."""
    for mono in range(until + 1):
        moved = {name: value * min(mono, 10) for name, value in counters.items()}
        drive.poll(float(mono), server(float(mono), gauges={"requests_running": 2.0}, counters=moved, **seen))
    return drive.states()["stuck_server"]


def test_a_standstill_is_judged_by_how_finely_the_server_counts(drive: Callable[[], Drive]) -> None:
    """Where steps are counted but their length is not known, 30 s; where requests alone are counted, 60 s."""
    assert frozen(drive(), {"engine_steps": 50}, 39) == "pending"
    assert frozen(drive(), {"engine_steps": 50}, 40) == "firing"
    assert frozen(drive(), {"output_tokens_total": 50}, 69) == "pending"
    assert frozen(drive(), {"output_tokens_total": 50}, 70) == "firing"


def test_a_server_with_known_steps_is_stuck_after_10_s(drive: Callable[[], Drive]) -> None:
    """With short gaps and prefills on record, 10 s without a step are enough."""

    def history(mono: int) -> dict[str, Histogram]:
        grown = min(mono, 10) * 50
        return {name: Histogram((0.3, 5.0), (grown, 0, 0), grown * 0.1) for name in ("itl_seconds", "prefill_seconds")}

    driven = drive()
    states = []
    for mono in range(25):
        counters = {"engine_steps": 50.0 * min(mono, 10)}
        driven.poll(
            float(mono),
            server(float(mono), gauges={"requests_running": 2.0}, counters=counters, histograms=history(mono)),
        )
        states.append(driven.states()["stuck_server"])
    assert states.index("firing") == 20


def test_a_standstill_is_pending_before_it_fires(drive: Callable[[], Drive]) -> None:
    """From 5 s of it on nothing is called well, from 20 s where requests alone are counted; it says when it fires."""
    assert frozen(drive(), {"engine_steps": 50}, 14) == "not_observed"
    assert frozen(drive(), {"output_tokens_total": 50}, 29) == "not_observed"
    assert frozen(drive(), {"output_tokens_total": 50}, 30) == "pending"
    driven = drive()
    assert frozen(driven, {"engine_steps": 50}, 15) == "pending"
    assert driven.risk("stuck_server").fires_in_seconds == 25.0
    verdict = driven.snapshot().verdict
    assert (verdict.state, verdict.text) == ("pending", "pending: stuck server: no progress for 5 s with 2 running")


@pytest.mark.parametrize("counter", ["engine_steps", "output_tokens_total"])
def test_a_server_that_hung_before_the_watch_is_pending_after_5_s(drive: Callable[[], Drive], counter: str) -> None:
    """What was never seen to move is pending at 5 s, however finely it counts."""
    driven, states = drive(), []
    for mono in range(7):
        seen = server(float(mono), gauges={"requests_running": 2.0}, counters={counter: 900.0})
        driven.poll(float(mono), seen)
        states.append(driven.states()["stuck_server"])
    assert states == [*["not_observed"] * 5, "pending", "pending"]


def test_what_a_page_counted_before_tells_how_long_a_step_takes(drive: Callable[[], Drive]) -> None:
    """A server that hung before the watch is judged by its latencies since it began: 10 s, and not 30, are enough."""
    before = {each: Histogram((0.3, 5.0), (900, 0, 0), 90.0) for each in ("itl_seconds", "prefill_seconds")}
    driven, states = drive(), []
    for mono in range(12):
        gauges, counters = {"requests_running": 2.0}, {"engine_steps": 900.0}
        driven.poll(float(mono), server(float(mono), gauges=gauges, counters=counters, histograms=before))
        states.append(driven.states()["stuck_server"])
    assert states.index("firing") == 10


def test_a_suspected_standstill_blinds_no_other_rule(drive: Callable[[], Drive]) -> None:
    """Until it fires, a queue is still judged: a prefill of some seconds is no reason to lose sight of it."""
    driven = drive()
    for mono in range(16):
        gauges, counters = {"requests_running": 2.0, "requests_waiting": 54.0}, {"engine_steps": 900.0}
        driven.poll(float(mono), server(float(mono), gauges=gauges, counters=counters))
    assert (driven.states()["stuck_server"], driven.states()["model_overloading"]) == ("pending", "firing")


def test_an_idle_server_is_not_stuck(drive: Callable[[], Drive]) -> None:
    """Nothing runs, nothing moves: that is rest. A request that comes then has all its time."""
    driven = drive()
    for mono in range(284):
        gauges = {"requests_running": float(mono >= 280)}
        driven.poll(float(mono), server(float(mono), gauges=gauges, counters={"engine_steps": 7.0}))
    assert driven.states()["stuck_server"] == "not_observed"


def test_time_in_which_nobody_looked_is_no_standstill(drive: Callable[[], Drive]) -> None:
    """Polls that fail for a minute show no standstill: the rule cannot tell."""
    driven = drive()
    frozen(driven, {"engine_steps": 50}, 12)
    for mono in range(13, 80):
        driven.poll(float(mono), server(float(mono), State.DOWN, "timed out"))
    assert driven.states()["stuck_server"] == "unknown"
    assert driven.states()["server_unreachable"] == "firing"


def test_a_standstill_counts_up_to_the_last_poll_that_saw_it(drive: Callable[[], Drive]) -> None:
    """After 29 s of it two polls fail: whether it moved since, nobody saw, so 30 s have not been seen."""
    driven = drive()
    frozen(driven, {"engine_steps": 50}, 39)
    for mono in (40.0, 41.0):
        driven.poll(mono, server(mono, State.DOWN, "timed out"))
    assert driven.states()["stuck_server"] == "pending"


# --- GPUs


def test_heat_warns_after_5_s_and_is_critical_when_the_clock_falls(drive: Callable[[], Drive]) -> None:
    """Thermal slowdown fires after 5 s; below 80 % of the clock for over 10 s it is critical, and names the GPU."""
    driven = drive()
    driven.poll(0.0, gpu(0.0))
    seen = []
    for mono in range(1, 16):
        driven.poll(float(mono), gpu(float(mono), "hw_thermal", 1155.0))
        risk = driven.risk("thermal_throttle")
        seen.append((risk.state.value, risk.severity))
    assert [state for state, _ in seen[:6]] == [*["pending"] * 5, "firing"]
    assert seen[9] == ("firing", Severity.WARNING)
    assert seen[11] == ("firing", Severity.CRITICAL)
    assert driven.risk("thermal_throttle").summary == "GPU 1, clock -42 %, 87 °C"


@pytest.mark.parametrize("reason", ["gpu_idle", "sw_power_cap"])
def test_an_idle_or_capped_gpu_is_no_fault(drive: Callable[[], Drive], reason: str) -> None:
    """Low clocks for rest or a power limit are normal."""
    driven = drive()
    for mono in range(30):
        driven.poll(float(mono), gpu(float(mono), reason, 345.0))
    assert driven.states()["thermal_throttle"] == "not_observed"


def test_a_lost_gpu_is_critical_at_once_and_stays_on_record(drive: Callable[[], Drive]) -> None:
    """A GPU that fell off the bus fires at the first poll; when it answers again the row stays, resolving."""
    driven = drive()
    driven.poll(0.0, gpu(0.0))
    driven.poll(1.0, _lost(1.0))
    assert driven.risk("gpu_lost").severity is Severity.CRITICAL
    assert driven.states()["gpu_lost"] == "firing"
    for mono in range(2, 600):
        driven.poll(float(mono), gpu(float(mono)))
    assert driven.states()["gpu_lost"] == "resolving"


def _lost(mono: float) -> Sample:
    facts = {"index": "1", "uuid": "GPU-1"}
    return Sample(
        "gpu:GPU-1", Source.GPU, WALL + mono, mono, state=State.DOWN, reason="GPU is lost (XID 79)", facts=facts
    )


def test_a_driver_that_was_never_there_is_no_fault(drive: Callable[[], Drive]) -> None:
    """A host without a driver has no finding; one whose driver ceased to answer has a critical one."""
    driven = drive()
    for mono in range(20):
        driven.poll(float(mono), Sample("nvml", Source.DRIVER, WALL, float(mono), state=State.DOWN, reason="no driver"))
    assert driven.states()["driver_unresponsive"] == "not_observed"
    driven.poll(20.0, Sample("nvml", Source.DRIVER, WALL, 20.0))
    for mono in range(21, 30):
        driven.poll(float(mono), Sample("nvml", Source.DRIVER, WALL, float(mono), state=State.DOWN, reason="hangs"))
    assert driven.states()["driver_unresponsive"] == "firing"
