"""`chimera-top demo`: the same screen on a simulated server, simulated GPUs and a simulated host."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from chimera_top.config import prepare
from chimera_top.exit import Exit
from chimera_top.judge import judge, objectives
from chimera_top.recorder import Recorder
from chimera_top.scenarios import scenario
from chimera_top.screen import show
from tui.terminal import is_terminal

if TYPE_CHECKING:
    import argparse

    from chimera_top.screen import Publish
    from chimera_top.session import Session

FALLBACK_SECONDS = 10.0


def run(flags: argparse.Namespace) -> int:
    """Show the screen on a scenario; without a terminal, a report of its first seconds as text."""
    settings = prepare(flags)
    simulated = scenario(flags.scenario)
    shown = is_terminal()
    objectives(settings)
    recorder = Recorder(Path(settings.record)) if settings.record else None
    running = ExitStack()

    def make(publish: Publish | None = None, ends_after: float | None = None) -> Session:
        from chimera_top.session import Session  # noqa: PLC0415 after the first paint, as all below
        from collectors.clock import Clock  # noqa: PLC0415
        from collectors.server import ServerCollector  # noqa: PLC0415
        from simulator.http import serve_in_thread  # noqa: PLC0415

        clock = Clock()
        server = serve_in_thread(simulated, seed=flags.seed, clock=clock)
        running.callback(server.close)
        return Session(
            [ServerCollector(server.url, clock=clock), server.gpus, server.host],
            judge(settings, "demo", window=None if shown else FALLBACK_SECONDS),
            interval=settings.interval_seconds,
            clock=clock,
            publish=publish,
            recorder=recorder,
            ends_after=ends_after,
        )

    with running:
        if shown:
            return show(settings, make, waiting_for=f"the simulated server ({flags.scenario})")
        sys.stderr.write(f"chimera-top: no terminal here: {FALLBACK_SECONDS:.0f} s of the demo, then a report\n")
        return _report(make(ends_after=FALLBACK_SECONDS))


def _report(session: Session) -> int:
    from chimera_top.export import write  # noqa: PLC0415 the screen does without it
    from chimera_top.watch import run_to_end  # noqa: PLC0415
    from insight.report import render  # noqa: PLC0415
    from insight.report.redact import redact  # noqa: PLC0415

    run_to_end(session)
    write(render(redact(session.snapshot()), "text"), None)
    return Exit.OK
