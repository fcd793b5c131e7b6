"""Which servers are watched when no TARGET is named."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from chimera_top.config import Settings
from chimera_top.config import load as load_settings
from chimera_top.exit import UsageError
from chimera_top.judge import judge
from chimera_top.locate import located
from chimera_top.session import Session
from collectors.clock import Clock
from collectors.listening import Listener
from collectors.lookout import Lookout
from collectors.namespaces import Survey
from collectors.replay import Recording
from metrics.sample import Source, State
from simulator.http import serve_in_thread
from simulator.scenario import load
from tests.terminal import ROOT, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from collectors.collector import Collector
    from metrics.observed import Target
    from metrics.sample import Sample
    from metrics.snapshot import Snapshot


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = serve_in_thread(load("healthy"), seed=1, clock=Clock())
    yield server.url
    server.close()


def around(*urls: str) -> Survey:
    """What is listened on: these."""
    return Survey(tuple(Listener("127.0.0.1", int(url.rpartition(":")[2]), inode=1) for url in urls))


def never() -> Survey:
    message = "nothing may be looked for"
    raise AssertionError(message)


def names(collectors: Sequence[Collector]) -> list[str]:
    return [each.name for each in collectors]


def test_a_named_server_is_the_only_one() -> None:
    """Where a TARGET is named nothing is looked for, at the start or later."""
    there = located(Settings(targets=("http://10.0.0.1:8000",)), Clock(), never)
    assert (there.names, there.note) == (("http://10.0.0.1:8000",), "")
    assert names(there.collectors) == ["http://10.0.0.1:8000"]
    there.follow(lambda _: pytest.fail("nothing comes"))


def test_what_is_found_is_watched(url: str) -> None:
    """Without TARGET the servers of this host are watched, and more are looked for; nothing need be said about it."""
    there = located(Settings(), Clock(), lambda: around(url))
    assert (there.names, there.note) == ((url,), "")
    assert names(there.collectors) == [url, "discovery"]


def test_nothing_found_is_said_and_what_comes_then_is_watched(url: str) -> None:
    """Where no inference server listens the line says so and how far it looked, until one has come: then it is polled.

    Nothing is polled in its place.
    """
    listeners = Survey((Listener("127.0.0.1", 22), Listener("::1", 22), Listener("::1", 53)))
    there = located(Settings(), Clock(), lambda: listeners)
    assert there.names == ()
    assert names(there.collectors) == ["discovery"]
    looked = "looked at 2 listening ports, and again every 10 s"
    assert there.note == f"no inference server was found on this host ({looked})"
    added: list[Collector] = []
    there.follow(added.extend)
    listeners = around(url)
    assert asyncio.run(polled(there.collectors[-1]))[0].missing == ()
    assert names(added) == [url]
    assert asyncio.run(polled(added[0]))[0].facts["engine"] == "vllm"
    assert there.note == ""


async def polled(collector: Collector) -> Sequence[Sample]:
    samples = await collector.collect()
    await collector.close()
    return samples


def test_a_server_that_comes_has_its_probe_and_its_questions_beside_it(url: str) -> None:
    """What is asked for of the servers of the start is done for those that come later as well."""
    listeners = Survey(())
    there = located(Settings(probe=True, quality=("builtin",)), Clock(), lambda: listeners)
    added: list[Collector] = []
    there.follow(added.extend)
    listeners = around(url)
    asyncio.run(polled(there.collectors[-1]))
    assert sorted(each.kind for each in added) == [Source.PROBE, Source.QUALITY, Source.SERVER]
    assert all(url in each.name for each in added)


def test_where_nothing_may_be_listed_the_usual_server_is_watched() -> None:
    """On a system that does not tell what listens, the line says so, and what is watched instead."""
    there = located(Settings(), Clock(), lambda: Survey((), blind=True))
    assert there.names == ("http://127.0.0.1:8000",)
    assert "may not be listed here: watching http://127.0.0.1:8000" in there.note


def test_what_is_unusable_is_said_before_anything_is_looked_for() -> None:
    """A setting that only a server's collectors need is checked at the start, though no server is there yet."""
    with pytest.raises(UsageError, match="no such file"):
        located(Settings(ca_cert="/no such file"), Clock(), never)


@pytest.mark.parametrize("settings", [load_settings({"token_env": "HOME"}, {}), Settings(headers=("X-Key=HOME",))])
def test_a_secret_goes_to_nothing_that_was_only_found(settings: Settings) -> None:
    """Anybody may listen on this host: with a token to send, servers are watched that were named, and no others."""
    there = located(settings, Clock(), never)
    assert there.names == ("http://127.0.0.1:8000",)
    assert "a secret goes only to a server that is named" in there.note
    there.follow(lambda _: pytest.fail("nothing comes"))


def test_a_server_that_comes_is_on_the_snapshot_and_one_that_went_is_down() -> None:
    """The session goes on: a server that starts is in a later Snapshot, and stays in it as down when it has ended."""
    clock = Clock()
    listeners = Survey(())
    there = located(Settings(), clock, lambda: listeners)
    lookout = there.collectors[-1]
    assert isinstance(lookout, Lookout)
    lookout.interval = 0.05
    seen: list[Snapshot] = []
    changed = threading.Condition()

    def publish(snapshot: Snapshot) -> None:
        with changed:
            seen.append(snapshot)
            changed.notify_all()

    def until(holds: Callable[[Target], bool]) -> None:
        with changed:
            assert changed.wait_for(lambda: bool(seen) and any(map(holds, seen[-1].targets)), 20)

    session = Session(there.collectors, judge(Settings(), "live"), interval=0.05, clock=clock, publish=publish)
    there.follow(session.add)
    server = serve_in_thread(load("healthy"), seed=1, clock=clock)
    session.start()
    try:
        listeners = around(server.url)
        until(lambda target: target.id == server.url and target.state is State.OK)
        server.close()
        listeners = Survey(())
        until(lambda target: target.state is State.DOWN and "nothing listens there since" in target.reason)
    finally:
        session.stop()
    assert [each.id for each in session.snapshot().targets] == [server.url]


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
