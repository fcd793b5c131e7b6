"""`chimera-top [TARGET...]`: the live screen; without a terminal, a report as text."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chimera_top.config import prepare
from chimera_top.judge import judge, objectives
from chimera_top.quality import imported_quality, quality_plan
from chimera_top.recorder import Recorder
from chimera_top.screen import show
from chimera_top.sources import machine, named_recordings, probe_plan, secret_headers, target_names
from tui.terminal import is_terminal

if TYPE_CHECKING:
    import argparse

    from chimera_top.config import Settings
    from chimera_top.locate import Located, Named
    from chimera_top.screen import Publish
    from chimera_top.session import Session

FALLBACK_FOR = "10s"


def run(flags: argparse.Namespace) -> int:
    """Show the screen."""
    settings = prepare(flags)
    if recordings := named_recordings(settings):
        from chimera_top.commands import replay  # noqa: PLC0415 a recording as TARGET is rare

        return replay.play(settings, recordings[0], 1.0)
    if not is_terminal():
        return print_report(settings)
    return watch_live(settings)


def watch_live(settings: Settings) -> int:
    """Show the screen on the servers that the settings name; what is wrong with them is said before it."""
    names = target_names(settings)
    secret_headers(settings, os.environ)
    objectives(settings)
    if settings.probe:
        probe_plan(settings)
    quality_plan(settings)
    imported_quality(settings)
    recorder = Recorder(Path(settings.record)) if settings.record else None
    watched: list[Named | Located] = []

    def make(publish: Publish) -> Session:
        from chimera_top.locate import located  # noqa: PLC0415 after the first paint
        from chimera_top.session import Session  # noqa: PLC0415
        from collectors.clock import Clock  # noqa: PLC0415

        clock = Clock()
        there = located(settings, clock)
        watched.append(there)
        session = Session(
            [*there.collectors, *machine(settings, clock)],
            judge(settings, "live", there.names),
            interval=settings.interval_seconds,
            clock=clock,
            publish=publish,
            recorder=recorder,
        )
        there.follow(session.add)
        return session

    waiting_for = ", ".join(names) if settings.targets else "the servers of this host"
    code = show(settings, make, waiting_for=waiting_for)
    for there in watched:
        if there.note:  # not before: the screen was there, and a server may have come meanwhile
            sys.stderr.write(f"chimera-top: {there.note}\n")
    return code


def print_report(settings: Settings) -> int:
    """Do as `report --format text` does, where there is no terminal to show a screen on."""
    from chimera_top.commands.report import seen  # noqa: PLC0415 the screen does without it
    from chimera_top.exit import Exit  # noqa: PLC0415
    from chimera_top.export import write  # noqa: PLC0415
    from insight.report import render  # noqa: PLC0415
    from insight.report.redact import redact  # noqa: PLC0415

    sys.stderr.write(f"chimera-top: no terminal here: watching for {FALLBACK_FOR}, then a report as text\n")
    write(render(redact(seen(settings, None, None, FALLBACK_FOR)), "text"), None)
    return Exit.OK
