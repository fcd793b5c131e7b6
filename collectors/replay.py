"""A recording as a source like any other: the same Samples, at the same distances in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from collectors.clean import clean
from metrics.quantity import QUANTITIES
from metrics.recording import NotARecordingError, Reader
from metrics.sample import Event, Missing, Process, Sample, Source
from metrics.series import split_series

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from collectors.clock import Clock

_BACKWARDS_SECONDS = 5.0
"""Samples of one run may arrive this much out of order; more, and another run was appended."""


class Recording:
    """The Samples of a recording file, on one monotonic clock also where several runs were appended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: list[str] = []
        """After reading: one line for each place where something could not be read."""

    def __iter__(self) -> Iterator[Sample]:
        """Yield every Sample that can be read.

        Raises OSError where the file cannot be opened, and NotARecordingError, with the file's name, where it is none.
        """
        with self.path.open("rb") as stream:
            try:
                reader = Reader(stream)
            except NotARecordingError as error:
                message = f"{self.path} is not a recording: {error}"
                raise NotARecordingError(message) from None
            shift, last = 0.0, None
            for sample in reader:
                if last is not None and sample.mono + shift < last.mono - _BACKWARDS_SECONDS:
                    # Another boot, another monotonic clock: go on by what passed on the wall.
                    shift = last.mono + max(1.0, sample.wall - last.wall) - sample.mono
                last = replace(harmless(sample), mono=sample.mono + shift)
                yield last
            self.damage = reader.damage


def harmless(sample: Sample) -> Sample:
    """Clean what a foreign recording may hold: its text is as much from outside as a server's.

    Series of quantities that this version does not know are left out.
    """
    return replace(
        sample,
        source=clean(sample.source),
        reason=clean(sample.reason, 400),
        counters={clean(name): value for name, value in sample.counters.items() if _known(name)},
        gauges={clean(name): value for name, value in sample.gauges.items() if _known(name)},
        histograms={clean(name): each for name, each in sample.histograms.items() if _known(name)},
        facts={clean(name): clean(value) for name, value in sample.facts.items()},
        processes=tuple(_harmless_process(process) for process in sample.processes),
        events=tuple(Event(e.wall, clean(e.kind), clean(e.text), e.code) for e in sample.events),
        missing=tuple(Missing(clean(m.what), clean(m.why), clean(m.consequence)) for m in sample.missing),
    )


def _known(name: str) -> bool:
    return split_series(name)[0] in QUANTITIES


def _harmless_process(process: Process) -> Process:
    return replace(
        process,
        name=None if process.name is None else clean(process.name),
        user=None if process.user is None else clean(process.user),
    )


class ReplayCollector:
    """Gives the Samples of a recording when their time has come, `speed` times as fast as they were seen."""

    name = "replay"
    kind = Source.MONITOR
    interval: float | None = None

    def __init__(self, first: Sample, rest: Iterator[Sample], clock: Clock) -> None:
        self._next: Sample | None = first
        self._rest = rest
        self._clock = clock

    async def collect(self) -> Sequence[Sample]:
        """Give every Sample up to now, on the recording's own clock."""
        due: list[Sample] = []
        while self._next is not None and self._next.mono <= self._clock.mono():
            due.append(self._next)
            self._next = next(self._rest, None)
        return due

    async def close(self) -> None:
        """Nothing is held open."""


def replay_clock(clock: Clock, first: Sample, speed: float) -> Clock:
    """Make the clock of a replay: it starts at the first Sample and runs `speed` times as fast as `clock`."""
    began = clock.mono()
    lead = first.duration  # a Sample is stamped at the middle of its poll, so others of the same tick may lie before it

    def elapsed() -> float:
        return (clock.mono() - began) * speed + lead

    return replace(clock, mono=lambda: first.mono + elapsed(), wall=lambda: first.wall + elapsed())
