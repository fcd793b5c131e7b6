"""`chimera-top replay`: the live screen on a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from chimera_top.config import prepare
from chimera_top.exit import Exit, UsageError
from chimera_top.judge import judge
from chimera_top.lookback import begin, tell_damage
from chimera_top.passage import Passage
from chimera_top.screen import show
from chimera_top.session import Session
from collectors.clock import Clock
from collectors.replay import Playback, Recording
from metrics.sample import Sample, Source
from metrics.store import Store
from tui.terminal import is_terminal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from chimera_top.config import Settings
    from chimera_top.screen import Publish
    from metrics.snapshot import Snapshot
    from metrics.view import View

TICK_SECONDS = 1.0
"""From Snapshot to Snapshot, whatever the interval of the recording and the speed."""


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
        from insight.report.redact import redact  # noqa: PLC0415

        write(render(redact(look_back(settings, path)), "text"), None)
        return Exit.OK
    recording = Recording(Path(path))
    samples, first = begin(recording)
    code = show(
        settings,
        lambda publish: replayed(settings, recording, samples, first, Clock(), speed, publish),
        waiting_for=path,
    )
    tell_damage(recording)
    return code


def replayed(
    settings: Settings,
    recording: Recording,
    samples: Iterator[Sample],
    first: Sample,
    clock: Clock,
    speed: float,
    publish: Publish,
) -> Session:
    """Make the session that lives through a recording.

    Its Snapshots tell in `monitor` where it is: `replay_position` and, where it is known, `replay_seconds`, the length
    of the recording, both in seconds, and `replay_ended`, 1 once the last Sample was seen and the picture stands.
    """
    assessor = judge(settings, "replay")
    passage = Passage(Store(), assessor, first)
    playback = Playback(first, samples, clock, speed)
    length = recording.seconds_from(first)

    def look() -> View:
        for sample in playback.due():
            passage.take(sample)
        view = passage.view
        while session.marks:  # shown like those that were recorded, and written nowhere
            passage.take(Sample("monitor", Source.MONITOR, view.wall, view.mono, events=(session.marks.popleft(),)))
        return view

    def tell(snapshot: Snapshot) -> None:
        position = max(0.0, snapshot.generated_wall - first.wall)
        place = {"replay_ended": float(playback.ended), "replay_position": position}
        if length is not None:
            place["replay_seconds"] = max(length, position)
        publish(replace(snapshot, monitor={**snapshot.monitor, **place}))

    session = Session([], assessor, interval=TICK_SECONDS, clock=clock, look=look, publish=tell)
    return session
