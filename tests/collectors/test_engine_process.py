"""`collectors.engine_process` and `collectors.processes`: the process behind a server, and what belongs to it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.clock import Clock
from collectors.engine_process import EngineProcess, behind, descendants, limits
from collectors.listening import Listener
from collectors.processes import EVERY, Around, Processes, Running, look_around
from metrics.sample import Missing, Sample, Source, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ENGINE = """\
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
child = os.fork()
if child == 0:  # one of several API servers, which listen on what their parent has bound
    server.listen()
    print(server.getsockname()[1], os.getpid(), flush=True)
elif os.fork() != 0:
    server.close()  # the parent only waits; the other child is an engine core
else:
    server.close()
sys.stdin.read()
"""
VLLM = ("/opt/bin/python3", "/opt/bin/vllm", "serve", "m", "--port", "8000", "--max-num-seqs", "8", "--api-key", "k")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[int, int, int]]:
    """Run a program called vllm: its port, its PID, and that of the child which listens."""
    script = tmp_path / "vllm"
    script.write_text(ENGINE, "utf-8")
    command = [sys.executable, str(script), "serve", "m", "--max-num-seqs=8", "--api-key", "sesame"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port, child = map(int, process.stdout.readline().split())
        yield port, process.pid, child
        assert process.stdin is not None
        process.stdin.close()


def around(*listeners: Listener) -> Around:
    """Make a host of three trees: a vLLM (10) with its core (11) and worker (12), a shell (5), a proxy (30)."""
    running = {
        1: Running(0, "systemd"),
        5: Running(1, "bash"),
        10: Running(5, "python3"),
        11: Running(10, "VLLM::EngineCore"),
        12: Running(11, "VLLM::Worker"),
        30: Running(1, "nginx"),
        31: Running(30, "nginx"),
    }
    commands = {10: VLLM, 5: ("bash", "vllm.sh"), 1: ("/sbin/init",)}
    return Around(listeners, running, commands, frozenset({"10.0.0.5", "node7"}))


SERVER = Listener("0.0.0.0", 8000, 10, "python3", VLLM)  # noqa: S104 - nothing is bound here


def test_a_real_tree_of_processes(engine: tuple[int, int, int]) -> None:
    """From the port to the child that listens, up to what was started, and down to all that it started."""
    port, pid, child = engine
    seen = look_around()
    found = behind(seen, "127.0.0.1", port, "vllm")
    assert found.facts == {"flag_max_num_seqs": "8"}
    assert found.gauges == {"max_running_requests": 8.0}
    assert found.missing == ()
    pids = [each.pid for each in found.processes]
    assert pids[0] == pid
    assert child in pids
    assert len(pids) == 3
    assert os.getpid() in seen.running
    assert all(each.name for each in found.processes)


def test_what_belongs_to_a_server() -> None:
    """Its core and its worker are its own, the shell that started it and its neighbours are not."""
    found = behind(around(SERVER), "127.0.0.1", 8000, "vllm")
    assert [(each.pid, each.name) for each in found.processes] == [
        (10, "python3"),
        (11, "VLLM::EngineCore"),
        (12, "VLLM::Worker"),
    ]


@pytest.mark.parametrize(
    ("address", "host", "there"),
    [
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "10.0.0.5", False),
        ("0.0.0.0", "10.0.0.5", True),  # noqa: S104 - nothing is bound here
        ("::", "127.0.0.1", True),
        ("::ffff:10.0.0.5", "10.0.0.5", True),
        ("10.0.0.5", "localhost", False),
        ("10.0.0.5", "node7", True),
        ("172.17.0.2", "172.17.0.2", True),
    ],
)
def test_where_a_request_would_go(address: str, host: str, there: bool) -> None:
    """Only what listens where the target is counts."""
    found = behind(around(Listener(address, 8000, 10, "python3", VLLM)), host, 8000, "vllm")
    assert bool(found.processes) is there


def test_another_host_is_another_host() -> None:
    """A server elsewhere has no process here, whatever listens on the same port here; nothing is said of it."""
    for host in ("10.0.0.9", "node8", "example.org"):
        assert not behind(around(SERVER), host, 8000, "vllm").processes
        assert behind(around(SERVER), host, 8000, "vllm").missing == ()


def test_this_program_is_no_engine() -> None:
    """The simulated server of the demo runs inside this program."""
    assert behind(around(SERVER), "127.0.0.1", 8000, "vllm", own=10).facts == {}


def test_a_published_port_leads_into_the_container() -> None:
    """The target is the host's port; the process is the one in the container."""
    inside = Listener("172.17.0.2", 8000, 10, "python3", VLLM, published=("0.0.0.0", 9000))  # noqa: S104
    found = behind(around(inside), "127.0.0.1", 9000, "vllm")
    assert found.facts["flag_max_num_seqs"] == "8"


