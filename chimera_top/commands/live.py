"""`chimera-top [TARGET...]`: the live screen; without a terminal, a report as text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chimera_top.config import prepare
from chimera_top.screen import can_show, show

if TYPE_CHECKING:
    import argparse

    from chimera_top.config import Settings
    from chimera_top.screen import Publish
    from chimera_top.session import Session

FALLBACK_FOR = "10s"


def run(flags: argparse.Namespace) -> int:
    """Show the screen."""
    settings = prepare(flags)
    if len(settings.targets) == 1 and "://" not in settings.targets[0] and Path(settings.targets[0]).is_file():
        from chimera_top.commands import replay  # noqa: PLC0415 a recording as TARGET is rare

        return replay.play(settings, settings.targets[0], 1.0)
    if not can_show():
        return print_report(settings)
    return watch_live(settings)


def watch_live(settings: Settings) -> int:
    """Show the screen on the servers that the settings name; what is wrong with them is said before it."""
    from chimera_top.judge import judge  # noqa: PLC0415 the report without a terminal has its own
    from chimera_top.recorder import Recorder  # noqa: PLC0415
    from chimera_top.session import Session  # noqa: PLC0415
    from chimera_top.sources import machine, servers  # noqa: PLC0415
    from collectors.clock import Clock  # noqa: PLC0415

    clock = Clock()
    targets = servers(settings, clock)
    names = tuple(target.name for target in targets)
    assessor = judge(settings, "live", names)
    recorder = Recorder(Path(settings.record)) if settings.record else None

    def make(publish: Publish) -> Session:
        return Session(
            [*targets, *machine(settings, clock)],
            assessor,
            interval=settings.interval_seconds,
            clock=clock,
            publish=publish,
            recorder=recorder,
        )

    return show(settings, make, waiting_for=", ".join(names))


def print_report(settings: Settings) -> int:
    """Do as `report --format text` does, where there is no terminal to show a screen on."""
    from chimera_top.commands.report import seen  # noqa: PLC0415 the screen does without it
    from chimera_top.exit import Exit  # noqa: PLC0415
    from chimera_top.export import write  # noqa: PLC0415
    from insight.report import render  # noqa: PLC0415

    sys.stderr.write(f"chimera-top: no terminal here: watching for {FALLBACK_FOR}, then a report as text\n")
    write(render(seen(settings, None, None, FALLBACK_FOR), "text"), None)
    return Exit.OK
