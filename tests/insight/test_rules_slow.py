"""The rules that look over long times or all requests: budgets, goodput, answers, prices, transfers of KV cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from insight.objectives import parse_objectives
from insight.rules.cost import ANOMALY, LONGEST
from insight.settings import Settings
from metrics.finding import Severity
from metrics.histogram import Histogram
from metrics.quality import Graded, Outcome
from metrics.sample import Event, Process, Sample, Source
from metrics.series import series
from metrics.store import TIERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.insight.conftest import Drive

WALL = 1_800_000_000.0
URL = "http://a"
PAGE = Settings(timing="page", objectives=parse_objectives("ttft_p99=1s,itl_p95=100ms"))
STEP = 10.0


def server(mono: float, **seen: Any) -> Sample:
    return Sample(URL, Source.SERVER, WALL + mono, mono, **seen)


def times(good: float, bad: float, quantity: str = "ttft_seconds") -> dict[str, Histogram]:
    """So many requests that took less than a second, and so many that took more."""
    return {quantity: Histogram((1.0, 10.0), (good, bad, 0.0), good + bad)}


def paged(driven: Drive, seconds: float, bad_from: float, share: float, begin: float = 0.0) -> Iterator[float]:
    """Poll each 10 s; one request a second, of which this share is late from a moment on."""
    driven.interval = STEP
    mono = begin
    while mono <= begin + seconds:
        bad = share * max(0.0, mono - bad_from)
        driven.poll(mono, server(mono, histograms=times(mono - bad, bad)))
        yield mono
        mono += STEP


# --- budgets


def test_a_budget_that_burns_fast_pages_within_the_hour(drive: Callable[[Settings], Drive]) -> None:
    """A third late against 99 %: burn 33. Six hours see 1 after 11 min, a warning; the hour 14.4 after 26, critical."""
    driven, well = drive(PAGE), 21_600.0
    moments = (now for now in paged(driven, well + 3600, well, 1 / 3) if now > well and not now % 30)
    fired: dict[Severity, float] = {}
    for now in moments:
        if (risk := driven.risk("ttft_slo")).state.value == "firing":
            fired.setdefault(risk.severity, now - well)
        if Severity.CRITICAL in fired:
            break
    assert fired[Severity.WARNING] == pytest.approx(21_600 / 33.3, abs=120)
    assert fired[Severity.CRITICAL] == pytest.approx(14.4 / 33.3 * 3600, abs=120)
    risk = driven.risk("ttft_slo")
    assert "burn 14 over 1 h, 33 over 5 min" in risk.summary
    assert "of the budget of 30 d; if it goes on, and none was spent before, the rest lasts" in risk.description


def test_a_page_ends_soon_after_the_trouble(drive: Callable[[Settings], Drive]) -> None:
    """Half an hour after it, the short windows of both pairs have left it behind, though the long ones have not."""
    driven = drive(PAGE)
    for mono in range(0, 6000, int(STEP)):
        bad = 0.5 * min(max(0.0, mono - 1800.0), 1800.0)
        driven.poll(float(mono), server(float(mono), histograms=times(mono - bad, bad)))
    assert len(driven.risk("ttft_slo").episodes) == 1
    assert driven.states()["ttft_slo"] == "not_observed"


def test_a_young_session_says_that_its_window_is_cut(drive: Callable[[Settings], Drive]) -> None:
    """Ten minutes of all late: paged, over ten minutes that stand for an hour. Two minutes tell nothing yet."""
    driven = drive(PAGE)
    for mono in paged(driven, 600, 0, 1.0):
        if mono == 120:
            assert driven.states()["ttft_slo"] == "unknown"
    assert driven.states()["ttft_slo"] == "firing"
    assert "(window truncated from 1 h)" in driven.risk("ttft_slo").summary


def test_a_low_objective_never_pages_by_a_burn_it_cannot_reach(drive: Callable[[Settings], Drive]) -> None:
    """All late against a p90 is a burn of 10: not the pair of 14.4, but that of 6, once half an hour was seen."""
    driven = drive(Settings(timing="page", objectives=parse_objectives("ttft_p90=1s")))
    fired = next(now for now in paged(driven, 3600, 0, 1.0) if driven.states()["ttft_slo"] == "firing")
    assert fired == pytest.approx(1800, abs=120)


# --- goodput


def kept(driven: Drive, ttft_bad: float, e2e_bad: float) -> None:
    for mono in range(61):
        n = float(mono)
        seen = times(n * (1 - ttft_bad), n * ttft_bad) | times(n * (1 - e2e_bad), n * e2e_bad, "e2e_seconds")
        driven.poll(float(mono), server(float(mono), histograms=seen))


def test_goodput_lies_between_frechets_bounds(drive: Callable[[Settings], Drive]) -> None:
    """20 % and 30 % late: 50 % to 70 % kept both, less than the 90 % that two p95 promise; an info, not an alarm."""
    driven = drive(Settings(objectives=parse_objectives("ttft_p95=1s,e2e_p95=1s")))
    kept(driven, 0.2, 0.3)
    risk = driven.risk("goodput_slo")
    assert (risk.state.value, risk.severity) == ("firing", Severity.INFO)
    assert risk.summary == "50 % to 70 % of the requests kept all 2 objectives"


def test_goodput_that_may_be_kept_is_no_finding(drive: Callable[[Settings], Drive]) -> None:
    """7 % late each: 86 % to 93 %, and 90 % were promised. With one objective of a request it is not asked."""
    driven = drive(Settings(objectives=parse_objectives("ttft_p95=1s,e2e_p95=1s")))
    kept(driven, 0.07, 0.07)
    assert driven.states()["goodput_slo"] == "not_observed"
    plain = drive(Settings())
    kept(plain, 0.5, 0.5)
    assert "goodput_slo" not in plain.states()


# --- answers


def answers(number: int, refused: int) -> tuple[Graded, ...]:
    """Sixty questions, of which the first so many are refused."""
    return tuple(
        Graded(
            f"q{index}",
            "f",
            Outcome.WRONG if index < refused else Outcome.RIGHT,
            WALL + 100 * number + index,
            why="it refuses to answer" if index < refused else "",
            round=number,
        )
        for index in range(60)
    )


@pytest.mark.parametrize(
    ("refusals", "state"),
    [((0, 12, 12), "firing"), ((0, 12), "unknown"), ((0, 12, 1), ""), ((12, 12, 12), "")],
)
def test_refusals_that_appear_are_told(drive: Callable[[], Drive], refusals: tuple[int, ...], state: str) -> None:
    """Twelve of sixty that were answered before, twice running; those refused from the first are no change."""
    driven = drive()
    for number, refused in enumerate(refusals):
        mono = 100.0 * (number + 1)
        facts = {"passes": str(number + 1)}
        graded = answers(number, refused)
        quality = Sample(f"quality:{URL}", Source.QUALITY, WALL + mono, mono, graded=graded, facts=facts)
        driven.poll(mono, server(mono), quality)
    assert driven.states()["answer_drift"] == (state or "not_observed")
    if state == "firing":
        assert driven.risk("answer_drift").summary == "12 of 60 answers refuse to answer that did not before"
        assert "20 % of requests" in driven.risk("answer_drift").impact


@pytest.mark.parametrize(
    ("tokens", "state"),
    [
        ((100, 150, 150), "firing"),
        ((100, 60, 60), "firing"),
        ((100, 150, 60), "not_observed"),  # once longer and once shorter is no other kind
        ((100, 150, 100), "not_observed"),
        ((100, 104, 104), "not_observed"),
        ((0, 150, 150), "not_observed"),  # nobody told how long they were
    ],
)
def test_answers_of_another_length_are_told(drive: Callable[[], Drive], tokens: tuple[int, ...], state: str) -> None:
    """Half as long again, or 60 %, twice running: MLPerf holds a model to 90 to 110 % of the length of before."""
    driven = drive()
    for number, length in enumerate(tokens):
        mono = 100.0 * (number + 1)
        graded = tuple(replace(each, output_tokens=length) for each in answers(number, 0))
        facts = {"passes": str(number + 1)}
        quality = Sample(f"quality:{URL}", Source.QUALITY, WALL + mono, mono, graded=graded, facts=facts)
        driven.poll(mono, server(mono), quality)
    risk = driven.risk("answer_drift")
    assert risk.state.value == state
    if state == "firing":
        assert f"answers {tokens[-1] / tokens[0]:g} times" in risk.summary
        assert risk.evidence[0].threshold == (1.1 if tokens[-1] > tokens[0] else 0.9)


def test_refusals_are_no_usual_answers_after_a_restart(drive: Callable[[], Drive]) -> None:
    """A restart between passes of refusals does not make them what the next are compared with."""
    driven = drive()
    for number, refused in enumerate((0, 12, 12, 12, 12)):
        mono = 100.0 * (number + 1)
        events = (Event(WALL + 295, "restart", "restarted"),) if number == 3 else ()
        quality = Sample(
            f"quality:{URL}",
            Source.QUALITY,
            WALL + mono,
            mono,
            graded=answers(number, refused),
            facts={"passes": str(number + 1)},
        )
        driven.poll(mono, server(mono, events=events), quality)
    assert driven.risk("answer_drift").summary == "12 of 60 answers refuse to answer that did not before"
    assert len(driven.risk("answer_drift").episodes) == 1


def test_answers_ended_for_going_round_in_circles_are_told(drive: Callable[[], Drive]) -> None:
    """vLLM's finish reason `repetition`: a tenth where there was none; where none is counted it is not asked."""
    stop, loop = (series("requests_finished", reason=each) for each in ("stop", "repetition"))
    driven, plain = drive(), drive()
    for mono in range(300):
        bad = max(0.0, mono - 240.0)
        driven.poll(float(mono), server(float(mono), counters={stop: 10.0 * mono - bad, loop: bad}))
        plain.poll(float(mono), server(float(mono), counters={stop: 10.0 * mono}))
        if mono == 230:
            assert driven.states()["answer_drift"] == "not_observed"
    assert driven.states()["answer_drift"] == "firing"
    assert "answer_drift" not in plain.states()


