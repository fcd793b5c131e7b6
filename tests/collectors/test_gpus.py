"""The collector of the GPUs: a driver that hangs is left behind, named, and taken up again."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from collectors.clock import Clock
from collectors.gpus import Gpus
from collectors.nvml_driver import Driver
from metrics.sample import Event, Sample, Source, State
from tests.fixtures.nvml.build import build
from tests.fixtures.nvml.standin import ROOT, Standin

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    library = build(tmp_path_factory.mktemp("library"))
    if library is None:
        pytest.skip("no C compiler here: the stand-in driver library cannot be built")
    standin = Standin(library, tmp_path_factory.mktemp("standin"))
    yield standin
    standin.script("count 2")  # lets go of what hangs
    if standin.child.poll() is None:
        standin.close()


def test_a_hanging_call_is_named_and_timed(standin: Standin) -> None:
    """While a call hangs, each poll says for how long and in which call of which GPU, and no thread is added."""
    standin.until("", now=0.0)
    threads = standin.threads
    standin.script("count 2", "hang nvmlDeviceGetPowerUsage 1")
    standin.until("nvmlDeviceGetPowerUsage of GPU 1", now=100.0)
    for waited, words in ((12.0, "12 s"), (13.0, "13 s"), (75.0, "1 min 15 s")):
        (root,) = standin.collect(100.0 + waited)
        assert root.state is State.DOWN
        assert root.reason.startswith(
            f"NVIDIA driver unresponsive for {words} (in nvmlDeviceGetPowerUsage of GPU 1): see dmesg"
        )
        assert root.source == "nvml"
    assert standin.threads == threads


def test_polling_goes_on_when_the_call_comes_back(standin: Standin) -> None:
    """When the call returns, the next poll is a new one with numbers of its own time."""
    standin.until("", now=0.0)
    standin.script("count 2", "hang nvmlDeviceGetPowerUsage 1", "set * power 100000")
    standin.until("nvmlDeviceGetPowerUsage of GPU 1", now=100.0)
    standin.script("count 2", "set * power 200000")
    root, first, second = standin.until("", now=160.0)
    assert (root.state, root.mono) == (State.OK, 160.0)
    assert [first.gauges["power_watts"], second.gauges["power_watts"]] == [200, 200]


def test_a_slow_opening_is_a_start_not_a_failure(standin: Standin) -> None:
    """While NVML is being opened the driver is starting; after half a minute it is unresponsive."""
    standin.script("count 2", "hang nvmlInitWithFlags *")
    (root,) = standin.until("NVML has been opening for", now=5.0)
    assert root.state is State.STARTING
    (root,) = standin.collect(5.0 + 31.0)
    assert root.state is State.DOWN
    assert "unresponsive for 31 s (in nvmlInit)" in root.reason


def test_the_program_can_end_while_a_call_hangs(standin: Standin) -> None:
    """A process whose driver hangs ends at once, and cleanly, when asked to."""
    standin.until("", now=0.0)
    standin.script("count 2", "hang nvmlDeviceGetCount_v2 *")
    standin.until("unresponsive", now=100.0)
    assert standin.close() == 0


def test_nothing_is_loaded_before_it_is_needed() -> None:
    """Importing the collectors loads neither pynvml nor psutil, so that --no-gpu never touches the driver."""
    code = "import sys, collectors.gpus, collectors.host; sys.exit('pynvml' in sys.modules or 'psutil' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


CLOCK = Clock(wall=lambda: 50.0, mono=lambda: 50.0)


class Scripted(Driver):
    """A driver that waits to be let go, then gives what the test put there."""

    def __init__(self) -> None:
        super().__init__(CLOCK)
        self.is_open = True
        self.go = threading.Event()
        self.answers: list[tuple[Sample, ...] | Exception] = []

    def poll(self) -> tuple[Sample, ...]:
        self.go.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_events_of_a_late_poll_are_not_lost() -> None:
    """A poll that came back too late loses its numbers, but an XID that it took is on the next Sample of its GPU."""
    driver = Scripted()
    late = Sample("gpu:a", Source.GPU, 1.0, 1.0, gauges={"power_watts": 1.0}, events=(Event(1.0, "xid", "XID 119"),))
    now = Sample("gpu:a", Source.GPU, 2.0, 2.0, gauges={"power_watts": 2.0}, events=(Event(2.0, "xid", "XID 79"),))
    fine = Sample("nvml", Source.DRIVER, 1.0, 1.0)
    driver.answers = [(fine, late), (fine, now), (fine, now)]

    async def run() -> None:
        gpus = Gpus(CLOCK, driver, deadline=0.0)
        assert len(await gpus.collect()) == 1
        driver.go.set()
        assert gpus._poll is not None
        await gpus._poll.back.wait()
        gpus._deadline = 60.0
        _, gpu = await gpus.collect()
        assert [event.text for event in gpu.events] == ["XID 119", "XID 79"]
        assert gpu.gauges == {"power_watts": 2.0}
        _, gpu = await gpus.collect()
        assert [event.text for event in gpu.events] == ["XID 79"]
        await gpus.close()

    asyncio.run(run())


def test_an_unforeseen_error_is_a_sample() -> None:
    """Whatever goes wrong inside a poll is one Sample with the error, and the next poll is made all the same."""
    driver = Scripted()
    driver.go.set()
    fine = Sample("nvml", Source.DRIVER, 1.0, 1.0)
    driver.answers = [KeyError("surprise"), (fine,)]

    async def run() -> None:
        gpus = Gpus(CLOCK, driver, deadline=60.0)
        (failed,) = await gpus.collect()
        assert failed.state is State.DOWN
        assert "KeyError('surprise')" in failed.reason
        assert list(await gpus.collect()) == [fine]
        await gpus.close()

    asyncio.run(run())


def test_a_cancelled_poll_starts_no_second_one() -> None:
    """A poll that the poller gave up is still under way in the thread, and counts as one that hangs."""
    driver = Scripted()
    fine = Sample("nvml", Source.DRIVER, 1.0, 1.0)
    driver.answers = [(fine,)]

    async def run() -> None:
        gpus = Gpus(CLOCK, driver, deadline=60.0)
        task = asyncio.create_task(gpus.collect())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await gpus.collect())[0].state is State.STARTING
        assert driver.answers == [(fine,)]
        driver.go.set()
        await gpus.close()

    asyncio.run(run())
