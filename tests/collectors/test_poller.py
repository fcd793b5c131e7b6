"""`collectors.poller`: the schedule in a time of its own, the thread in the real one."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from collectors.clock import Clock
from collectors.poller import Poller, next_tick
from metrics.sample import Sample, Source, State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

TICK = 2.0**-5
"""An interval that sums up without rounding, and whose quarter is a short wait."""


class Time:
    """A time that passes only while somebody sleeps, and ends after `ends` seconds."""

    def __init__(self, ends: float) -> None:
        self.now = 100.0
        self.ends = self.now + ends
        self.clock = Clock(wall=lambda: 1e9 + self.now, mono=lambda: self.now)

    async def sleep(self, seconds: float) -> None:
        await self._let_others_run()
        self.now += seconds
        if self.now > self.ends:
            raise asyncio.CancelledError
        await self._let_others_run()

    async def _let_others_run(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


class Look:
    """A collector that does what it is told."""

    kind = Source.SERVER

    def __init__(
        self, name: str, look: Callable[[], Awaitable[None]] | None = None, interval: float | None = None
    ) -> None:
        self.name = name
        self.interval = interval
        self.closed = 0
        self._look = look

    async def collect(self) -> Sequence[Sample]:
        if self._look is not None:
            await self._look()
        return [Sample(self.name, self.kind, 0.0, 0.0)]

    async def close(self) -> None:
        self.closed += 1


class Log:
    """Keeps what the poller delivers."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.changed = threading.Condition()

    def __call__(self, samples: Sequence[Sample]) -> None:
        with self.changed:
            self.samples += samples
            self.changed.notify_all()

    def of(self, source: str) -> list[Sample]:
        return [sample for sample in self.samples if sample.source == source]

    def wait(self, wanted: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(wanted, timeout=20)


def live(poller: Poller) -> None:
    """Run until its time ends."""
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(poller.run())


@given(
    start=st.floats(0, 1e6),
    interval=st.floats(0.01, 60),
    last=st.integers(0, 10_000),
    late=st.floats(0, 1e4),
)
def test_next_tick(start: float, interval: float, last: int, late: float) -> None:
    """The next tick is later than the last, not before now, and the first of its kind."""
    now = start + last * interval + late
    tick = next_tick(start, interval, last, now)
    slack = 1e-9 * max(now, 1.0)
    assert tick > last
    assert start + tick * interval >= now - slack
    assert tick == last + 1 or start + (tick - 1) * interval < now + slack


def test_ticks_missed() -> None:
    """A poll of 2.4 intervals misses two ticks; one that ends before the next, or on it, misses none."""
    assert next_tick(10.0, 1.0, 3, 13.4) == 4
    assert next_tick(10.0, 1.0, 3, 14.0) == 4
    assert next_tick(10.0, 1.0, 3, 15.4) == 6
    assert next_tick(10.0, 1.0, 3, 12.9999) == 4


def test_schedule_does_not_drift() -> None:
    """Polls begin at start + k * interval, whatever time the earlier ones took."""
    time = Time(ends=9 * TICK)
    begun = []

    async def look() -> None:
        begun.append((time.now - 100.0) / TICK)
        time.now += 0.3 * TICK

    live(Poller([Look("a", look)], TICK, time.clock, Log(), sleep=time.sleep))
    assert begun == [float(tick) for tick in range(10)]


def test_own_interval() -> None:
    """A collector with an interval of its own keeps to that one."""
    time = Time(ends=8 * TICK)
    log = Log()
    live(Poller([Look("slow", interval=4 * TICK), Look("usual")], TICK, time.clock, log, sleep=time.sleep))
    assert len(log.of("slow")) == 3
    assert len(log.of("usual")) == 9


def test_ticks_under_way_are_skipped_and_counted() -> None:
    """While a poll is under way none is begun and none is queued; the others go on; the monitor counts the ticks."""
    time = Time(ends=5 * TICK)
    log = Log()
    begun = []
    released = asyncio.Event()

    async def stall() -> None:
        begun.append((time.now - 100.0) / TICK)
        await released.wait()

    def tick(mono: float, _wall: float) -> None:
        if mono == 100.0 + 3 * TICK:
            released.set()

    looks = [Look("stalled", stall), Look("well")]
    live(Poller(looks, TICK, time.clock, log, on_tick=tick, sleep=time.sleep))
    assert begun == [0.0, 4.0, 5.0]
    counters = log.of("monitor")[-1].counters
    assert counters == {
        'polls_missed{collector="stalled"}': 3.0,
        'polls_overrun{collector="stalled"}': 0.0,
        'polls_missed{collector="well"}': 0.0,
        'polls_overrun{collector="well"}': 0.0,
    }
    assert len(log.of("well")) == 6


def test_a_thread_that_stood_still() -> None:
    """After a time in which nothing ran (a suspended process) one poll begins at once, and what went by is counted."""
    time = Time(ends=8 * TICK)
    log = Log()
    begun = []

    async def look() -> None:
        begun.append((time.now - 100.0) / TICK)

    def tick(mono: float, _wall: float) -> None:
        if mono == 100.0 + TICK:
            time.now += 4.5 * TICK

    live(Poller([Look("a", look)], TICK, time.clock, log, on_tick=tick, sleep=time.sleep))
    assert begun == [0.0, 1.0, 5.5, 6.0, 7.0, 8.0]
    assert log.of("monitor")[-1].counters['polls_missed{collector="a"}'] == 3.0


def test_a_collector_that_comes_later() -> None:
    """One that is added is polled at once and then on the ticks of the others, of which none is missed for it."""
    time = Time(ends=6.5 * TICK)
    log = Log()
    polled: dict[str, list[float]] = {"first": [], "usual": [], "slow": []}

    def noting(name: str) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            polled[name].append((time.now - 100.0) / TICK)

        return look

    def tick(mono: float, _wall: float) -> None:
        if mono == 100.0 + 2 * TICK:
            poller.add([Look("usual", noting("usual")), Look("slow", noting("slow"), 2.5 * TICK)])

    poller = Poller([Look("first", noting("first"))], TICK, time.clock, log, on_tick=tick, sleep=time.sleep)
    live(poller)
    assert polled["first"] == [float(tick) for tick in range(7)]
    assert polled["usual"] == [3.0, 4.0, 5.0, 6.0]
    assert polled["slow"] == [3.0, 5.0]
    assert set(log.of("monitor")[-1].counters.values()) == {0.0}


def test_collectors_are_added_from_another_thread_and_closed_at_the_end() -> None:
    """What another thread adds is polled in the poller's, and closed with the others."""
    log = Log()
    first, second = Look("first"), Look("second")
    poller = Poller([first], 0.01, Clock(), log)
    poller.start()
    log.wait(lambda: bool(log.of("first")))
    poller.add([second])
    log.wait(lambda: len(log.of("second")) >= 2)
    assert poller.stop()
    assert (first.closed, second.closed) == (1, 1)


def test_tick_comes_after_the_samples() -> None:
    """The caller draws its conclusions once an interval, when the samples of that tick are there."""
    time = Time(ends=3 * TICK)
    log = Log()
    seen: list[tuple[float, float, int]] = []

    async def look() -> None:
        await asyncio.sleep(0)

    def tick(mono: float, wall: float) -> None:
        seen.append((mono, wall, len(log.of("a"))))

    live(Poller([Look("a", look)], TICK, time.clock, log, on_tick=tick, sleep=time.sleep))
    assert seen == [(100.0 + k * TICK, 1e9 + 100.0 + k * TICK, k + 1) for k in range(4)]
    assert [sample.mono for sample in log.of("monitor")] == [100.0 + k * TICK for k in range(4)]


def test_the_monitor_tells_how_late_a_tick_began() -> None:
    """A sleep that ends a quarter of a tick late, as where this program gets no CPU, is told with that tick alone."""
    time = Time(ends=4 * TICK)
    log, slept = Log(), 0

    async def look() -> None:
        await asyncio.sleep(0)

    async def late(seconds: float) -> None:
        nonlocal slept
        slept += 1
        await time.sleep(seconds + (TICK / 4 if slept == 2 else 0.0))

    live(Poller([Look("a", look)], TICK, time.clock, log, sleep=late))
    lags = [sample.gauges["loop_lag_seconds"] for sample in log.of("monitor")]
    assert sorted(lags)[-2:] == [0.0, TICK / 4]


def test_a_stalled_collector_does_not_hold_up_the_tick() -> None:
    """A collector that never answers leaves the ticks where they are."""
    time = Time(ends=3 * TICK)
    ticks: list[float] = []

    async def stall() -> None:
        await asyncio.Event().wait()

    live(
        Poller(
            [Look("a", stall)], TICK, time.clock, Log(), on_tick=lambda mono, _: ticks.append(mono), sleep=time.sleep
        )
    )
    assert ticks == [100.0 + k * TICK for k in range(4)]


def test_a_fault_in_a_collector() -> None:
    """An exception that nobody foresaw becomes a Sample that says so, cleaned, and the others live on."""
    time = Time(ends=2 * TICK)
    log = Log()

    async def fail() -> None:
        raise KeyError("no such\nthing\x1b[2J")

    live(Poller([Look("bad", fail), Look("good")], TICK, time.clock, log, sleep=time.sleep))
    bad = log.of("bad")
    assert len(bad) == len(log.of("good")) == 3
    assert bad[0].state is State.DOWN
    assert bad[0].kind is Source.SERVER
    assert bad[0].reason.startswith("internal error: KeyError: ")
    assert bad[0].reason.isprintable()
    assert bad[0].mono == 100.0


def test_a_timeout_of_its_own_is_a_fault_not_an_overrun() -> None:
    """A TimeoutError that a collector raises itself is told from the deadline of the poll."""
    time = Time(ends=0.0)
    log = Log()

    async def fail() -> None:
        raise TimeoutError

    live(Poller([Look("bad", fail)], TICK, time.clock, log, sleep=time.sleep))
    assert log.of("bad")[0].reason == "internal error: TimeoutError"
    assert log.of("monitor")[0].counters['polls_overrun{collector="bad"}'] == 0.0


def test_a_fault_in_what_is_called() -> None:
    """An exception of the caller's own function does not end the polling: the next monitor Sample tells of it, once."""
    time = Time(ends=3 * TICK)
    log = Log()
    calls = []

    def tick(mono: float, _wall: float) -> None:
        calls.append(mono)
        if len(calls) == 2:
            raise ValueError("cannot assess")

    live(Poller([Look("a")], TICK, time.clock, log, on_tick=tick, sleep=time.sleep))
    assert [(sample.state, sample.reason) for sample in log.of("monitor")] == [
        (State.OK, ""),
        (State.OK, ""),
        (State.DOWN, "internal error: ValueError: cannot assess"),
        (State.OK, ""),
    ]


def test_overrun_in_its_thread() -> None:
    """A poll that passes its deadline is dropped, counted, and shows as a Sample within that deadline."""
    log = Log()
    cancelled = threading.Event()

    async def stall() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    look = Look("stalled", stall)
    poller = Poller([look], 0.05, Clock(), log, deadline=0.1)
    poller.start()
    log.wait(lambda: len(log.of("stalled")) >= 2)
    log.wait(lambda: log.of("monitor")[-1].counters['polls_overrun{collector="stalled"}'] >= 2)
    assert poller.stop()
    first = log.of("stalled")[0]
    assert (first.state, first.reason) == (State.DOWN, "no answer in 0.1 s; the poll was dropped")
    assert first.duration >= 0.1
    assert cancelled.is_set()
    assert look.closed == 1


def test_thread() -> None:
    """Collectors run in a thread of their own, and are closed when it stops; it stops once, and before it starts."""
    threads = set()
    log = Log()

    async def look() -> None:
        threads.add(threading.current_thread())

    looks = [Look("a", look), Look("b", look)]
    poller = Poller(looks, 0.01, Clock(), log)
    assert poller.stop()
    poller.start()
    log.wait(lambda: len(log.of("b")) >= 3)
    assert poller.stop()
    assert poller.stop()
    assert len(threads) == 1
    assert threading.current_thread() not in threads
    assert not threads.pop().is_alive()
    assert [look.closed for look in looks] == [1, 1]


def test_stop_while_a_collector_hangs() -> None:
    """A collector that hangs in a poll, and another that hangs while it closes, do not keep the program from ending."""
    began = threading.Event()

    class HangsInClose(Look):
        async def close(self) -> None:
            await asyncio.Event().wait()

    class FailsInClose(Look):
        async def close(self) -> None:
            raise OSError("gone")

    async def stall() -> None:
        began.set()
        await asyncio.Event().wait()

    last = Look("last")
    poller = Poller([Look("a", stall), HangsInClose("b"), FailsInClose("c"), last], 0.05, Clock(), Log())
    poller.start()
    assert began.wait(10)
    assert poller.stop(timeout=5.0)
    assert last.closed == 1


def test_stop_while_a_collector_blocks() -> None:
    """A collector that blocks the thread itself is left behind after the time that `stop` was given, and said to be."""
    began, release = threading.Event(), threading.Event()

    async def block() -> None:
        began.set()
        release.wait(30)

    poller = Poller([Look("a", block)], 0.05, Clock(), Log())
    poller.start()
    assert began.wait(10)
    assert not poller.stop(timeout=0.05)
    release.set()
    assert poller.stop(timeout=10.0)


def test_imports_without_aiohttp() -> None:
    """The poller and the server collector are imported without aiohttp: the screen paints before it is loaded."""
    code = (
        "import sys, collectors.poller, collectors.server, collectors.clock;"
        "bad = {'aiohttp', 'textual', 'insight', 'pynvml'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