# --- prices


def test_tokens_that_became_dearer_are_told(drive: Callable[[Settings], Drive]) -> None:
    """Half of the tokens from the same GPU for an hour, after five: twice the price, half of the cost is waste."""
    driven = drive(Settings(price_per_hour=3.6))
    driven.interval = 30.0
    for tick in range(721):
        mono = tick * 30.0
        tokens = 100.0 * min(mono, 18_000.0) + 50.0 * max(0.0, mono - 18_000.0)
        driven.poll(mono, server(mono, counters={"output_tokens_total": tokens}))
        if mono == 18_000:
            assert driven.states()["cost_anomaly"] == "not_observed"
    risk = driven.risk("cost_anomaly")
    assert (risk.state.value, risk.severity) == ("firing", Severity.INFO)
    assert risk.summary.startswith("20 for a million tokens, usually 10")
    assert risk.impact == "medium: 50 % of the cost, no service"


@pytest.mark.parametrize(
    ("users", "said"),
    [
        ((), "at 3.6 an hour (one GPU taken, none is seen): the same GPUs"),
        (((1,), (1,)), "at 7.2 an hour: the same GPUs"),
        (((1,), (1, 2)), "at 7.2 an hour (of 2 GPUs, shared): the same GPUs"),
    ],
)
def test_what_is_paid_is_said(
    drive: Callable[[Settings], Drive], users: tuple[tuple[int, ...], ...], said: str
) -> None:
    """All GPUs that the server works on, whole where another one works there, too; and that one is taken for none."""
    driven = drive(Settings(price_per_hour=3.6))
    driven.interval = 30.0
    for tick in range(721):
        mono = tick * 30.0
        tokens = 100.0 * min(mono, 18_000.0) + 50.0 * max(0.0, mono - 18_000.0)
        gpus = [
            Sample(
                f"gpu:{index}", Source.GPU, WALL + mono, mono, processes=tuple(Process(pid, "python3") for pid in pids)
            )
            for index, pids in enumerate(users)
        ]
        other = replace(server(mono, processes=(Process(2, "python3"),)), source="http://b")
        mine = server(mono, counters={"output_tokens_total": tokens}, processes=(Process(1, "python3"),))
        driven.poll(mono, mine, other, *gpus)
    found = [risk for risk in driven.snapshot().risks if risk.id == "cost_anomaly"]
    assert any(said in risk.description for risk in found)


