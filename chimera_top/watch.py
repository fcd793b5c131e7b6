"""Watching without a screen: for a while, and then one Snapshot of exactly that while."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chimera_top.config import length_of_time
from chimera_top.exit import UsageError
from chimera_top.judge import judge
from chimera_top.locate import located
from chimera_top.recorder import Recorder
from chimera_top.session import Session
from chimera_top.sources import machine
from collectors.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chimera_top.config import Settings
    from metrics.snapshot import Snapshot


LOOK_SECONDS = 0.2
"""How soon a signal is noticed."""


def watch(settings: Settings, for_text: str) -> Snapshot:
    """Poll for so long and assess what was seen; interrupted, it speaks of what it saw until then."""
    seconds = length_of_time("--for", for_text, 1.0, 7 * 86_400.0)
    interval = dividing(settings.interval_seconds, seconds)
    clock = Clock()
    there = located(settings, clock)
    session = Session(
        [*there.collectors, *machine(settings, clock)],
        judge(settings, "report", there.names, seconds),
        interval=interval,
        clock=clock,
        recorder=Recorder(Path(settings.record)) if settings.record else None,
        ends_after=seconds,
    )
    there.follow(session.add)
    if there.note:
        sys.stderr.write(f"chimera-top: {there.note}\n")
    if sys.stderr.isatty():
        names = ", ".join(there.names) or "this host"
        sys.stderr.write(f"chimera-top: watching {names} for {for_text}; Ctrl-C ends it early\n")
    run_to_end(session)
    return session.snapshot()


def dividing(interval: float, seconds: float) -> float:
    """Shorten an interval so that a poll lies at the very end of a watch; raises UsageError where it is longer."""
    if interval > seconds:
        raise UsageError(f"--interval {interval:g} s is longer than --for {seconds:g} s: two polls are needed")
    return seconds / math.ceil(seconds / interval - 1e-9)


def run_to_end(session: Session) -> None:
    """Let a session run until it ends by itself, or SIGTERM, SIGHUP or Ctrl-C ends it."""
    with interrupted() as signals:
        session.start()
        while not signals and not session.ended.wait(LOOK_SECONDS):
            pass
    session.stop()
    if session.trouble:
        sys.stderr.write(f"chimera-top: {session.trouble}\n")


@contextlib.contextmanager
def marking(session: Session) -> Iterator[None]:
    """Mark a moment at each SIGUSR1, for the time of the block: a script knows the process that it started."""
    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: session.mark())
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


@contextlib.contextmanager
def interrupted() -> Iterator[list[int]]:
    """Collect the signals that ask for an end, for the time of the block.

    A list and no Event: a handler that sets the Event on which its own thread waits may wait for itself.
    """
    signals: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.signal(number, lambda number, _frame: signals.append(number)) for number in numbers}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
