from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from chimera_top.config import Settings
from chimera_top.judge import judge
from chimera_top.lookback import look_back
from chimera_top.recorder import Recorder
from chimera_top.session import Session
from collectors.clock import Clock
from collectors.replay import Recording, ReplayCollector, replay_clock
from collectors.server import ServerCollector
from insight.report import render
from metrics.sample import Sample, State
from simulator.http import serve_in_thread
from simulator.scenario import load
from tests.captures import load as capture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from metrics.snapshot import Snapshot


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
        judge(Settings(), "live", window=1.0),
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


def test_a_replay_gives_samples_when_their_time_has_come(tmp_path: Path) -> None:
    """At ten times the speed, ten seconds of a recording come in one."""
    samples = capture("vllm").phase("load").samples
    recording = iter(Recording(recorded(tmp_path / "x.rec", samples)))
    now = [50.0]
    clock = Clock(wall=lambda: 1e9, mono=lambda: now[0])
    first = next(recording)
    replayed = ReplayCollector(first, recording, replay_clock(clock, first, 10.0))
    assert [s.mono for s in due(replayed)] == [samples[0].mono]
    now[0] += 1.0
    assert len(due(replayed)) == 10
    now[0] += 1000.0
    assert len(due(replayed)) == len(samples) - 11


def due(collector: ReplayCollector) -> Sequence[Sample]:
    import asyncio  # noqa: PLC0415 used here alone

    return asyncio.run(collector.collect())


def test_two_runs_in_one_recording_follow_on(tmp_path: Path) -> None:
    """A recording that was added to after a reboot goes on where the first run ended, by the clock on the wall."""
    load_phase = capture("vllm").phase("load").samples
    later = [
        Sample(s.source, s.kind, s.wall, s.mono - 1e9, s.duration, s.state, counters=s.counters)
        for s in capture("vllm").phase("overload").samples
    ]
    path = recorded(tmp_path / "x.rec", load_phase)
    recorded(path, later)
    read = list(Recording(path))
    assert len(read) == len(load_phase) + len(later)
    monos = [sample.mono for sample in read]
    assert monos == sorted(monos)
    gap = read[len(load_phase)].mono - read[len(load_phase) - 1].mono
    assert gap == later[0].wall - load_phase[-1].wall


def test_hostile_text_in_a_recording_is_made_harmless(tmp_path: Path) -> None:
    """A recording from somebody else may hold anything; no escape sequence passes the door."""
    evil = "\x1b]0;owned\x07\x1b[2Jmodel\u202e"
    sample = capture("vllm").samples[0]
    path = recorded(
        tmp_path / "x.rec",
        [Sample(evil, sample.kind, 1.0, 1.0, state=State.DOWN, reason=evil, facts={"model": evil}, gauges={evil: 1.0})],
    )
    read = next(iter(Recording(path)))
    for text in (read.source, read.reason, *read.facts.values()):
        assert text.isprintable()
    assert read.gauges == {}


def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a Sample cannot be written, it is said once and what was written stays readable."""
    recorder = Recorder(tmp_path / "x.rec")
    samples = capture("vllm").phase("load").samples
    recorder.write(samples[0])
    recorder._file.close()
    full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115, PTH123 a disk without room, as Linux offers it
    monkeypatch.setattr(recorder, "_file", full)
    recorder.write(samples[1])
    recorder.write(samples[2])
    recorder.close()
    assert recorder.trouble is not None
    assert "No space left on device; what was written before stays" in recorder.trouble
    assert list(Recording(tmp_path / "x.rec")) == [samples[0]]


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
