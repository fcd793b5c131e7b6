"""`collectors.lookout`: servers that come and go, in a time of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from collectors.clock import Clock
from collectors.fingerprint import Found
from collectors.listening import Listener
from collectors.lookout import LOOK_SECONDS, MOST_SERVERS, Lookout, Sparing
from collectors.namespaces import Survey
from metrics.sample import Missing, Sample, Source, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.collectors.conftest import Web

PAGE = b"llamacpp:requests_processing 1\n"


class Host:
    """A host whose listeners and whose time are set."""

    def __init__(self) -> None:
        self.now = 100.0
        self.clock = Clock(wall=lambda: 1e9 + self.now, mono=lambda: self.now)
        self.listeners: list[Listener] = []
        self.missing: tuple[Missing, ...] = ()
        self.lookout = Lookout(self.clock, lambda: Survey(tuple(self.listeners), self.missing))

    def look(self, seconds: float = LOOK_SECONDS) -> list[str]:
        """Look after so many seconds; the URLs of what is new."""
        self.now += seconds
        return [each.url for each in self.lookout.look()]

    def asked_at(self, web: Web) -> list[int]:
        """Look 64 times, and list the looks at which something was asked."""
        asked = [0]
        for _ in range(64):
            self.look()
            asked.append(len(web.paths))
        return [look for look in range(64) if asked[look + 1] > asked[look]]

    def sample(self) -> Sample:
        async def collect() -> Sequence[Sample]:
            return await self.lookout.collect()

        (sample,) = asyncio.run(collect())
        return sample


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host on a machine that may be busy: nothing here is a question of time."""
    monkeypatch.setattr("collectors.lookout.DEADLINE", 20.0)
    monkeypatch.setattr("collectors.lookout._PATIENT_DEADLINE", 20.0)
    return Host()


def at(web: Web, inode: int = 1, pid: int | None = None, *cmdline: str) -> Listener:
    return Listener("127.0.0.1", web.port, pid, cmdline[0] if cmdline else "", cmdline, inode)


# --- what comes


def test_a_server_that_comes_later_is_found_and_told_once(host: Host, web: Web) -> None:
    """What is new at a look is asked and told; at the looks after it, neither."""
    web.answer("/metrics", PAGE)
    assert host.look() == []
    host.listeners = [at(web)]
    assert host.look() == [web.url]
    assert [host.look() for _ in range(30)] == [[]] * 30
    assert web.paths == ["/metrics"]


def test_what_is_none_is_asked_once(host: Host, web: Web, other_web: Web) -> None:
    """What has answered that it is no inference server is not asked again, and neither is it when others come."""
    host.listeners = [at(web)]
    assert host.look() == []
    asked = list(web.paths)
    host.listeners = [at(web), at(other_web, 2)]
    other_web.answer("/metrics", PAGE)
    assert host.look() == [other_web.url]
    assert host.look(3600) == []
    assert web.paths == asked


def test_another_socket_is_another_server(host: Host, web: Web) -> None:
    """What listens anew where something else was is asked: it may be a server now."""
    host.listeners = [at(web, 1)]
    assert host.look() == []
    web.answer("/metrics", PAGE)
    assert host.look() == []
    host.listeners = [at(web, 2)]
    assert host.look() == [web.url]


def test_a_server_that_changes_its_kind_is_polled_on_and_not_asked(host: Host, web: Web) -> None:
    """A second server on the port of the first is the same target: who polls it sees what it is now."""
    web.answer("/metrics", PAGE)
    host.listeners = [at(web, 1)]
    assert host.look() == [web.url]
    host.listeners = [at(web, 2, 7, "vllm", "serve"), at(web, 3, 8, "vllm", "serve")]
    assert host.look() == []
    assert web.paths == ["/metrics"]
    assert host.lookout.gone_since(web.url) is None


def test_what_does_not_answer_yet_is_asked_after_longer_and_longer_pauses(host: Host, web: Web) -> None:
    """A server that starts behind a proxy is found when it is ready, and what never answers is asked ever less."""
    web.answer("/metrics", b"", status=502)
    host.listeners = [at(web)]
    assert host.asked_at(web) == [0, 1, 3, 7, 15, 31, 63]
    web.answer("/metrics", PAGE)
    assert host.look(LOOK_SECONDS * 64) == [web.url]


def test_a_published_port_is_asked_more_often(host: Host, web: Web) -> None:
    """Behind what publishes the port of a container a server is likely to start: the pause grows to 80 s only."""
    web.answer("/metrics", b"", status=502)
    host.listeners = [at(web, 1, 9, "docker-proxy")]
    assert host.asked_at(web) == [0, 1, 3, 7, 15, 23, 31, 39, 47, 55, 63]


def test_only_so_many_servers_are_taken_in(host: Host, web: Web) -> None:
    """A host on which servers come and go for days does not fill the memory: the rest is named."""
    web.answer("/metrics", PAGE)
    host.lookout.found = {f"http://x:{port}": Found(f"http://x:{port}", "vllm", 1, "") for port in range(MOST_SERVERS)}
    host.listeners = [at(web)]
    assert host.look() == []
    assert [each.what for each in host.lookout.missing()] == ["1 more servers of this host"]


