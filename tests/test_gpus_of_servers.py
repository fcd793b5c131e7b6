"""Which GPUs a server runs on: from a real process tree and a driver that knows its PIDs, to what is shown."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from collectors.engine_process import behind
from collectors.processes import look_around
from insight.assess import Assessor
from insight.settings import Settings
from metrics.sample import Process, Sample, Source, State
from metrics.store import Store
from metrics.view import View
from tests.fixtures.nvml.build import build
from tests.fixtures.nvml.standin import Standin
from tests.tui import canned
from tests.tui.reading import text_of
from tui.frame import frame
from tui.panes.gpus import ranges
from tui.view import View as Looked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENGINE = """\
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
if os.fork() == 0:  # the engine core, which alone uses the GPU
    server.close()
    os.write(1, b"%d\\n" % os.getpid())  # at once: both write to one pipe
else:
    os.write(1, b"%d\\n" % server.getsockname()[1])
sys.stdin.read()
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Run a program called vllm: its port, and the PID of the child that uses the GPU."""
    script = tmp_path / "vllm"
    script.write_text(ENGINE, "utf-8")
    with subprocess.Popen(
        [sys.executable, str(script), "serve", "m"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = {int(process.stdout.readline()) for _ in range(2)}
        port = next(each.port for each in look_around().listeners if each.port in said and each.pid == process.pid)
        yield port, (said - {port}).pop()
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    """Stand in for the NVIDIA driver."""
    library = build(tmp_path_factory.mktemp("library"))
    if library is None:
        pytest.skip("no C compiler here: the stand-in driver library cannot be built")
    standin = Standin(library, tmp_path_factory.mktemp("standin"))
    yield standin
    standin.close()


def server(url: str, processes: tuple[Process, ...] = (), **more: object) -> Sample:
    return Sample(url, Source.SERVER, 1.0, 1.0, facts={"engine": "vllm"}, processes=processes, **more)  # type: ignore[arg-type]  # fields of a Sample by name


def gpu(index: int, *processes: Process) -> Sample:
    return Sample(f"gpu:{index}", Source.GPU, 1.0, 1.0, facts={"index": str(index)}, processes=processes)


def gpus(*samples: Sample) -> list[tuple[int, ...] | None]:
    """Assess, and list the GPUs of each server."""
    store = Store()
    for each in samples:
        store.add(each)
    return [each.gpus for each in Assessor(Settings()).snapshot(View(store, 1.0, 1.0)).targets]


def test_a_server_is_found_on_its_gpus(driver: Standin, engine: tuple[int, int]) -> None:
    """The child of what listens is on GPU 1, this test is on GPU 0, and the server is said to be on 1."""
    port, child = engine
    driver.script("count 2", f"process 0 {os.getpid()} 1000", f"process 1 {child} 1000")
    driver.new()
    found = behind(look_around(), "127.0.0.1", port, "vllm")
    seen = [replace(each, wall=1.0, mono=1.0) for each in driver.poll()]
    assert gpus(server(f"http://127.0.0.1:{port}", found.processes), *seen) == [(1,)]


def test_several_servers_and_gpus() -> None:
    """Each server has its own GPUs, and one GPU may be that of two servers."""
    a, b, c = (Process(pid, "python") for pid in (10, 20, 30))
    assert gpus(
        server("http://a", (a, Process(11, "VLLM::Worker"))),
        server("http://b", (b,)),
        server("http://c", (c,)),
        gpu(0, a),
        gpu(1, Process(11, "VLLM::Worker"), b),
        gpu(10, b),
    ) == [(0, 1), (1, 10), None]


def test_what_is_not_known() -> None:
    """Without processes on either side nothing is said, nor by the PID of a process that has no name here."""
    a = Process(10, "python")
    assert gpus(server("http://a", (a,))) == [None]
    assert gpus(server("http://a"), gpu(0, a)) == [None]
    assert gpus(server("http://a", (a,)), gpu(0, Process(10))) == [None]


def test_a_server_that_is_down_keeps_its_gpus() -> None:
    """A server that hangs still holds its GPU."""
    a = Process(10, "python")
    assert gpus(server("http://a", (a,), state=State.DOWN, reason="no answer"), gpu(0, a)) == [(0,)]


@pytest.mark.parametrize(
    ("numbers", "written"),
    [((), ""), ((3,), "3"), ((0, 1, 2, 3), "0-3"), ((0, 2, 3, 6), "0, 2-3, 6"), ((0, 1), "0-1")],
)
def test_ranges(numbers: tuple[int, ...], written: str) -> None:
    """Numbers that follow each other are one range."""
    assert ranges(numbers) == written


def test_the_screen_says_which() -> None:
    """In the header of the server that is shown, and at each GPU, where there are servers to tell apart."""
    one = canned.overloaded()
    assert "GPU" not in text_of(frame(one, Looked(), 200, 50)).splitlines()[0]
    target = replace(one.targets[0], gpus=(0, 1, 2, 3))
    shown = text_of(frame(replace(one, targets=(target,)), Looked(), 200, 50))
    assert "GPUs 0-3" in shown.splitlines()[0]
    assert "server 1" not in shown
    other = replace(target, id="http://b", url="http://b", gpus=(0,))
    devices = tuple(replace(each, throttled_seconds=None, throttle_reasons=(), xids=()) for each in one.gpus)
    both = replace(one, targets=(target, other), gpus=devices)
    lines = text_of(frame(both, Looked(), 200, 50)).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(" GPU"))
    assert lines[at + 1].rstrip().endswith("servers 1-2")
    assert lines[at + 2].rstrip().endswith("server 1")
