"""The rules held against pages of real servers."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from metrics.finding import RiskState, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.insight.conftest import Drive, Poll

ENGINES = ["vllm", "llamacpp"]


Seen = list[tuple["Poll", dict[str, Severity]]]


@pytest.fixture(scope="module")
def runs(drive: Callable[[], Drive], captures: dict[str, list[Poll]]) -> dict[str, Seen]:
    return {engine: run(drive(), polls) for engine, polls in captures.items()}


def run(drive: Drive, polls: list[Poll]) -> Seen:
    """Feed all polls, and tell which risks fired, and how badly, after each."""
    seen = []
    for poll in polls:
        drive.poll(poll.sample.mono, poll.sample)
        firing = {risk.id: risk.severity for risk in drive.snapshot().risks if risk.state is RiskState.FIRING}
        seen.append((poll, firing))
    return seen


@pytest.mark.parametrize("engine", ENGINES)
def test_overload_is_found_within_15_s_of_the_queue(runs: dict[str, Seen], engine: str) -> None:
    """Model overloading fires at the latest 15 s after 5 requests wait in the overload phase."""
    seen = runs[engine]
    formed = next(
        poll.sample.mono
        for poll, _ in seen
        if poll.phase == "overload" and poll.sample.gauges.get("requests_waiting", 0) >= 5
    )
    fired = next(poll.sample.mono for poll, firing in seen if "model_overloading" in firing)
    assert formed <= fired <= formed + 15


def thinned(polls: list[Poll], interval: float, lost: float = 0.0) -> list[Poll]:
    """Leave the polls that one would have made every so many seconds, less some that went missing, by chance."""
    random, kept, last = Random(1), [], -interval
    for poll in polls:
        if poll.sample.mono - last < interval - 0.3:
            continue
        last = poll.sample.mono
        if random.random() >= lost:
            kept.append(poll)
    return kept


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("interval", "lost"), [(1.0, 0.1), (2.0, 0.0), (5.0, 0.0), (10.0, 0.0), (15.0, 0.0)])
def test_overload_is_found_at_any_pace(
    drive: Callable[[], Drive], captures: dict[str, list[Poll]], engine: str, interval: float, lost: float
) -> None:
    """At the first poll by which the queue has stood for 10 s, and not at the next for the jitter of a poll."""
    driven = drive()
    driven.interval = interval
    polls = thinned(captures[engine], interval, lost)
    seen = run(driven, polls)
    queued = [
        poll.sample.mono
        for poll, _ in seen
        if poll.phase == "overload" and poll.sample.gauges.get("requests_waiting", 0) >= 5
    ]
    fired = next(poll.sample.mono for poll, firing in seen if "model_overloading" in firing)
    assert fired <= queued[0] + max(15.0, interval + 0.5)
    ordinary = [firing for poll, firing in seen if poll.phase in {"idle", "warmup", "load", "ready"}]
    assert not any("model_overloading" in firing or "stuck_server" in firing for firing in ordinary)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_overload_that_is_there_when_one_comes_is_found_as_soon(
    drive: Callable[[], Drive], captures: dict[str, list[Poll]], engine: str
) -> None:
    """Whoever looks for the first time in the middle of it is told within 15 s, and of no restart nor drift."""
    polls = [poll for poll in captures[engine] if poll.phase == "overload"][12:]
    seen = run(drive(), polls)
    fired = next(poll.sample.mono for poll, firing in seen if "model_overloading" in firing)
    assert fired <= polls[0].sample.mono + 15.0
    assert not {"server_restart", "cold_start", "model_drift"} & {name for _, firing in seen for name in firing}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_clock_that_jumps_begins_and_ends_nothing(
    drive: Callable[[], Drive], captures: dict[str, list[Poll]], engine: str
) -> None:
    """Set forward by an hour and back by two: what fires, and when, is what it was."""

    def jumped(poll: Poll) -> Poll:
        shift = 3600.0 * (poll.sample.mono > 60) - 7200.0 * (poll.sample.mono > 105)
        return poll._replace(sample=replace(poll.sample, wall=poll.sample.wall + shift))

    polls = [poll for poll in captures[engine] if poll.sample.mono < 130]
    usual = [set(firing) for _, firing in run(drive(), polls)]
    assert [set(firing) for _, firing in run(drive(), [jumped(poll) for poll in polls])] == usual


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("phase", ["idle", "warmup", "load", "errors", "ready"])
def test_ordinary_phases_have_no_critical_finding(runs: dict[str, Seen], engine: str, phase: str) -> None:
    """Nothing critical fires, and no overload at all, while a server idles or serves an ordinary load."""
    for poll, firing in runs[engine]:
        if poll.phase == phase:
            assert Severity.CRITICAL not in firing.values()
            assert "model_overloading" not in firing


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_server_is_unreachable_within_5_s(runs: dict[str, Seen], engine: str) -> None:
    """Server unreachable fires, critical, at the latest 5 s after the first refused connection."""
    seen = runs[engine]
    refused = next(poll.sample.mono for poll, _ in seen if poll.phase == "killed" and poll.sample.reason)
    fired = next(
        poll.sample.mono
        for poll, firing in seen
        if poll.sample.mono >= refused and firing.get("server_unreachable") is Severity.CRITICAL
    )
    assert refused <= fired <= refused + 5


@pytest.mark.parametrize("engine", ENGINES)
def test_an_unreachable_server_masks_what_its_numbers_said(runs: dict[str, Seen], engine: str) -> None:
    """While the server is unreachable, nothing that its last numbers said fires."""
    for _, firing in runs[engine]:
        if "server_unreachable" in firing:
            assert set(firing) == {"server_unreachable"}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_restart_is_an_event_and_a_note(
    drive: Callable[[], Drive], captures: dict[str, list[Poll]], engine: str
) -> None:
    """After the restart its note fires with severity info, and the event is in the Snapshot."""
    driven = drive()
    seen = run(driven, captures[engine])
    assert seen[-1][1].get("server_restart") is Severity.INFO
    assert "restart" in {event.kind for event in driven.snapshot().events}


def test_latencies_before_a_restart_are_not_held_against_the_new_process(runs: dict[str, Seen]) -> None:
    """TTFT, missed until the kill, does not fire in the first seconds after the restart."""
    seen = runs["vllm"]
    killed = next(index for index, (poll, _) in enumerate(seen) if poll.phase == "killed")
    assert seen[killed - 1][1].get("ttft_slo") is Severity.CRITICAL
    back = next(index for index, (poll, _) in enumerate(seen) if index > killed and not poll.sample.reason)
    assert all("ttft_slo" not in firing for _, firing in seen[back : back + 4])


def test_a_stuck_engine_is_not_seen_in_ordinary_life(runs: dict[str, Seen]) -> None:
    """No standstill is found in either capture, though counters of the slow engines pause for up to 6 s."""
    for seen in runs.values():
        assert all("stuck_server" not in firing for _, firing in seen)


def test_a_frozen_vllm_engine_is_stuck(drive: Callable[[], Drive], captures: dict[str, list[Poll]]) -> None:
    """When the same busy page comes again and again, stuck server fires, and then the queue is no longer judged."""
    driven = drive()
    busy = [poll.sample for poll in captures["vllm"] if poll.phase == "overload"][:20]
    for sample in busy:
        driven.poll(sample.mono, sample)
    last = busy[-1]
    fired = None
    for second in range(1, 60):
        sample = replace(last, mono=last.mono + second, wall=last.wall + second)
        driven.poll(sample.mono, sample)
        if fired is None and driven.states()["stuck_server"] == "firing":
            fired = second
    assert fired is not None
    assert fired >= 10
    assert driven.snapshot().verdict.text.startswith("stuck server: no progress for")
    assert driven.states()["model_overloading"] == "unknown"


def test_the_verdict_names_the_queue_before_the_latency_it_causes(
    drive: Callable[[], Drive], captures: dict[str, list[Poll]]
) -> None:
    """While both fire, the sentence at the top speaks of overloading, with the queue and TTFT in it."""
    driven = drive()
    for poll in captures["vllm"]:
        driven.poll(poll.sample.mono, poll.sample)
        snapshot = driven.snapshot()
        firing = {risk.id for risk in snapshot.risks if risk.state is RiskState.FIRING}
        if {"model_overloading", "ttft_slo"} <= firing:
            assert snapshot.verdict.severity is Severity.CRITICAL
            assert snapshot.verdict.text.startswith("model overloading: ")
            assert " waiting for " in snapshot.verdict.text
            assert "TTFT p95 " in snapshot.verdict.text
            ids = [each.id for each in snapshot.recommendations]
            assert ids[:2] == ["admission_control", "scale_out"]
            assert "shorten_prefill" not in ids
            assert "ttft_slo" in snapshot.recommendations[0].risks
            return
    pytest.fail("never did both fire")
