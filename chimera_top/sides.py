"""The two times that `compare` speaks of, read from recordings and reports."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from chimera_top.exit import FailureError, UsageError
from chimera_top.judge import judge
from chimera_top.lookback import EXACT_ROWS, tell_damage
from chimera_top.passage import Passage
from collectors.replay import Recording
from insight.verification.side import Side, of_recording, of_snapshot
from insight.verification.spells import SETTLE_SECONDS, beginnings, changed_at
from metrics.recording import HEADER, NotARecordingError
from metrics.sample import Event, Sample, Source
from metrics.snapshot import SCHEMA_VERSION, Snapshot
from metrics.store import TIERS, Store, Tier
from metrics.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chimera_top.config import Settings

ASKED_SECONDS = 900.0
"""The rules are asked about the last quarter of an hour before a comparison's middle: no finding takes longer to last,
and what they advise then is what may have been followed."""
MOST_JSON_BYTES = 64 * 2**20
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What bytes that are no JSON of ours end in; the last where they are nested thousands deep."""


class _Head(msgspec.Struct):
    schema_version: int


def read(settings: Settings, path: str, *, advice: bool) -> list[Side]:
    """Read every server of a recording or a report; with `advice` also what was recommended at its end.

    Raises FailureError, with one line, where that cannot be done.
    """
    begin = _beginning(path)
    if begin.startswith(HEADER[:-2]):
        recording = Recording(Path(path))
        found = _sides(settings, _samples(recording), Path(path).name, _end(recording) if advice else None)
        tell_damage(recording)
        return found
    return _of_json(path, begin)


def split(settings: Settings, path: str, name: str) -> tuple[list[Side], list[Side], Event]:
    """Read every server of a recording before a mark, and after it; and the mark. Raises FailureError.

    Before begins at the mark before it, and after ends at the one behind it: each may stand for a change of its own.
    """
    if not _beginning(path).startswith(HEADER[:-2]):
        raise UsageError(f"--mark splits a recording, and {path} is none: give BEFORE and AFTER")
    recording = Recording(Path(path))
    marks, begun = _happened(recording)
    tell_damage(recording)
    mark = _chosen(path, marks, name)
    others = [each for each in marks if abs(each.wall - mark.wall) >= SETTLE_SECONDS]
    begin = max((each.wall for each in others if each.wall < mark.wall), default=-math.inf)
    walls = [each.wall for each in marks]
    end = min((changed_at(begun, each.wall, walls) for each in others if each.wall > mark.wall), default=math.inf)
    middle = changed_at(begun, mark.wall, walls)
    before, after = f"before {mark.text}", f"after {mark.text}"
    return (
        _sides(settings, _between(path, begin, middle), before, middle, settled=begin == -math.inf),
        _sides(settings, _between(path, middle, end), after, None, settled=False),
        mark,
    )


def _happened(recording: Recording) -> tuple[list[Event], list[float]]:
    """List the marks, and when a server was seen to have begun anew."""
    store, last = Store(), 0.0
    marks: list[Event] = []
    for sample in _samples(recording):
        for event in sample.events:
            if event.kind == "mark":
                marks.append(replace(event, text=event.text or f"mark {len(marks) + 1}"))
        last = sample.wall
        if sample.kind is Source.SERVER:
            store.add(sample)
    view = View(store, math.inf, last)
    return marks, [wall for source in view.all(Source.SERVER) for wall in beginnings(source)]


def _between(path: str, begin: float, end: float) -> Iterator[Sample]:
    return (sample for sample in _samples(Recording(Path(path))) if begin <= sample.wall < end)


def pairs(before: list[Side], after: list[Side], target: str | None) -> list[tuple[Side, Side]]:
    """Put the servers of both together: by their address, or where each has but one, that. Raises FailureError."""
    if target is not None:
        before, after = ([each for each in sides if each.target == target] for sides in (before, after))
        if not before or not after:
            raise FailureError(f"--server {target}: not in both; leave it out to see what is")
    if len(before) == 1 and len(after) == 1:
        return [(before[0], after[0])]
    found = [(one, other) for one in before for other in after if one.target == other.target]
    if not found:
        names = ", ".join(dict.fromkeys(each.target for each in (*before, *after)))
        raise FailureError(f"no server is in both, of {names}: compare recordings of one server each")
    return found


