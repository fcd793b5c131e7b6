"""The Snapshot as a whole: what is there, the verdict, the risks, the scores, the advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec.structs import replace

from insight import assess
from insight.recommend import knowledge
from insight.recommend.work_out import work_out
from insight.rules import RULES
from insight.settings import Settings
from insight.standing import RISK_IDS
from insight.verdict import verdict
from metrics.effect import Grade
from metrics.finding import Risk, RiskState, Severity
from metrics.histogram import Histogram
from metrics.sample import Event, Missing, Process, Sample, Source, State
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Callable

    from insight.recommend.known import Known
    from insight.rules.rule import Condition
    from metrics.snapshot import Snapshot
    from metrics.view import SourceView
    from tests.insight.conftest import Drive

WALL = 1_800_000_000.0
URL = "http://a"


def server(mono: float, url: str = URL, **seen: Any) -> Sample:
    return Sample(url, Source.SERVER, WALL + mono, mono, **seen)


def gpu(mono: float, index: int = 0, joules: float | None = None, **seen: Any) -> Sample:
    gauges = {
        "utilisation": 0.9,
        "power_watts": 500.0,
        "slowdown_temperature_celsius": 90.0,
        series("throttle", reason="gpu_idle"): 0.0,
        series("throttle", reason="sw_power_cap"): 1.0,
    }
    return Sample(
        f"gpu:GPU-{index}",
        Source.GPU,
        WALL + mono,
        mono,
        gauges=gauges,
        counters={} if joules is None else {"energy_joules": joules},
        facts={"index": str(index), "uuid": f"GPU-{index}", "name": "H100"},
        **seen,
    )


# --- verdict


def test_nothing_seen_is_not_all_well(drive: Callable[..., Drive]) -> None:
    """Before the first answer the verdict waits for it; with nothing to watch it says so."""
    assert drive().snapshot().verdict.text == "nothing to judge: no server and no GPU is seen"
    waiting = drive(Settings(targets=(URL,))).snapshot().verdict
    assert (waiting.severity, waiting.text) == (None, f"waiting for the first answer of {URL}")


def test_a_server_that_never_answered_is_waited_for_beside_one_that_did(drive: Callable[..., Drive]) -> None:
    """With two targets, one of them silent, the verdict is not `no risk found`."""
    driven = drive(Settings(targets=(URL, "http://b")))
    driven.poll(0.0, server(0.0))
    assert driven.snapshot().verdict.text == "waiting for the first answer of http://b"


def test_no_risk_is_said_with_the_time_that_was_looked_at(drive: Callable[..., Drive]) -> None:
    """After 5 s of quiet, `no risk found` speaks of 5 s and not of the window that was asked for."""
    driven = drive()
    for mono in range(6):
        driven.poll(float(mono), server(float(mono), gauges={"requests_waiting": 0.0}))
    snapshot = driven.snapshot()
    assert (snapshot.verdict.severity, snapshot.verdict.text) == (None, "no risk found in 5 s")
    assert (snapshot.window_seconds, snapshot.asked_window_seconds) == (5.0, 300.0)


def test_gpus_alone_say_that_no_server_is_watched(drive: Callable[..., Drive]) -> None:
    """A host whose servers are not known is not called well as a whole."""
    driven = drive()
    for mono in range(3):
        driven.poll(float(mono), gpu(float(mono)))
    assert driven.snapshot().verdict.text == "no risk found in 2 s, GPUs alone: no server is watched"


def test_of_several_servers_the_verdict_names_the_one(drive: Callable[..., Drive]) -> None:
    """With two servers the sentence begins with the one that it is about."""
    driven = drive()
    for mono in range(15):
        queue = {"requests_waiting": 60.0, "requests_running": 8.0}
        driven.poll(float(mono), server(float(mono)), server(float(mono), "http://b", gauges=queue))
    assert driven.snapshot().verdict.text.startswith("http://b: model overloading: 60 waiting for 14 s")


def risk_of(index: int, name: str = "power_cap", state: RiskState = RiskState.FIRING, said: str = "at 200 W") -> Risk:
    return Risk(name, "Power limit reached", state, Severity.WARNING, "", "", "", "", None,
                f"gpu:GPU-{index}", f"GPU {index}, {said}")  # fmt: skip


def test_the_same_of_several_gpus_is_one_finding(drive: Callable[..., Drive]) -> None:
    """The verdict names the GPUs that share its finding; behind it stand the risks that are others."""
    driven = drive()
    driven.poll(0.0, *(gpu(0.0, index) for index in range(8)))
    view = driven.view
    same = tuple(map(risk_of, range(8)))
    for risks, text in (
        (same, "GPUs 0-7: at 200 W"),
        ((*same, risk_of(1, "xid")), "GPUs 0-7: at 200 W (+1 other risk)"),
        ((risk_of(0), risk_of(0, "xid"), risk_of(1, "ecc")), "GPU 0, at 200 W (+2 other risks)"),
        ((risk_of(2, said="at 190 W"), risk_of(0)), "GPUs 0, 2: e.g. at 190 W"),
    ):
        assert verdict(risks, view, Settings(), 60.0).text == f"power limit reached: {text}"


# --- risks


def test_the_nine_risks_always_have_a_row(drive: Callable[..., Drive]) -> None:
    """With nothing seen at all, each of the nine is there, unknown, with a reason, and never as a fault."""
    found = {risk.id: risk for risk in drive().snapshot().risks}
    for name in RISK_IDS:
        assert found[name].state.value == "unknown"
        assert found[name].severity is Severity.INFO
        assert found[name].summary


def test_a_risk_that_was_watched_in_vain_says_for_how_long(drive: Callable[..., Drive]) -> None:
    """`not observed` comes with the time and the bound that follows from it."""
    driven = drive()
    for mono in range(301):
        driven.poll(float(mono), server(float(mono), gauges={"requests_waiting": 0.0}))
    risk = driven.risk("model_overloading")
    assert risk.state.value == "not_observed"
    assert risk.likelihood == "not observed in 5 min (at most 3 in as long)"


def test_risks_are_listed_worst_first(drive: Callable[..., Drive]) -> None:
    """Firing before pending before the rest, critical before warning; times and episodes are written out."""
    driven = drive()
    for mono in range(12):
        gauges = {
            "requests_waiting": 60.0 if mono > 0 else 0.0,
            "requests_running": 8.0,
            "kv_cache_usage": 1.0 if mono > 1 else 0.5,
        }
        driven.poll(float(mono), server(float(mono), gauges=gauges))
    first, second = driven.snapshot().risks[:2]
    assert (first.id, first.state.value, first.since) == ("model_overloading", "firing", "2027-01-15T08:00:01Z")
    assert first.episodes == (("2027-01-15T08:00:01Z", None),)
    assert (second.id, second.state.value) == ("cache_saturation", "pending")


def test_what_fired_when_the_data_went_stays_unknown_and_not_over(drive: Callable[..., Drive]) -> None:
    """A queue that stood when the server fell silent is neither firing nor resolved, and its row says both halves."""
    driven = drive()
    for mono in range(20):
        driven.poll(float(mono), server(float(mono), gauges={"requests_waiting": 60.0, "requests_running": 8.0}))
    driven.poll(60.0)
    risk = driven.risk("model_overloading")
    assert risk.state.value == "unknown"
    assert risk.summary.startswith("cannot be told: no metrics for 41 s (before: 60 waiting")


# --- what is there


def test_a_target_carries_facts_uptime_and_quantities(drive: Callable[..., Drive]) -> None:
    """Engine, version, model and uptime come from what the server tells; what it does not tell is None."""
    driven = drive(Settings(targets=("http://b", URL)))
    facts = {"engine": "vllm", "engine_version": "0.32.0", "model": "llama"}
    for mono in range(3):
        told = server(float(mono), gauges={"start_time_seconds": WALL - 100.0}, facts=facts, duration=0.01)
        driven.poll(float(mono), told, server(float(mono), "http://b"))
    other, target = driven.snapshot().targets
    assert (target.engine, target.engine_version, target.model) == ("vllm", "0.32.0", "llama")
    assert target.uptime_seconds == pytest.approx(102.0)
    assert (target.window_seconds, target.poll_seconds, target.simulated) == (2.0, 0.01, False)
    assert (other.id, other.engine, other.uptime_seconds) == ("http://b", None, None)


def test_a_gpu_tells_its_throttling_energy_and_the_rest(drive: Callable[..., Drive]) -> None:
    """Reasons that hold are listed; a power cap is no time under heat; energy is that of the window."""
    driven = drive()
    for mono in range(3):
        driven.poll(float(mono), gpu(float(mono), 1, 1000.0 + 500 * mono), gpu(float(mono), 0))
    first, second = driven.snapshot().gpus
    assert (first.index, second.index) == (0, 1)
    assert (first.energy_joules, second.energy_joules) == (None, 1000.0)
    assert (second.throttle_reasons, second.throttled_seconds) == (("sw_power_cap",), None)
    assert second.gauges["slowdown_temperature_celsius"] == 90.0
    assert "utilisation" not in second.gauges


def test_processes_that_may_not_be_seen_are_unknown_and_not_none(drive: Callable[..., Drive]) -> None:
    """An empty list means that nothing runs; a list that could not be read is None."""
    driven = drive()
    hidden = gpu(0.0, 1, missing=(Missing("processes", "no permission"),))
    driven.poll(0.0, gpu(0.0, 0, processes=(Process(1),)), hidden, gpu(0.0, 2))
    assert [each.processes for each in driven.snapshot().gpus] == [(Process(1),), None, ()]


def test_what_could_not_be_seen_is_listed_once(drive: Callable[..., Drive]) -> None:
    """What all GPUs lack is one entry; what some lack names them; what a server lacks names the server."""
    driven = drive()
    everywhere, some = Missing("xid", "no events"), Missing("power_watts", "not supported")
    for mono in range(2):
        driven.poll(
            float(mono),
            server(float(mono), missing=(Missing("queue_seconds", "not exported"),)),
            *(gpu(float(mono), index, missing=(everywhere, some) if index else (everywhere,)) for index in range(3)),
        )
    found = [(each.what, each.target) for each in driven.snapshot().not_visible]
    assert sorted(found, key=str) == [("power_watts of GPU 1, 2", None), ("queue_seconds", URL), ("xid", None)]


def test_events_of_the_window_come_in_order_and_anything_simulated_marks_the_whole(
    drive: Callable[..., Drive],
) -> None:
    """Events of all sources are sorted by time, those before the window left out; one simulated source is enough."""
    driven = drive(Settings(window=60.0))
    early, xid = Event(WALL - 100, "xid", "old", 31), Event(WALL + 1, "xid", "fell off the bus", 79)
    simulated = Sample(
        URL, Source.SERVER, WALL, 0.0, facts={"simulated": "true"}, events=(Event(WALL + 2, "mark", "m"),)
    )
    driven.poll(2.0, simulated, gpu(0.0, events=(early, xid)))
    snapshot = driven.snapshot()
    assert [event.text for event in snapshot.events] == ["fell off the bus", "m"]
    assert snapshot.simulated
    assert snapshot.targets[0].simulated
    assert snapshot.gpus[0].xids == (31, 79)


def test_what_the_monitor_missed_is_told(drive: Callable[..., Drive]) -> None:
    """Polls missed in the window are in `monitor`."""
    driven = drive()
    for mono in range(3):
        counters = {"polls_missed": 4.0 + mono, "polls_overrun": 0.0}
        driven.poll(float(mono), Sample("monitor", Source.MONITOR, WALL + mono, float(mono), counters=counters))
    assert driven.snapshot().monitor == {"polls_missed": 2.0, "polls_overrun": 0.0}


def test_a_snapshot_can_be_written_as_json(drive: Callable[..., Drive]) -> None:
    """Everything in it encodes, and no NaN or infinity is among it."""
    driven = drive()
    for mono in range(20):
        queue = {"requests_waiting": 60.0, "requests_running": 8.0}
        driven.poll(float(mono), server(float(mono), gauges=queue), gpu(float(mono), 0, 500.0 * mono))
    text = msgspec.json.encode(driven.snapshot())
    assert b"Infinity" not in text
    assert msgspec.json.decode(text)["schema_version"] == 1


# --- scorecard


def served(drive: Drive, waiting: Callable[[int], float], **counters: float) -> Drive:
    """Run for 20 s with counters that grow by so much a second."""
    for mono in range(21):
        told = server(
            float(mono),
            gauges={"requests_waiting": waiting(mono)},
            counters={name: each * mono for name, each in counters.items()},
            histograms={"ttft_seconds": Histogram((1.0, 2.0, 4.0), (0.0, 3.0 * mono, 0.0, 1.0 * mono), 8.0 * mono)},
        )
        drive.poll(float(mono), told, gpu(float(mono), 0, 500.0 * mono))
    return drive


def test_throughput_is_the_share_of_what_was_offered(drive: Callable[..., Drive]) -> None:
    """20 finished while the queue grew by 60 is a quarter; a queue that shrinks takes nothing away."""
    growing = served(drive(), lambda mono: 3.0 * mono, requests_finished=1.0).snapshot().scorecard.throughput
    assert growing.score == pytest.approx(25.0)
    assert "60 more waiting" in growing.text
    shrinking = served(drive(), lambda mono: 60.0 - mono, requests_finished=1.0).snapshot().scorecard.throughput
    assert shrinking.score == pytest.approx(100.0)
    refused = (
        served(drive(), lambda _: 0.0, requests_finished=1.0, requests_rejected=1.0).snapshot().scorecard.throughput
    )
    assert refused.score == pytest.approx(50.0)


def test_a_share_is_no_more_than_all_and_no_less_than_nothing(drive: Callable[..., Drive]) -> None:
    """Rounding makes no 100.00000000000001, and more failures than ends, on a page that contradicts itself, no -300."""
    all_served = served(drive(), lambda _: 0.0, requests_finished=0.021).snapshot().scorecard.throughput
    assert all_served.score == 100.0
    failures = served(drive(), lambda _: 0.0, requests_finished=1.0, requests_failed=4.0)
    assert failures.snapshot().scorecard.throughput.score == 0.0


def test_there_is_no_throughput_score_where_ends_are_not_counted(drive: Callable[..., Drive]) -> None:
    """Without a count of finished requests the text carries the tokens, and says what is missing."""
    score = served(drive(), lambda _: 0.0, output_tokens_total=97.0).snapshot().scorecard.throughput
    assert score.score is None
    assert score.text == "97 tokens/s output; requests that end are not counted by this server"


def test_ttft_is_the_share_of_requests_within_the_objective(drive: Callable[..., Drive]) -> None:
    """Three of four within 2 s, where 2 s is a bucket bound: exactly 75 %, with the objective named as a default."""
    score = served(drive(), lambda _: 0.0).snapshot().scorecard.ttft
    assert score.score == pytest.approx(75.0)
    assert (score.text, score.objective) == ("75 % of 80 requests within 2 s", "TTFT p95 within 2 s (default)")


def test_efficiency_is_a_number_without_a_score(drive: Callable[..., Drive]) -> None:
    """Tokens per joule are told; nothing says how many there should be, so there is no score."""
    score = served(drive(), lambda _: 0.0, output_tokens_total=100.0).snapshot().scorecard.efficiency
    assert score.score is None
    assert score.text.startswith("0.2 output tokens/J")


def test_quality_is_not_made_up(drive: Callable[..., Drive]) -> None:
    """Nothing measures quality here, and the scorecard says so."""
    assert drive().snapshot().scorecard.quality.score is None


# --- what fails within


def test_a_rule_that_fails_costs_its_own_row_alone(
    drive: Callable[..., Drive], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are judged, its row says what happened, and the log has it once."""

    def fails(source: SourceView, settings: Settings, firing: bool) -> Condition | None:  # noqa: ARG001
        raise ZeroDivisionError

    rules = tuple(replace(rule, condition=fails) if rule.id == "model_drift" else rule for rule in RULES)
    of_kind = {kind: tuple(rule for rule in rules if rule.of is kind) for kind in Source}
    monkeypatch.setattr(assess, "_RULES_OF", of_kind)
    driven = overloaded(drive(), "vllm")
    assert driven.states()["model_overloading"] == "firing"
    assert "an error within chimera-top: ZeroDivisionError" in driven.risk("model_drift").summary
    assert sum("model_drift failed" in each.message for each in caplog.records) == 1


