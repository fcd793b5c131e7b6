"""The rules held against simulated servers, of which it is known what is wrong.

Some of them with one seed here; all of them with twenty: `python -m tests.evaluation --part rules`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from metrics.finding import Risk, RiskState, Severity
from simulator.scenario import load
from tests.evaluation.labels import Run, judge, scores
from tests.evaluation.live import Live

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.snapshot import Snapshot

QUICK = {
    *("healthy", "overload", "cache_pressure", "refusals", "stuck", "restart", "errors", "bad_requests"),
    *("slow_ingress", "uneven_replicas", "thermal_throttle", "straggler", "neighbour", "ecc", "gpu_lost"),
    *("driver_hang", "slow_host"),
}
"""One of each kind; all of them take a minute."""
AFTER = 60.0
"""Seconds after the last cause for which they are watched here."""


def live(name: str, seconds: float = 76.0) -> Iterator[Snapshot]:
    """Poll a scenario once a second of simulated time; yields what is concluded every fifth second."""
    watched = Live(load(name), 1)
    for moment in watched.watch(seconds):
        if moment % 5 == 0:
            yield watched.assessor.snapshot(watched.view)


def firing(snapshot: Snapshot) -> list[Risk]:
    return [risk for risk in snapshot.risks if risk.state is RiskState.FIRING]


@pytest.mark.parametrize("name", sorted(QUICK))
def test_what_is_wrong_is_found_and_nothing_else(name: str) -> None:
    """Every risk of the scenario fires in time, none before it is there, and nothing that is not true."""
    scenario = load(name)
    truth = scenario.truth
    last = max((each.since for each in truth.risks), default=0.0)
    run = judge(replace(scenario, truth=replace(truth, watch_seconds=min(truth.watch_seconds, last + AFTER))), seed=1)
    assert run.missed == ()
    assert run.wrong == ()
    assert [each for each in scores([run]) if not each.holds] == []


def test_a_limit_of_slots_is_found_though_some_polls_see_one_free() -> None:
    """From another host nobody tells the limit: the batch stands at 32 in the mean, and at 31 in some polls."""
    assert judge(load("slot_cap"), seed=3).missed == ()


@pytest.mark.parametrize("name", ["overload", "cache_pressure", "stuck", "restart", "thermal_throttle", "gpu_lost"])
def test_what_would_help_is_recommended(name: str) -> None:
    """The advice that the scenario names is given while its risks are there."""
    advised = {each.id for snapshot in live(name) for each in snapshot.recommendations}
    assert set(load(name).truth.advice) - advised == set()


def test_a_run_is_held_against_its_truth() -> None:
    """What fires too early, or is not true, is wrong; what does not fire is missed; a consequence is neither."""
    scenario = load("overload")
    early = tuple(replace(each, since=70.0) for each in scenario.truth.risks[:1])
    other = replace(early[0], id="xid", since=20.0)
    consequence = scenario.truth.risks[1:]
    run = judge(replace(scenario, truth=replace(scenario.truth, risks=(*early, other), also=consequence)), seed=1)
    assert [each.risk for each in run.wrong] == ["model_overloading"]
    assert run.missed == ("xid",)
    assert run.also == ("ttft_slo",)
    assert [each.risk for each in run.found] == ["model_overloading"]
    found = {each.risk: each for each in scores([run, Run("b", 2, (), (), ("ttft_slo",), ())])}
    assert (found["xid"].recall, found["xid"].precision) == (0.0, None)
    assert (found["model_overloading"].recall, found["model_overloading"].precision) == (1.0, 0.5)
    assert not found["model_overloading"].holds


def test_a_full_cache_stays_the_verdict_when_the_queue_it_makes_is_critical() -> None:
    """Minutes later the queue and TTFT fire as well, but the sentence and the advice speak of the cache."""
    seen = [snapshot for snapshot in live("cache_pressure", 150) if len(firing(snapshot)) >= 4]
    assert seen
    for snapshot in seen:
        assert {"cache_saturation", "model_overloading"} <= {risk.id for risk in firing(snapshot)}
        assert snapshot.verdict.text.startswith("cache saturation")
        assert snapshot.recommendations[0].id == "kv_cache_capacity"
        actions = [action for each in snapshot.recommendations for action in each.actions]
        assert not any("--max-num-seqs higher" in action for action in actions)


@pytest.mark.parametrize(
    ("name", "reason", "effects"),
    [
        ("hot_and_full", "thermal throttle", {"model_overloading", "ttft_slo"}),
        ("unshared_and_full", "prefix cache collapse", {"model_overloading", "cache_saturation"}),
    ],
)
def test_the_verdict_names_what_changed_and_not_what_it_filled(name: str, reason: str, effects: set[str]) -> None:
    """A queue that no load has brought: the sentence names the heat, or the prompts, as soon as the queue fires."""
    seen = [snapshot for snapshot in live(name, 250) if effects <= {risk.id for risk in firing(snapshot)}]
    assert seen
    assert all(snapshot.verdict.text.startswith(reason) for snapshot in seen)


def test_an_overload_says_how_much_comes_and_how_much_is_done() -> None:
    """Arrivals are what was finished and what the queue grew by: about 31/s against 18/s in this scenario."""
    *_, last = live("overload")
    evidence = {each.quantity: each.value for each in firing(last)[0].evidence}
    assert evidence["requests_arrived"] == pytest.approx(31.0, rel=0.15)
    assert evidence["requests_finished"] == pytest.approx(18.5, rel=0.15)


def test_a_server_that_serves_nobody_has_no_score() -> None:
    """While the engine stands still, what it did minutes ago is no 100 %."""
    *_, last = live("stuck")
    for score in (last.scorecard.throughput, last.scorecard.ttft):
        assert score.score is None
        assert score.text.startswith("stuck server: no progress for")


def test_a_restart_tells_how_long_nobody_was_answered() -> None:
    """The outage before a restart is not forgotten: neither in the note nor in the verdict."""
    *_, last = live("restart", 71)
    restart = next(risk for risk in last.risks if risk.id == "server_restart")
    assert restart.summary.endswith("without an answer")
    assert restart.evidence[0].value == pytest.approx(15.0, abs=3.0)
    assert last.verdict.severity is Severity.INFO
    assert "no other risk now; server unreachable ended" in last.verdict.text