def _beginning(path: str) -> bytes:
    try:
        with Path(path).open("rb") as stream:
            return stream.read(len(HEADER))
    except OSError as error:
        raise FailureError(f"cannot read {path}: {error.strerror or error}") from None


def _of_json(path: str, begin: bytes) -> list[Side]:
    if not begin.strip():
        raise FailureError(f"{path} is empty: give a recording, or a report written with --format json")
    if not begin.lstrip().startswith(b"{"):
        raise FailureError(f"{path} is neither a recording nor a report written with --format json")
    try:
        if Path(path).stat().st_size > MOST_JSON_BYTES:
            raise FailureError(f"{path} is larger than any report: give a recording, or a report as JSON")
        content = Path(path).read_bytes()
        version = msgspec.json.decode(content, type=_Head).schema_version
    except _UNREADABLE as error:
        raise FailureError(f"{path} is no report of chimera-top: {error}") from None
    if version != SCHEMA_VERSION:
        raise FailureError(
            f"{path} was written in version {version} of the report's schema, and this is {SCHEMA_VERSION}: "
            "write it again from its recording (report --replay FILE --format json)"
        )
    try:
        snapshot = msgspec.json.decode(content, type=Snapshot)
    except _UNREADABLE as error:
        raise FailureError(f"{path} is no whole report: {error}") from None
    if not snapshot.targets:
        raise FailureError(f"{path} is a report without a server: there is nothing to compare")
    return [of_snapshot(snapshot, each, Path(path).name) for each in snapshot.targets]


def _samples(recording: Recording) -> Iterator[Sample]:
    """Read a recording; raises FailureError, with one line, where it is none."""
    try:
        yield from recording
    except NotARecordingError as error:
        raise FailureError(str(error)) from None
    except OSError as error:
        raise FailureError(f"cannot read {recording.path}: {error.strerror or error}") from None


def _end(recording: Recording) -> float:
    """Tell when a recording ends, in seconds since the epoch; for ever where that is not known."""
    first = next(_samples(recording), None)
    seconds = None if first is None else recording.seconds_from(first)
    return math.inf if first is None or seconds is None else first.wall + seconds


def _sides(
    settings: Settings, samples: Iterator[Sample], label: str, advised_at: float | None, *, settled: bool = True
) -> list[Side]:
    """Live through Samples, and take what was seen of every server, and what was advised at a moment."""
    first = next(samples, None)
    if first is None:
        raise FailureError(f"{label}: it holds no Sample; nothing had been seen")
    assessor = judge(settings, "replay")
    asks_from = math.inf if advised_at is None else first.mono + advised_at - first.wall - ASKED_SECONDS
    passage = Passage(Store((Tier(0.0, EXACT_ROWS), *TIERS[1:])), assessor, first, asks_from)
    for sample in samples:
        passage.take(sample)
    view = passage.view
    assessor.settings = replace(assessor.settings, window=max(view.mono - first.mono, 1.0))
    snapshot = assessor.snapshot(view)
    known = view.ids(Source.SERVER)
    found = [
        of_recording(snapshot, target, view.of(target.id), label, settled=settled)
        for target in snapshot.targets
        if target.id in known and view.of(target.id).newest_ok is not None
    ]
    if not found:
        raise FailureError(f"{label}: no server answered; there is nothing to compare")
    return found


def _chosen(path: str, marks: list[Event], name: str) -> Event:
    """Find a mark by its number in the order of the recording, its text, or its time of day."""
    if not marks:
        raise FailureError(f"{path} holds no mark: set one with m on the screen, or record --mark TEXT")
    if name.isdigit() and 1 <= int(name) <= len(marks):
        return marks[int(name) - 1]
    found = [each for each in marks if each.text.lower() == name.lower()]
    found = found or [each for each in marks if name.lower() in each.text.lower()]
    found = found or [each for each in marks if _clock(each.wall).startswith(name)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"{number} {each.text!r} {_clock(each.wall)}" for number, each in enumerate(marks, 1))
    said = "is no mark" if not found else f"names {len(found)} marks"
    raise FailureError(f"--mark {name} {said} of {path}; it has {there}: name one by its number")


def _clock(wall: float) -> str:
    return datetime.fromtimestamp(wall).astimezone().strftime("%H:%M:%S")