def test_who_holds_a_socket_for_a_server() -> None:
    """Where systemd has opened the port, the server that took it over counts, and not all of its siblings."""
    holder = Listener("127.0.0.1", 8000, 1, "systemd", ("/sbin/init",))
    found = behind(around(holder, Listener("127.0.0.1", 8000, 10, "python3", VLLM)), "127.0.0.1", 8000, "vllm")
    assert [each.pid for each in found.processes] == [10, 11, 12]
    assert behind(around(holder), "127.0.0.1", 8000, "vllm").processes == ()


@pytest.mark.parametrize(
    ("listeners", "why"),
    [
        ((), "no process is seen to listen on port 8000: if it runs in a container"),
        ((Listener("127.0.0.1", 8000),), "its process may not be seen: it is another user's"),
        (
            (Listener("127.0.0.1", 8000, 30, "nginx", ("nginx: master",)),),
            "held by nginx (PID 30), which looks like no",
        ),
        ((Listener("127.0.0.1", 8000, 999, "python3", VLLM),), "its process may not be seen"),
    ],
)
def test_what_cannot_be_seen_is_said(listeners: Sequence[Listener], why: str) -> None:
    """Another user's process, a proxy, a process that ended meanwhile: what is missing, why, and what to do."""
    [missing] = behind(around(*listeners), "127.0.0.1", 8000, "vllm").missing
    assert missing.what == "flags and processes of the server"
    assert why in missing.why
    assert missing.consequence


def test_flags_in_a_file_are_not_seen() -> None:
    """More flags in a file are named as not seen."""
    line = ("vllm", "serve", "--config", "/etc/vllm.yaml", "--max-num-seqs", "8")
    found = behind(around(Listener("127.0.0.1", 8000, 10, "vllm", line)), "127.0.0.1", 8000, "vllm")
    assert found.facts == {"flag_max_num_seqs": "8"}
    assert [each.why for each in found.missing] == ["they stand in the file that --config names, which is not read"]


@pytest.mark.parametrize(
    ("facts", "most"),
    [
        ({"flag_max_num_seqs": "8"}, 8.0),
        ({"flag_max_num_seqs": "8", "flag_data_parallel_size": "4"}, 32.0),
        ({"flag_max_num_seqs": "8", "flag_data_parallel_external_lb": "True"}, None),
        ({"flag_max_num_seqs": "1k"}, None),
        ({"flag_max_num_seqs": "²"}, None),
        ({"flag_max_num_seqs": "9" * 190, "flag_data_parallel_size": "9" * 190}, None),
        ({}, None),
    ],
)
def test_how_many_requests_may_run(facts: dict[str, str], most: float | None) -> None:
    """For each data parallel engine so many; unknown where the flag does not tell."""
    assert limits("vllm", facts).get("max_running_requests") == most
    assert limits("sglang", facts) == {}


@given(st.dictionaries(st.integers(1, 30), st.integers(0, 30), max_size=30), st.sets(st.integers(1, 30), min_size=1))
def test_any_tree(parents: dict[int, int], roots: set[int]) -> None:
    """Each process once, whatever the parents are: also where PIDs were used anew and lead in a circle."""
    running = {pid: Running(parent, "") for pid, parent in parents.items()}
    found = list(descendants(roots, running))
    assert len(found) == len(set(found))
    assert roots <= set(found)
    for pid, each in running.items():
        assert each.parent not in found or pid in found


class Answers:
    """A collector that gives what it is told to."""

    name, kind, interval = "http://127.0.0.1:8000", Source.SERVER, None

    def __init__(self) -> None:
        self.sample = Sample(self.name, self.kind, 0.0, 0.0)
        self.closed = False

    async def collect(self) -> Sequence[Sample]:
        return [self.sample]

    async def close(self) -> None:
        self.closed = True


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.clock = Clock(lambda: self.now, lambda: self.now)