@pytest.mark.parametrize("mode", ["live", "report"])
def test_an_estimator_that_fails_on_one_server_costs_its_numbers_alone(
    drive: Callable[..., Drive], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    """The other server has its own, what is missing is told, the log has it once; and it is tried again."""

    def fails(source: SourceView, *rest: Any) -> Known:
        if source.id == URL:
            raise ZeroDivisionError
        return work_out(source, *rest)

    monkeypatch.setattr(knowledge, "work_out", fails)
    driven = drive(Settings(mode=mode))

    def live(begin: int, end: int) -> Snapshot:
        for mono in range(begin, end):
            done = float(mono)
            tokens = {"prompt_tokens_total": 500 * done, "output_tokens_total": 100 * done}
            gaps, first = Histogram((0.05,), (100 * done, 0.0), 3 * done), Histogram((0.5,), (done, 0.0), 0.2 * done)
            seen: dict[str, Any] = {
                "counters": {"requests_finished": done, **tokens},
                "gauges": {"requests_running": 4.0, "requests_waiting": 0.0},
                "histograms": {"itl_seconds": gaps, "ttft_seconds": first},
            }
            driven.poll(done, server(done, **seen), server(done, "http://b", **seen))
            if mono % 5 == 0:
                driven.snapshot()
        return driven.snapshot()

    found = live(0, 60)
    assert {each.id: bool(each.estimates) for each in found.targets} == {URL: False, "http://b": True}
    missing = [each for each in found.not_visible if each.what == "estimates"]
    assert [(each.target, each.why) for each in missing] == [
        (URL, "an error within chimera-top: ZeroDivisionError; please report it")
    ]
    assert sum("estimators failed on http://a" in each.message for each in caplog.records) == 1
    monkeypatch.setattr(knowledge, "work_out", work_out)
    found = live(60, 100)
    assert all(each.estimates for each in found.targets)
    assert not any(each.what == "estimates" for each in found.not_visible)


# --- advice


def overloaded(drive: Drive, engine: str, rate: float | None = 2.0) -> Drive:
    for mono in range(60):
        counters = {} if rate is None else {"requests_finished": rate * mono}
        gauges = {"requests_waiting": 60.0, "requests_running": 8.0, "max_running_requests": 8.0}
        facts = {"engine": engine, "gpu_memory_utilization": "0.9"}
        drive.poll(float(mono), server(float(mono), gauges=gauges, counters=counters, facts=facts))
    return drive


def test_the_queue_cap_is_bounded_by_what_was_measured(drive: Callable[..., Drive]) -> None:
    """At 2 finished a second and half of 2 s allowed, 2 may wait beside the 8 that run."""
    advised = {each.id: each for each in overloaded(drive(), "vllm").snapshot().recommendations}
    cap, more = advised["admission_control"], advised["scale_out"]
    assert (cap.id, cap.risks, cap.target) == ("admission_control", ("model_overloading",), URL)
    assert any(line.startswith("N = 10 (9 to 10): 8 that run, and 2 that may wait") for line in cap.because)
    assert cap.effect is not None
    assert cap.effect.now == 30.0
    assert cap.effect.hi == pytest.approx(2 / 1.8)
    assert (cap.effect.basis, cap.effect.grade) == ("measured", Grade.C)
    assert cap.changes[0].flag == "--max-num-queued-reqs"
    assert cap.changes[0].proposed == "10"
    assert "takes a restart" in cap.actions[0]
    assert any(line.startswith("one replica finishes 2/s (measured under a queue)") for line in more.because)


def test_advice_speaks_the_flags_of_the_server_at_hand(drive: Callable[..., Drive]) -> None:
    """llama.cpp is told of -np with its value now, never of vLLM's flags; an unknown server gets no flags at all."""
    llamacpp = [
        action for each in overloaded(drive(), "llamacpp").snapshot().recommendations for action in each.actions
    ]
    assert any("-np" in action and "now 8" in action for action in llamacpp)
    assert not any("--max-num" in action for action in llamacpp)
    unknown = [action for each in overloaded(drive(), "other").snapshot().recommendations for action in each.actions]
    assert unknown
    assert not any(action.startswith("-") for action in unknown)


def test_no_effect_is_guessed(drive: Callable[..., Drive]) -> None:
    """Without a count of finished requests no number is given, and the reason is."""
    for each in overloaded(drive(), "llamacpp", None).snapshot().recommendations:
        assert each.effect is None
        assert len(each.because) >= 2


def test_nothing_found_recommends_nothing(drive: Callable[..., Drive]) -> None:
    """A quiet server gets no advice."""
    driven = drive()
    driven.poll(0.0, server(0.0))
    assert driven.snapshot().recommendations == ()


def test_what_was_over_when_the_data_went_is_over(drive: Callable[..., Drive]) -> None:
    """A queue that was seen to be gone goes on resolving while the server is silent, and then is history."""
    driven = drive()
    for mono in range(22):
        waiting = 60.0 if mono < 20 else 0.0
        driven.poll(float(mono), server(float(mono), gauges={"requests_waiting": waiting, "requests_running": 8.0}))
    driven.poll(30.0)
    assert driven.states()["model_overloading"] == "resolving"
    driven.poll(36.0)
    risk = driven.risk("model_overloading")
    assert (risk.state.value, len(risk.episodes)) == ("unknown", 1)
    assert risk.episodes[0][1] is not None


def test_what_does_not_answer_is_listed_as_not_visible(drive: Callable[[], Drive]) -> None:
    """A server that is down and a driver that is missing are named, with the reason and what follows from it."""
    driven = drive()
    reason = "libnvidia-ml.so.1 was not found"
    driver = Sample("nvml", Source.DRIVER, 0.0, 0.0, state=State.DOWN, reason=reason)
    for mono in (0.0, 1.0, 2.0):
        down = Sample("http://a:1", Source.SERVER, mono, mono, state=State.DOWN, reason="refused")
        driven.poll(mono, down, replace(driver, mono=mono))
    seen = {each.what: each for each in driven.snapshot().not_visible}
    assert seen["http://a:1"].why == "refused"
    assert seen["GPUs"].why == reason
    assert "not watched" in seen["GPUs"].consequence


@pytest.mark.parametrize(("cached", "told"), [("True", False), ("False", True)])
def test_advice_that_was_followed_already_is_not_given(drive: Callable[[], Drive], cached: str, told: bool) -> None:
    """A server that runs with prefix caching is not told to switch it on; one that runs without it is."""
    driven = drive()
    facts = {"engine": "vllm", "enable_prefix_caching": cached}
    for mono in range(20):
        late = Histogram((1.0, 2.5, 10.0), (0.0, 0.0, 10.0 * mono, 0.0), 60.0 * mono)
        counted = {"output_tokens_total": 100.0 * mono, "requests_finished": 10.0 * mono}
        driven.poll(float(mono), server(float(mono), counters=counted, histograms={"ttft_seconds": late}, facts=facts))
    advice = next(each for each in driven.snapshot().recommendations if each.id == "shorten_prefill")
    assert any("--enable-prefix-caching" in action for action in advice.actions) == told