# --- what goes


def test_a_server_that_has_gone_is_known_to_have_gone_until_it_is_back(host: Host, web: Web) -> None:
    """The moment of the first look without its listener stays; with a listener in its place it is there again."""
    web.answer("/metrics", PAGE)
    host.listeners = [at(web)]
    host.look()
    assert host.lookout.gone_since(web.url) is None
    host.listeners = []
    host.look()
    host.look()
    assert host.lookout.gone_since(web.url) == 1e9 + 120.0
    host.listeners = [at(web, 2)]
    assert host.look() == []
    assert host.lookout.gone_since(web.url) is None
    assert web.paths == ["/metrics"]


class Server:
    """A collector that answers or does not, and counts."""

    name = "http://x"
    kind = Source.SERVER
    interval = None

    def __init__(self) -> None:
        self.state = State.OK
        self.polls = 0
        self.closed = False

    async def collect(self) -> Sequence[Sample]:
        self.polls += 1
        return [Sample(self.name, self.kind, 0.0, 0.0, state=self.state, reason="refused")]

    async def close(self) -> None:
        self.closed = True


def test_who_has_gone_costs_little_and_says_since_when(host: Host) -> None:
    """While nothing listens one poll in ten seconds is a real one, and every one says that it has gone, and when."""
    server = Server()
    gone: list[float | None] = [None]
    sparing = Sparing(server, lambda: gone[0], host.clock)

    def poll(count: int) -> list[Sample]:
        samples: list[Sample] = []
        for _ in range(count):
            host.now += 1.0
            samples += asyncio.run(sparing.collect())
        return samples

    assert [each.state for each in poll(3)] == [State.OK] * 3
    server.state = State.DOWN
    assert {each.reason for each in poll(3)} == {"refused"}
    gone[0] = 1e9
    samples = poll(40)
    assert server.polls == 3 + 3 + 4
    assert {(each.source, each.state, each.reason) for each in samples} == {
        (
            "http://x",
            State.DOWN,
            "nothing listens there since 2001-09-09T01:46:40Z: it has ended, or listens elsewhere now",
        )
    }
    gone[0] = None
    server.state = State.OK
    assert {each.state for each in poll(2)} == {State.OK}


def test_a_server_that_answers_has_not_gone(host: Host) -> None:
    """Where the list of what listens is wrong, a server that answers is polled as ever."""
    server = Server()
    sparing = Sparing(server, lambda: 1e9, host.clock)
    assert [asyncio.run(sparing.collect())[0].state for _ in range(5)] == [State.OK] * 5
    assert server.polls == 5
    assert (sparing.name, sparing.kind, sparing.interval) == (server.name, server.kind, None)
    asyncio.run(sparing.close())
    assert server.closed


# --- what is said


def test_each_new_server_is_handed_on_in_a_thread_of_its_own(host: Host, web: Web) -> None:
    """The poller's thread only waits: listing, asking and making collectors happen beside it."""
    web.answer("/metrics", PAGE)
    host.listeners = [at(web)]
    threads: list[tuple[str, threading.Thread]] = []
    host.lookout.on_found = lambda found: threads.append((found.url, threading.current_thread()))
    sample = host.sample()
    assert (sample.source, sample.kind, sample.state) == ("discovery", Source.MONITOR, State.OK)
    assert host.sample().missing == ()
    assert [url for url, _ in threads] == [web.url]
    assert threads[0][1] is not threading.current_thread()


def test_what_is_not_seen_is_named(host: Host, web: Web) -> None:
    """Containers that may not be looked at are told, and that there is no server at all until there is one."""
    host.missing = (Missing("inference servers in a container", "root alone"),)
    told = host.sample().missing
    assert [each.what for each in told] == ["inference servers in a container", "an inference server on this host"]
    assert "0 listening ports" in told[1].why
    web.answer("/metrics", PAGE)
    host.listeners = [at(web)]
    assert host.sample().missing == host.missing


def test_a_look_that_fails_is_told_and_the_next_one_works(host: Host) -> None:
    """A fault that nobody foresaw is a line of the Sample, cleaned, and ends nothing."""

    def fail() -> Survey:
        raise KeyError("no such\nthing")

    around, host.lookout._look_around = host.lookout._look_around, fail
    sample = host.sample()
    assert sample.state is State.DOWN
    assert sample.reason.startswith("internal error: KeyError")
    assert sample.reason.isprintable()
    host.lookout._look_around = around
    assert host.sample().state is State.OK


def test_a_look_that_hangs_is_begun_once() -> None:
    """While a process holds up who reads of it, polls that are given up begin no second look."""
    began: list[threading.Event] = []
    release = threading.Event()

    def hang() -> Survey:
        began.append(release)
        release.wait(20)
        return Survey(())

    async def given_up_twice() -> None:
        lookout = Lookout(Clock(), hang)
        for _ in range(2):
            polling = asyncio.ensure_future(lookout.collect())
            await asyncio.sleep(0)
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
        release.set()
        assert (await lookout.collect())[0].state is State.OK
        await lookout.close()

    asyncio.run(given_up_twice())
    assert len(began) == 1