def sample(**more: object) -> Sample:
    return Sample(Answers.name, Source.SERVER, 0.0, 0.0, **more)  # type: ignore[arg-type]  # fields of a Sample by name


def test_a_poll_takes_what_was_found_last_and_the_server_wins() -> None:
    """Facts and limits are added; what the server itself says of them stands; what is known is no longer missing."""
    answers, processes = Answers(), Processes(Clock(), lambda: around(SERVER))
    both = EngineProcess(answers, answers.name, processes)
    answers.sample = sample(facts={"engine": "vllm"}, missing=(Missing("max_running_requests", "not exported"),))
    asyncio.run(both.collect())
    assert processes.wait(10)
    [found] = asyncio.run(both.collect())
    assert found.facts == {"engine": "vllm", "flag_max_num_seqs": "8"}
    assert found.gauges == {"max_running_requests": 8.0}
    assert [each.pid for each in found.processes] == [10, 11, 12]
    assert found.missing == ()
    answers.sample = sample(facts={"engine": "vllm", "flag_max_num_seqs": "9"}, gauges={"max_running_requests": 9.0})
    [found] = asyncio.run(both.collect())
    assert found.facts["flag_max_num_seqs"] == "9"
    assert found.gauges == {"max_running_requests": 9.0}
    asyncio.run(both.close())
    assert answers.closed
    assert (both.name, both.kind, both.interval) == (answers.name, Source.SERVER, None)


def test_a_server_that_is_silent_keeps_its_processes() -> None:
    """Of a server that hangs the PIDs are worth most, and nothing is added to what is missing."""
    hand, found_later = Hand(), [around(SERVER), around()]
    answers, processes = Answers(), Processes(hand.clock, found_later.pop)
    both = EngineProcess(answers, answers.name, processes)
    answers.sample = sample(state=State.DOWN, reason="no answer")
    asyncio.run(both.collect())
    assert processes.wait(10)
    [found] = asyncio.run(both.collect())
    assert found == answers.sample
    hand.now = EVERY
    asyncio.run(both.collect())
    assert processes.wait(10)
    [found] = asyncio.run(both.collect())
    assert [each.pid for each in found.processes] == [10, 11, 12]
    assert (found.gauges, found.missing) == ({}, ())


def test_a_simulated_server_is_left_as_it_is() -> None:
    """Nothing is looked for on behalf of a simulated server."""
    answers, processes = Answers(), Processes(Clock(), lambda: around(SERVER))
    answers.sample = sample(facts={"engine": "vllm", "simulated": "true"})
    assert asyncio.run(EngineProcess(answers, answers.name, processes).collect()) == [answers.sample]
    assert processes.wait(10)
    assert processes.answer() is None


def test_it_is_looked_for_seldom_and_soon_after_a_change() -> None:
    """Every 30 s; after 2 s where the server may be another one; never two at once, and a poll never waits."""
    hand, go = Hand(), threading.Event()
    looks: list[float] = []

    def look() -> Around:
        looks.append(hand.now)
        assert go.wait(10)
        return around(SERVER)

    processes = Processes(hand.clock, look)
    answers = Answers()
    both = EngineProcess(answers, answers.name, processes)
    answers.sample = sample(facts={"engine": "vllm"}, gauges={"start_time_seconds": 1.0})
    for hand.now in (0.0, EVERY, 2 * EVERY):  # the first look has not come back
        assert asyncio.run(both.collect()) == [answers.sample]
    go.set()
    assert processes.wait(10)
    assert looks == [0.0]
    for hand.now in (EVERY, EVERY + 1, 2 * EVERY - 1):
        asyncio.run(both.collect())
        assert processes.wait(10)
    answers.sample = sample(facts={"engine": "vllm"}, gauges={"start_time_seconds": 2.0})
    asyncio.run(both.collect())
    assert processes.wait(10)
    assert looks == [0.0, EVERY, 2 * EVERY - 1]


def test_a_host_that_cannot_be_looked_at() -> None:
    """Whatever goes wrong in the thread, polls go on as without it."""

    def look() -> Around:
        raise PermissionError("no /proc")

    answers, processes = Answers(), Processes(Clock(), look)
    both = EngineProcess(answers, answers.name, processes)
    asyncio.run(both.collect())
    assert processes.wait(10)
    assert asyncio.run(both.collect()) == [answers.sample]
