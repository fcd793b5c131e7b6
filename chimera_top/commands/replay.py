"""`chimera-top replay`: the live screen on a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chimera_top.config import prepare
from chimera_top.exit import Exit, FailureError, UsageError
from chimera_top.judge import judge
from chimera_top.screen import show
from chimera_top.session import Session
from collectors.clock import Clock
from collectors.replay import Recording, ReplayCollector, replay_clock
from metrics.recording import NotARecordingError
from tui.terminal import is_terminal

if TYPE_CHECKING:
    import argparse

    from chimera_top.config import Settings
    from chimera_top.screen import Publish


def run(flags: argparse.Namespace) -> int:
    """Show the screen on a recording."""
    settings = prepare(flags)
    if not 0.01 <= flags.speed <= 1000:
        raise UsageError(f"--speed {flags.speed:g} is out of range: at least 0.01, at most 1000")
    return play(settings, flags.file, flags.speed)


def play(settings: Settings, path: str, speed: float) -> int:
    """Replay a recording on the screen; without a terminal, report on it as text."""
    if not is_terminal():
        from chimera_top.export import write  # noqa: PLC0415 the screen does without it
        from chimera_top.lookback import look_back  # noqa: PLC0415
        from insight.report import render  # noqa: PLC0415

        write(render(look_back(settings, path), "text"), None)
        return Exit.OK
    samples = iter(Recording(Path(path)))
    try:
        first = next(samples, None)
    except NotARecordingError as error:
        raise FailureError(str(error)) from None
    except OSError as error:
        raise FailureError(f"cannot read {path}: {error.strerror}") from None
    if first is None:
        raise FailureError(f"{path} holds no Sample: nothing had been seen when it ended")
    assessor = judge(settings, "replay")

    def make(publish: Publish) -> Session:
        clock = Clock()
        now = replay_clock(clock, first, speed)
        return Session(
            [ReplayCollector(first, samples, now)],
            assessor,
            interval=settings.interval_seconds,
            clock=clock,
            now=now,
            publish=publish,
        )

    return show(settings, make, waiting_for=path)