def test_the_usual_price_is_of_what_the_store_holds(drive: Callable[[Settings], Drive]) -> None:
    """The row says 48 h, not a week; and 96 windows are looked at every ten minutes, not at each tick."""
    assert TIERS[-1].step * TIERS[-1].rows == LONGEST == 48 * 3600
    assert "48 h" in ANOMALY.source
    driven = drive(Settings(price_per_hour=3.6))
    said = set()
    for tick in range(19):
        driven.poll(tick * 30.0, server(tick * 30.0, counters={"output_tokens_total": 3000.0 * tick}))
        said.add(driven.risk("cost_anomaly").summary)
    assert len(said) == 1
    driven.poll(1800.0, server(1800.0, counters={"output_tokens_total": 180_000.0}))
    assert driven.risk("cost_anomaly").summary not in said


def test_without_a_price_nothing_is_dear(drive: Callable[[], Drive]) -> None:
    """It says what it needs."""
    driven = drive()
    driven.poll(0.0, server(0.0))
    assert driven.risk("cost_anomaly").summary == "needs a price: what an hour of one GPU costs"


# --- transfers


@pytest.mark.parametrize(("failed", "state"), [(1.0, "firing"), (0.01, "not_observed"), (0.0, "not_observed")])
def test_kv_transfers_that_fail_are_told(drive: Callable[[], Drive], failed: float, state: str) -> None:
    """One in eleven is, one in a thousand is not; where the server counts none it is not asked."""
    driven, plain = drive(), drive()
    for mono in range(60):
        counters = {"kv_transfers": 10.0 * mono, "kv_transfers_failed": float(int(failed * mono))}
        driven.poll(float(mono), server(float(mono), counters=counters))
        plain.poll(float(mono), server(float(mono)))
    assert driven.states()["kv_transfer_failure"] == state
    assert "kv_transfer_failure" not in plain.states()


# --- the host


def test_gpus_that_wait_for_a_short_cpu_are_told_with_it(drive: Callable[[], Drive]) -> None:
    """A GPU without a kernel in 40 % of the time while requests run bounds what the host costs: 1.7 times."""
    driven = drive()
    for mono in range(40):
        engine = (Process(7, "VLLM::EngineCore"),)
        gauges = {"utilisation": 0.6}
        facts = {"index": "0"}
        gpu = Sample("gpu:0", Source.GPU, WALL, float(mono), gauges=gauges, processes=engine, facts=facts)
        host = Sample("host", Source.HOST, WALL, float(mono), gauges={"pressure_cpu": 0.5, "cpu_usage": 1.0})
        driven.poll(float(mono), server(float(mono), gauges={"requests_running": 4.0}, processes=engine), gpu, host)
    risk = driven.risk("host_cpu_starvation")
    assert risk.evidence[-1].quantity == "utilisation"
    assert "ran no kernel in 40 % of the time in which requests ran" in risk.description
    assert "at most 1.7 times as fast" in risk.description
