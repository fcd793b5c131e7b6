"""The whole command in a real terminal, on a real (simulated) server over real HTTP."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from collectors.clock import Clock
from collectors.replay import Recording
from simulator.http import serve_in_thread
from simulator.scenario import load
from tests.terminal import LEFT, ROOT, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROGRAM = [sys.executable, "-m", "chimera_top"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = serve_in_thread(load("overload"), seed=1, clock=Clock())
    yield server.url
    server.close()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(
        *arguments: str, size: tuple[int, int] = (80, 24), errors: Path | None = None, **environment: str
    ) -> Terminal:
        own = {"XDG_CONFIG_HOME": str(tmp_path), **environment}
        command = [*PROGRAM, *arguments]
        if errors is not None:
            command = ["sh", "-c", f'exec "$@" 2>{errors}', "sh", *command]
        opened.append(Terminal(command, size=size, **own))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def test_the_screen_shows_a_running_server_and_q_leaves(terminal: Callable[..., Terminal], url: str) -> None:
    """From the command line to the numbers of a server; q leaves with 0 and the terminal is as it was."""
    screen = terminal(url)
    screen.until_shown("SIMULATED")
    screen.until_shown("Llama-3.3-70B-Instruct")
    screen.until_shown("KV cache")
    screen.press(b"q")
    assert screen.wait() == 0
    screen.assert_restored()


def test_the_demo_needs_nothing(terminal: Callable[..., Terminal]) -> None:
    """`demo` shows simulated GPUs without a driver and a simulated server without a network."""
    screen = terminal("demo", "--scenario", "healthy", "--seed", "3")
    screen.until_shown("SIMULATED")
    screen.until_shown("H100")
    screen.press(b"q")
    assert screen.wait() == 0
    screen.assert_restored()


def test_errors_may_go_into_a_file(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    """`demo 2>err.log` shows the screen, none of which goes into the file."""
    errors = tmp_path / "err.log"
    screen = terminal("demo", "--scenario", "healthy", errors=errors)
    screen.until_shown("SIMULATED")
    screen.press(b"q")
    assert screen.wait() == 0
    screen.assert_restored()
    assert errors.read_bytes() == b""


def test_a_server_that_is_not_there_is_named_and_can_be_left(terminal: Callable[..., Terminal]) -> None:
    """A refused connection is a sentence on the screen, and quitting does not depend on it."""
    screen = terminal("http://127.0.0.1:9", "--no-gpu")
    screen.until_shown("refused the connection")
    screen.press(b"q")
    assert screen.wait() == 0
    screen.assert_restored()


def test_what_is_on_the_screen_is_recorded_up_to_the_signal(
    terminal: Callable[..., Terminal], url: str, tmp_path: Path
) -> None:
    """A screen that is ended by SIGTERM gives the terminal back and leaves a recording that is whole."""
    path = tmp_path / "run.rec"
    screen = terminal(url, "--record", str(path), "--interval", "0.2s")
    screen.until_shown("KV cache")
    screen.process.send_signal(signal.SIGTERM)
    assert screen.wait() == 143
    screen.assert_restored()
    recording = Recording(path)
    assert any(sample.source == url for sample in recording)
    assert recording.damage == []


def test_a_recording_is_shown_as_a_replay(terminal: Callable[..., Terminal]) -> None:
    """`replay` takes the road of the live screen, and says what it is."""
    screen = terminal("replay", str(ROOT / "screenshots" / "overload.rec"), "--speed", "50")
    screen.until_shown("REPLAY")
    screen.until_shown("model overloading")
    screen.press(b"q")
    assert screen.wait() == 0


def test_damage_of_a_replayed_recording_is_told_behind_the_screen(
    terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    """What could not be read is one line once the terminal is as it was."""
    path = tmp_path / "torn.rec"
    path.write_bytes((ROOT / "screenshots" / "overload.rec").read_bytes()[:-7])
    screen = terminal("replay", str(path), "--speed", "1000")
    screen.until_shown("REPLAY")
    screen.until_shown("model overloading")
    screen.press(b"q")
    assert screen.wait() == 0
    after = screen.output.rpartition(LEFT)[2]
    assert after.count(b"its last record is torn; everything before it was read") == 1


def test_an_error_after_the_first_frame_is_told_when_the_terminal_is_back(
    terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    """What goes wrong behind the first frame ends the screen, and the last line says what it was."""
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate\n")
    screen = terminal("https://127.0.0.1:9", "--ca-cert", str(broken))
    assert screen.wait() != 0
    screen.assert_restored()
    assert b"chimera-top: " in screen.output
    assert str(broken).encode() in screen.output
    assert b"Traceback" not in screen.output


def test_without_a_terminal_it_is_a_report(url: str, tmp_path: Path) -> None:
    """Into a pipe goes a report as text and nothing else; that there is no screen is said on stderr."""
    done = subprocess.run(
        [*PROGRAM, "report", url, "--for", "1s", "--interval", "0.2s", "--no-gpu", "--format", "text"],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env={"XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin"},
    )  # fmt: skip
    assert done.stdout.startswith("chimera-top report of")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    """`report | head -1` ends quietly."""
    command = f"{sys.executable} -m chimera_top report --replay screenshots/overload.rec --format json | head -1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False,
        env={"XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout == "{\n"
    assert done.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_recording_is_whole(url: str, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C is how a recording ends: exit 0, and every Sample can be read."""
    path = tmp_path / "run.rec"
    with subprocess.Popen(
        [*PROGRAM, "record", url, "-o", str(path), "--interval", "0.2s", "--no-gpu"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, env={"XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin"},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert "recording" in process.stderr.readline()
        while not path.stat().st_size:
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait(20) == 0
        assert "samples written" in process.stderr.read()
    recording = Recording(path)
    assert sum(1 for _ in recording) > 0
    assert recording.damage == []


def record(url: str, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*PROGRAM, "record", url, "--interval", "0.2s", "--no-gpu", *arguments],
        cwd=ROOT, capture_output=True, check=False, timeout=60,
        env={"XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin"},
    )  # fmt: skip


def test_a_recording_goes_into_a_pipe(url: str, tmp_path: Path) -> None:
    """`record -o /dev/stdout | ...` writes the recording to stdout and everything else to stderr."""
    done = record(url, tmp_path, "-o", "/dev/stdout", "--for", "1s")
    assert done.returncode == 0, done.stderr
    (tmp_path / "x.rec").write_bytes(done.stdout)
    recording = Recording(tmp_path / "x.rec")
    assert any(sample.source == url for sample in recording)
    assert recording.damage == []


def test_a_recording_that_cannot_be_written_ends_at_once(url: str, tmp_path: Path) -> None:
    """A full disk ends `record` with exit 1, and the last line says so; nobody waits for a file that does not grow."""
    done = record(url, tmp_path, "-o", "/dev/full")
    assert done.returncode == 1
    assert b"recording to /dev/full ended after 0 samples: No space left on device" in done.stderr.splitlines()[-1]


def test_appending_to_a_recording_is_said(url: str, tmp_path: Path) -> None:
    """Who names a recording that exists is told that it is added to, and how much is there."""
    path = tmp_path / "x.rec"
    path.write_bytes((ROOT / "screenshots" / "overload.rec").read_bytes())
    before = path.stat().st_size
    done = record(url, tmp_path, "-o", str(path), "--for", "1s")
    assert done.returncode == 0
    assert f"appending to {path} ({before / 1000:.1f} kB there)".encode() in done.stderr
    assert path.stat().st_size > before
