"""`chimera-top record`: write everything that is seen to a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chimera_top.config import length_of_time, prepare
from chimera_top.exit import Exit
from chimera_top.judge import judge
from chimera_top.locate import located
from chimera_top.recorder import Recorder
from chimera_top.session import Session
from chimera_top.sources import machine
from chimera_top.watch import marking, run_to_end
from collectors.clean import clean
from collectors.clock import Clock
from metrics.units import digits

if TYPE_CHECKING:
    import argparse


def run(flags: argparse.Namespace) -> int:
    """Record until the time is up or it is interrupted, which is the ordinary way to end it."""
    settings = prepare(flags)
    clock = Clock()
    there = located(settings, clock)
    recorder = Recorder(Path(flags.output))
    session = Session(
        [*there.collectors, *machine(settings, clock)],
        judge(settings, "live"),
        interval=settings.interval_seconds,
        clock=clock,
        recorder=recorder,
        ends_after=length_of_time("--for", flags.for_, 1.0, 7 * 86_400.0) if flags.for_ else None,
    )
    recorder.on_trouble = session.ended.set
    if flags.mark:
        session.mark(clean(flags.mark))
    there.follow(session.add)
    if there.note:
        sys.stderr.write(f"chimera-top: {there.note}\n")
    ending = f"for {flags.for_}" if flags.for_ else "until Ctrl-C"
    sys.stderr.write(f"chimera-top: recording {', '.join(there.names) or 'this host'} to {flags.output} {ending}\n")
    if recorder.found:
        sys.stderr.write(f"chimera-top: appending to {flags.output} ({digits(recorder.found / 1000)} kB there)\n")
    with marking(session):
        run_to_end(session)
    if recorder.trouble is not None:
        return Exit.FAILED  # and why is the last line on stderr
    sys.stderr.write(f"chimera-top: {recorder.written} samples written to {flags.output}\n")
    return Exit.OK
