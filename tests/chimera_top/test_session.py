from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from chimera_top.commands.replay import replayed
from chimera_top.config import Settings
from chimera_top.judge import judge
from chimera_top.lookback import begin, look_back
from chimera_top.recorder import Recorder
from chimera_top.session import Session
from collectors.clock import Clock
from collectors.replay import Recording
from collectors.server import ServerCollector
from insight.assess import Assessor
from insight.report import render
from metrics.finding import RiskState
from metrics.recording import HEADER
from metrics.sample import Sample, Source, State
from simulator.http import serve_in_thread
from simulator.scenario import load
from tests.captures import load as capture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from metrics.snapshot import Snapshot
    from metrics.view import View


def recorded(path: Path, samples: Sequence[Sample]) -> Path:
    recorder = Recorder(path)
    for sample in samples:
        recorder.write(sample)
    recorder.close()
    return path


def test_what_is_watched_is_published_recorded_and_ends_on_time(tmp_path: Path) -> None:
    """A session on a real server publishes Snapshots, records every Sample, and ends by itself after its window."""
    clock = Clock()
    server = serve_in_thread(load("healthy"), seed=1, clock=clock)
    published: list[Snapshot] = []
    session = Session(
        [ServerCollector(server.url, clock=clock), server.gpus],
        judge(Settings(), "live", window=60.0),  # all of it, however late a busy machine polls
        interval=0.1,
        clock=clock,
        publish=published.append,
        recorder=Recorder(tmp_path / "run.rec"),
        ends_after=1.0,
    )
    try:
        session.start()
        assert session.ended.wait(30)
    finally:
        session.stop()
        server.close()
    final = session.snapshot()
    assert final.simulated
    assert final.targets[0].engine == "vllm"
    assert len(final.gpus) == 8
    assert published[-1].targets[0].id == final.targets[0].id
    read = list(Recording(tmp_path / "run.rec"))
    assert {sample.source for sample in read} == set(session.store.sources)
    tokens = final.targets[0].quantities["output_tokens_total"]
    ends = [s.counters["output_tokens_total"] for s in read if s.source == server.url]
    assert tokens.increase == ends[-1] - ends[0]


def test_looking_back_says_what_was_said_live(tmp_path: Path) -> None:
    """A report on a recording gives the numbers that stood on the screen when it was made."""
    samples = capture("vllm").phase("overload").samples
    path = recorded(tmp_path / "x.rec", samples)
    snapshot = look_back(Settings(), str(path))
    again = look_back(Settings(), str(path))
    assert render(snapshot, "json") == render(again, "json")
    assert snapshot.window_seconds == samples[-1].mono - samples[0].mono
    overload = next(risk for risk in snapshot.risks if risk.id == "model_overloading")
    assert len(overload.episodes) == 1


class Replayed:
    """A replay with a clock of its own, tick by tick."""

    def __init__(self, path: Path, speed: float) -> None:
        self.now = 5000.0
        self.published: list[Snapshot] = []
        recording = Recording(path)
        samples, first = begin(recording)
        clock = Clock(wall=lambda: 1e9, mono=lambda: self.now)
        self._session = replayed(Settings(), recording, samples, first, clock, speed, self.published.append)

    def tick(self) -> Snapshot:
        # What the poller says of itself is no part of what was recorded, whatever its clock shows.
        self._session._take([Sample("monitor", Source.MONITOR, 1e9, self.now)])
        self._session._tick(self.now, 1e9)
        self.now += 1.0
        return self.published[-1]

    def play(self) -> Snapshot:
        for _ in range(1000):
            if self.tick().monitor["replay_ended"]:
                return self.published[-1]
        raise AssertionError("it never ends")


def healthy(interval: float, polls: int) -> list[Sample]:
    sample = capture("vllm").phase("load").samples[0]
    times = [interval * poll for poll in range(polls)]
    return [replace(sample, mono=1000.0 + each, wall=1.7e9 + each, duration=0.01) for each in times]


def told(snapshot: Snapshot) -> list[tuple[str, str, tuple[tuple[str, str | None], ...]]]:
    """Say what was found, and when; not what was looked for in vain."""
    idle = {RiskState.NOT_OBSERVED, RiskState.UNKNOWN}
    found = [risk for risk in snapshot.risks if risk.episodes or risk.state not in idle]
    return [(risk.id, risk.state.value, risk.episodes) for risk in found]


@pytest.mark.parametrize("speed", [1.0, 10.0, 1000.0])
def test_a_replay_concludes_the_same_at_every_speed(tmp_path: Path, speed: float) -> None:
    """The rules follow recorded time: what fired, and from when to when, does not depend on how fast it goes by."""
    path = recorded(tmp_path / "x.rec", capture("vllm").phase("overload").samples)
    final = Replayed(path, speed).play()
    assert told(final) == told(look_back(Settings(), str(path)))
    assert next(risk.episodes for risk in final.risks if risk.id == "model_overloading")


