"""Which servers are watched when no TARGET is named."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from chimera_top.config import Settings
from chimera_top.config import load as load_settings
from chimera_top.locate import located
from collectors.clock import Clock
from collectors.listening import Listener
from collectors.replay import Recording
from simulator.http import serve_in_thread
from simulator.scenario import load
from tests.terminal import ROOT, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = serve_in_thread(load("healthy"), seed=1, clock=Clock())
    yield server.url
    server.close()


def listener(url: str) -> Listener:
    return Listener("127.0.0.1", int(url.rpartition(":")[2]))


def never() -> Sequence[Listener]:
    message = "nothing may be looked for"
    raise AssertionError(message)


def test_a_named_server_is_the_only_one() -> None:
    """Where a TARGET is named nothing is looked for."""
    settings = Settings(targets=("http://10.0.0.1:8000",))
    assert located(settings, never) == (settings, "")


def test_what_is_found_becomes_the_targets(url: str) -> None:
    """Without TARGET the servers of this host are watched, and nothing need be said about it."""
    assert located(Settings(), lambda: [listener(url)]) == (Settings(targets=(url,)), "")


def test_nothing_found_is_said_with_what_is_watched_instead() -> None:
    """Where no inference server listens the line says so, how far it looked, and what is watched."""
    found, note = located(Settings(), lambda: [Listener("127.0.0.1", 22), Listener("::1", 22), Listener("::1", 53)])
    assert found == Settings()
    assert note == (
        "no inference server was found on this host (looked at 2 listening ports): watching http://127.0.0.1:8000"
    )


@pytest.mark.parametrize("settings", [load_settings({"token_env": "NAME"}, {}), Settings(headers=("X-Key=NAME",))])
def test_a_secret_goes_to_nothing_that_was_only_found(settings: Settings) -> None:
    """Anybody may listen on this host: with a token to send, servers are watched that were named, and no others."""
    found, note = located(settings, never)
    assert found == settings
    assert "a secret goes only to a server that is named" in note


def test_a_recording_without_target_holds_the_servers_of_this_host(url: str, tmp_path: Path) -> None:
    """The whole command, with no TARGET, finds a server on a port that nobody told it."""
    path = tmp_path / "run.rec"
    done = subprocess.run(
        [sys.executable, "-m", "chimera_top", "record", "-o", str(path), "--for", "1s", "--no-gpu"],
        cwd=ROOT,
        env={"XDG_CONFIG_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "no inference server" not in done.stderr
    assert any(sample.source == url for sample in Recording(path))


@pytest.mark.usefixtures("url")
def test_the_screen_is_there_before_anything_is_looked_for(tmp_path: Path) -> None:
    """Without TARGET the first frame says what is looked for, and what is found follows; q leaves."""
    screen = Terminal([sys.executable, "-m", "chimera_top", "--no-gpu"], XDG_CONFIG_HOME=str(tmp_path))
    try:
        screen.until_shown("the servers of this host")
        screen.until_shown("SIMULATED")
        screen.press(b"q")
        assert screen.wait() == 0
        screen.assert_restored()
    finally:
        screen.close()
