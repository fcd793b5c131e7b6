"""A recording as a source: the same Samples, made harmless, on one clock, at the same distances in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from collectors.harmless import harmless
from metrics.recording import NotARecordingError, Reader, last_sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from collectors.clock import Clock
    from metrics.sample import Sample

_SAME_CLOCK_SECONDS = 5.0
"""Two runs whose monotonic clocks are as far apart as their wall clocks, but for this, were recorded in one boot."""
_LONGEST_STEP_SECONDS = 86_400.0
"""Within a run, no two Samples lie further apart than a day: where the wall says otherwise, it is right."""
_BUSY_SECONDS = 0.5
"""A replay that cannot keep up gives others their turn after so long; a hundred thousandfold speed is as fast as it
can be read."""


class Recording:
    """The Samples of a recording file, on one monotonic clock also where several runs were appended."""

    def __init__(self, path: Path, every: float = 0.0) -> None:
        self.path = path
        self._every = every
        """Seconds from one poll of a source that is taken to the next; 0: all are (`metrics.recording.Reader`)."""
        self._reader: Reader | None = None
        self._left_out = 0
        self._broken_off: str | None = None

    @property
    def damage(self) -> list[str]:
        """What was met so far: a line for what could not be read, and one for what was read and cannot be true."""
        lines = [self._reader.damage] if self._reader is not None and self._reader.damage else []
        if self._left_out:
            lines.append(f"values and times that cannot be true were left out: {self._left_out}")
        if self._broken_off is not None:
            lines.append(f"it could not be read to its end: {self._broken_off}")
        return lines

    def __iter__(self) -> Iterator[Sample]:
        """Yield every Sample that can be read.

        Raises OSError where the file cannot be opened, and NotARecordingError, with the file's name, where it is none.
        """
        with self.path.open("rb") as stream:
            try:
                self._reader = Reader(stream, self._every)
            except NotARecordingError as error:
                message = f"{self.path} is not a recording: {error}"
                raise NotARecordingError(message) from None
            try:
                yield from self._joined(self._reader)
            except OSError as error:
                self._broken_off = error.strerror or str(error)

    def seconds_from(self, first: Sample) -> float | None:
        """Tell how long it lasts from its first Sample on, without reading all of it; None where that is not known."""
        try:
            with self.path.open("rb") as stream:
                last = last_sample(stream)
        except (OSError, NotARecordingError):
            return None
        sound = harmless(last)[0] if last is not None else None
        return None if sound is None else max(0.0, sound.wall - first.wall)

    def _joined(self, reader: Reader) -> Iterator[Sample]:
        """Put the runs on one clock: another boot goes on by what passed on the wall, at least one second."""
        shift, run = 0.0, reader.run
        last: Sample | None = None
        given: Sample | None = None
        for raw in reader:
            sample, left_out = harmless(raw)
            self._left_out += left_out
            if sample is None:
                continue
            if last is not None and given is not None:
                passed = sample.wall - last.wall
                step = sample.mono - last.mono
                another = reader.run != run or abs(step) > _LONGEST_STEP_SECONDS
                if another and abs(step - passed) > _SAME_CLOCK_SECONDS:
                    shift = given.mono + max(1.0, passed) - sample.mono
            run, last = reader.run, sample
            given = replace(sample, mono=sample.mono + shift) if shift else sample
            yield given


class Playback:
    """Gives the Samples after the first when their time has come, `speed` times as fast as they were seen."""

    def __init__(self, first: Sample, rest: Iterator[Sample], clock: Clock, speed: float) -> None:
        self._next = next(rest, None)
        self._rest = rest
        self._clock = clock
        self._speed = speed
        self._began = clock.mono()
        # A Sample is stamped at the middle of its poll, so others of the first tick may lie a little later.
        self._origin = first.mono + first.duration

    @property
    def ended(self) -> bool:
        """Every Sample was given."""
        return self._next is None

    def due(self) -> Iterator[Sample]:
        """Give the Samples up to now, on the recording's own clock; where they are too many, the rest comes next time.

        What was read at a place cannot be given out of order: a Sample whose time has not come holds up those behind.
        """
        begun = self._clock.mono()
        until = self._origin + (begun - self._began) * self._speed
        while self._next is not None and self._next.mono <= until:
            sample, self._next = self._next, next(self._rest, None)
            yield sample
            if self._clock.mono() - begun > _BUSY_SECONDS:
                return