def test_a_fast_replay_invents_no_silence(tmp_path: Path) -> None:
    """At a thousandfold speed, a server that answered every second was never away."""
    replay = Replayed(recorded(tmp_path / "x.rec", healthy(1.0, 3000)), 1000.0)
    replay.play()
    assert len(replay.published) == 4
    assert {snapshot.targets[0].state for snapshot in replay.published} == {State.OK}
    assert told(replay.published[-1]) == []


def test_a_replay_that_has_ended_stands_still_and_says_so(tmp_path: Path) -> None:
    """Nothing is concluded from the silence after the last Sample, and the Snapshot tells that it was the last."""
    replay = Replayed(recorded(tmp_path / "x.rec", healthy(1.0, 6)), 1.0)
    places = [replay.tick().monitor for _ in range(120)]
    assert [place["replay_ended"] for place in places] == [0.0] * 5 + [1.0] * 115
    assert [place["replay_position"] for place in places[:7]] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0]
    assert {place["replay_seconds"] for place in places} == {5.0}
    final = replay.published[-1]
    assert (final.mode, final.targets[0].state, told(final)) == ("replay", State.OK, [])
    assert final.generated_at == replay.published[5].generated_at
    assert set(final.monitor) == {"replay_ended", "replay_position", "replay_seconds"}


def test_a_recording_is_judged_with_the_interval_it_was_made_with(tmp_path: Path) -> None:
    """Ten seconds between two polls are no silence where it was polled every ten seconds."""
    path = recorded(tmp_path / "x.rec", healthy(10.0, 60))
    replay = Replayed(path, 1000.0)
    final = replay.play()
    assert {snapshot.targets[0].state for snapshot in replay.published} == {State.OK}
    for snapshot in (final, look_back(Settings(), str(path))):
        track = snapshot.targets[0].tracks["requests_running"]
        assert track.step >= 10.0
        assert None not in track.values[-20:]
        assert told(snapshot) == []


def test_damage_is_one_line_in_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However many places cannot be read, stderr says it once, and the report speaks of the rest."""
    path = recorded(tmp_path / "x.rec", healthy(1.0, 20))
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(3 * (HEADER + b"junkjunkjunk"))
    recorded(path, [replace(each, histograms={}) for each in healthy(1.0, 40)[20:]])
    assert look_back(Settings(), str(path)).window_seconds == 39.0
    line = f"3 places could not be read, the first at byte {size + len(HEADER)}: a record claims an impossible length"
    assert capsys.readouterr().err == f"chimera-top: {path}: {line}\n"


class Broken(Assessor):
    """One of whose rules raises."""

    def observe(self, view: View) -> None:
        raise ZeroDivisionError(f"a rule\nat {len(view.ids(Source.SERVER))} servers")


@pytest.mark.parametrize("publish", [None, lambda _: None])
def test_a_rule_that_raises_ends_no_watch_and_is_told(publish: Callable[[Snapshot], None] | None) -> None:
    """`--for 1s` ends on time all the same, polls go on, and one line says what happened."""
    clock = Clock()
    session = Session([], Broken(), interval=0.05, clock=clock, publish=publish, ends_after=0.2)
    session.start()
    try:
        assert session.ended.wait(30)
    finally:
        session.stop()
    line = "internal error: ZeroDivisionError: a rule at 0 servers; --log-file FILE keeps where it came from"
    assert session.trouble == line
    monitor = session.store.sources["monitor"]
    assert monitor.taken > 1
    assert monitor.newest.reason == "internal error: ZeroDivisionError: a rule at 0 servers"


def test_one_rule_that_raised_once_holds_nothing_up() -> None:
    """The next tick publishes again, and the trouble is still told at the end."""
    published: list[Snapshot] = []
    assessor = judge(Settings(), "live")
    session = Session([], assessor, interval=1.0, clock=Clock(), publish=published.append)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assessor, "observe", Broken().observe)
        with pytest.raises(ZeroDivisionError):
            session._tick(0.0, 0.0)
    session._tick(1.0, 0.0)
    assert len(published) == 1
    assert session.trouble is not None


def test_the_window_may_be_changed_from_another_thread() -> None:
    """`+` and `-` change the window of the Snapshots that follow."""
    samples = capture("vllm").phase("overload").samples
    now = [samples[-1].mono]
    clock = Clock(wall=lambda: now[0], mono=lambda: now[0])
    published: list[Snapshot] = []
    session = Session([], judge(Settings(), "live"), interval=1.0, clock=clock, publish=published.append)
    session._take(samples)
    session._tick(0.0, 0.0)
    worker = threading.Thread(target=session.set_window, args=(10.0,))
    worker.start()
    worker.join()
    session._tick(1.0, 0.0)
    windows = [snapshot.targets[0].window_seconds for snapshot in published]
    assert windows[0] is not None
    assert windows[1] is not None
    assert windows[1] < 12 < windows[0]
