"""Marks: set with a key, a flag or a signal, they go down the road of everything that is seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from chimera_top.cli import run
from chimera_top.commands.replay import replayed
from chimera_top.config import Settings
from chimera_top.judge import judge
from chimera_top.lookback import begin
from chimera_top.recorder import Recorder
from chimera_top.session import Session
from chimera_top.watch import marking
from collectors.clock import Clock
from collectors.replay import Recording
from insight.report import render
from simulator.http import serve_in_thread
from simulator.scenario import load
from tests.terminal import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from metrics.sample import Event
    from metrics.snapshot import Snapshot


def marks_in(path: Path) -> list[Event]:
    return [event for sample in Recording(path) for event in sample.events if event.kind == "mark"]


class Watched:
    """What a session published, and waiting until something of it holds."""

    def __init__(self) -> None:
        self.newest: Snapshot | None = None
        self._changed = threading.Condition()

    def take(self, snapshot: Snapshot) -> None:
        with self._changed:
            self.newest = snapshot
            self._changed.notify_all()

    def until(self, holds: Callable[[Snapshot], bool]) -> Snapshot:
        with self._changed:
            assert self._changed.wait_for(lambda: self.newest is not None and holds(self.newest), 20)
        assert self.newest is not None
        return self.newest


def marks_of(snapshot: Snapshot) -> list[str]:
    return [event.text for event in snapshot.events if event.kind == "mark"]


def test_a_mark_is_shown_recorded_and_reported(tmp_path: Path) -> None:
    """Marks have numbers unless they have a text, and stand in the Snapshot, the recording and the report."""
    path, watched = tmp_path / "a.rec", Watched()
    session = Session(
        [],
        judge(Settings(), "live"),
        interval=0.1,
        clock=Clock(),
        publish=watched.take,
        recorder=Recorder(path),
    )
    session.start()
    watched.until(lambda _: True)
    assert session.mark() == "mark 1"
    assert session.mark("fp8 on") == "fp8 on"
    shown = watched.until(lambda each: len(marks_of(each)) == 2)
    assert session.mark() == "mark 3"
    session.stop()
    assert marks_of(shown) == ["mark 1", "fp8 on"]
    assert [each.text for each in marks_in(path)] == ["mark 1", "fp8 on", "mark 3"]
    assert "fp8 on" in render(shown, "md").decode()


def test_a_mark_in_a_replay_is_shown_and_not_written(tmp_path: Path) -> None:
    """It stands at the moment of the recording that was on the screen."""
    path, watched = tmp_path / "copy.rec", Watched()
    path.write_bytes((ROOT / "screenshots" / "overload.rec").read_bytes())
    before = path.read_bytes()
    recording = Recording(path)
    samples, first = begin(recording)
    session = replayed(Settings(), recording, samples, first, Clock(), 1000.0, watched.take)
    session.start()
    watched.until(lambda each: each.monitor.get("replay_ended") == 1.0)
    session.mark()
    shown = watched.until(lambda each: marks_of(each) == ["mark 1"])
    session.stop()
    (mark,) = (event for event in shown.events if event.kind == "mark")
    assert mark.wall == pytest.approx(shown.generated_wall, abs=1.0)
    assert path.read_bytes() == before


def test_a_recording_begins_with_the_mark_that_is_asked_for(tmp_path: Path) -> None:
    """`record --mark` marks the begin of this run: what was there before is before it."""
    server = serve_in_thread(load("healthy"), seed=1, clock=Clock())
    path = tmp_path / "a.rec"
    try:
        for text in ("as it was", "fp8 \x1b[31m on"):
            assert run(
                ["record", server.url, "-o", str(path), "--for", "1s", "--interval", "0.2s", "--no-gpu", "--mark", text]
            ) == 0  # fmt: skip
    finally:
        server.close()
    first, second = marks_in(path)
    assert first.text == "as it was"
    assert "\x1b" not in second.text
    assert second.text.startswith("fp8")
    earlier = [each for each in Recording(path) if each.source == server.url and each.wall < second.wall]
    assert len(earlier) >= 4


def test_a_signal_marks_a_running_recording() -> None:
    """SIGUSR1 sets the next mark, and is as it was afterwards."""
    session = Session([], judge(Settings(), "live"), interval=1.0, clock=Clock())
    usual = signal.getsignal(signal.SIGUSR1)
    with marking(session):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
    assert [event.text for event in session.marks] == ["mark 1", "mark 2"]
    assert signal.getsignal(signal.SIGUSR1) == usual


def test_the_command_takes_the_signal(tmp_path: Path) -> None:
    """A script marks the recording that it started: kill -USR1 $!"""
    path = tmp_path / "a.rec"
    command = [sys.executable, "-m", "chimera_top", "record", "http://127.0.0.1:9", "-o", str(path), "--no-gpu"]
    process = subprocess.Popen(
        [*command, "--interval", "0.2s"], cwd=ROOT, stderr=subprocess.PIPE, env={"XDG_CONFIG_HOME": str(tmp_path)}
    )
    assert process.stderr is not None
    assert b"recording" in process.stderr.readline()
    while not path.exists() or path.stat().st_size < 100:
        assert process.poll() is None
    process.send_signal(signal.SIGUSR1)
    while not marks_in(path):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert [each.text for each in marks_in(path)] == ["mark 1"]
