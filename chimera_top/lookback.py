"""Going through a recording as fast as it can be read, and then one Snapshot of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from chimera_top.config import length_of_time
from chimera_top.exit import FailureError
from chimera_top.judge import judge
from collectors.replay import Recording
from metrics.recording import NotARecordingError
from metrics.store import TIERS, Store, Tier
from metrics.view import View

if TYPE_CHECKING:
    from chimera_top.config import Settings
    from insight.assess import Assessor
    from metrics.snapshot import Snapshot

EXACT_ROWS = 20_000
"""Polls of a recording that are kept one by one, so that a report speaks of its first second: 5.5 h at one a second."""


def look_back(settings: Settings, path: str, for_text: str | None = None) -> Snapshot:
    """Assess all of a recording, or with `for_text` its last part.

    The rules are followed once an interval of the recording's own time, as they would have been live. Raises
    FailureError, with one line, where the file cannot be read or holds nothing.
    """
    recording = Recording(Path(path))
    store = Store((Tier(0.0, EXACT_ROWS), *TIERS[1:]))
    assessor = judge(settings, "replay")
    try:
        last = _follow(recording, store, assessor, settings.interval_seconds)
    except NotARecordingError as error:
        raise FailureError(str(error)) from None
    except OSError as error:
        raise FailureError(f"cannot read {path}: {error.strerror}") from None
    for line in recording.damage:
        sys.stderr.write(f"chimera-top: {path}: {line}\n")
    if last is None:
        raise FailureError(f"{path} holds no Sample: nothing had been seen when it ended")
    begun = min(history.first_mono for history in store.sources.values())
    window = length_of_time("--for", for_text, 1.0, 365 * 86_400.0) if for_text else max(last.mono - begun, 1.0)
    assessor.settings = replace(assessor.settings, window=window)
    return assessor.snapshot(last)


def _follow(recording: Recording, store: Store, assessor: Assessor, interval: float) -> View | None:
    """Take in every Sample; returns the View after the last, None where there is none."""
    due: float | None = None
    view: View | None = None
    for sample in recording:
        if due is not None and sample.mono >= due and view is not None:
            assessor.observe(view)
            due = max(due + interval, sample.mono)
        due = sample.mono + interval if due is None else due
        store.add(sample)
        view = View(store, sample.mono, sample.wall, interval)
    if view is not None:
        assessor.observe(view)
    return view
