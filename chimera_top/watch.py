"""Watching without a screen: for a while, and then one Snapshot of exactly that while."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chimera_top.config import length_of_time
from chimera_top.judge import judge
from chimera_top.recorder import Recorder
from chimera_top.session import Session
from chimera_top.sources import machine, servers
from collectors.clock import Clock

if TYPE_CHECKING:
    import threading

    from chimera_top.config import Settings
    from metrics.snapshot import Snapshot


def watch(settings: Settings, for_text: str) -> Snapshot:
    """Poll for so long and assess what was seen; interrupted, it speaks of what it saw until then."""
    seconds = length_of_time("--for", for_text, 1.0, 7 * 86_400.0)
    clock = Clock()
    targets = servers(settings, clock)
    session = Session(
        [*targets, *machine(settings, clock)],
        judge(settings, "report", tuple(target.name for target in targets), seconds),
        interval=settings.interval_seconds,
        clock=clock,
        recorder=Recorder(Path(settings.record)) if settings.record else None,
        ends_after=seconds,
    )
    run_to_end(session)
    return session.snapshot()


def run_to_end(session: Session) -> None:
    """Let a session run until it ends by itself, or SIGTERM, SIGHUP or Ctrl-C ends it."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: session.ended.set())
    session.start()
    wait(session.ended)
    session.stop()
    if session.trouble:
        sys.stderr.write(f"chimera-top: {session.trouble}\n")


def wait(event: threading.Event) -> None:
    """Wait without an end, but in steps: a signal's handler runs only between two of them."""
    while not event.wait(0.5):
        pass
