"""Going through a recording as fast as it can be read, and then one Snapshot of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from chimera_top.config import length_of_time
from chimera_top.exit import FailureError
from chimera_top.judge import judge
from chimera_top.passage import Passage
from collectors.replay import Recording
from metrics.recording import NotARecordingError
from metrics.store import TIERS, Store, Tier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chimera_top.config import Settings
    from metrics.sample import Sample
    from metrics.snapshot import Snapshot

LOOKED_AT = 900
"""Polls of each source that are read: at one a second every one of a quarter of an hour, one in 4 s of an hour."""
LONGEST_STEP = 4.0
"""Seconds from one poll of a server to the next, whatever the length: the step-time model needs windows of 2-5 s."""
ASKED = 225
"""How often the rules are asked over the window while nothing begins or ends: once in 16 s of an hour, of which a graph
shows columns of 20 s."""
EXACT_ROWS = 20_000
"""Polls of a recording that are kept one by one, so that a report speaks of its first second: 5.5 h at one a second."""


def look_back(settings: Settings, path: str, for_text: str | None = None) -> Snapshot:
    """Assess all of a recording, or with `for_text` its last part.

    The rules are followed once an interval of the recording's own time, as they would have been live. Of more than a
    quarter of an hour not every poll is read (`metrics.recording.Reader`), and the rules are asked less often; whatever
    carries an event or another state is read all the same, and where something begins or ends the rules are asked as
    often as ever. An hour with eight GPUs then takes a second and not six.
    Raises FailureError, with one line, where the file cannot be read or holds nothing.
    """
    recording = Recording(Path(path))
    samples, first = begin(recording)
    asked = length_of_time("--for", for_text, 1.0, 365 * 86_400.0) if for_text else None
    length = asked or recording.seconds_from(first) or 0.0
    if length > LOOKED_AT:
        recording = Recording(Path(path), min(length / LOOKED_AT, LONGEST_STEP))
        samples, first = begin(recording)
    assessor = judge(settings, "replay")
    every = length / ASKED if length > LOOKED_AT else 0.0
    passage = Passage(Store((Tier(0.0, EXACT_ROWS), *TIERS[1:])), assessor, first, every=every)
    for sample in samples:
        passage.take(sample)
    tell_damage(recording)
    view = passage.view
    assessor.settings = replace(assessor.settings, window=asked or max(view.mono - first.mono, 1.0))
    return assessor.snapshot(view)


def begin(recording: Recording) -> tuple[Iterator[Sample], Sample]:
    """Read the first Sample; raises FailureError, with one line, where there is none."""
    samples = iter(recording)
    try:
        first = next(samples, None)
    except NotARecordingError as error:
        raise FailureError(str(error)) from None
    except OSError as error:
        raise FailureError(f"cannot read {recording.path}: {error.strerror or error}") from None
    if first is None:
        tell_damage(recording)
        raise FailureError(f"{recording.path} holds no Sample: nothing had been seen when it ended")
    return samples, first


def tell_damage(recording: Recording) -> None:
    """Say on stderr what could not be read so far, each kind in one line."""
    for line in recording.damage:
        sys.stderr.write(f"chimera-top: {recording.path}: {line}\n")
