"""The series of a report as CSV, one value a row: for a spreadsheet or a data frame."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING

from insight.report.document import one_line
from metrics import units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.observed import Track
    from metrics.snapshot import Snapshot

HEADER = ("time", "source", "quantity", "unit", "value")
"""Columns are not taken away nor moved; more may follow. `time` is the end of a step, in UTC; `value` is in SI base
units as `unit` says, and empty where nothing was seen."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")
"""What a spreadsheet takes for the begin of a formula or a command."""


def series(snapshot: Snapshot) -> str:
    """Write every graph of every server and GPU of a Snapshot as rows, oldest first."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(HEADER)
    moments: dict[float, str] = {}
    sources = chain(
        ((target.id, target.tracks) for target in snapshot.targets),
        ((f"gpu:{gpu.uuid}", gpu.tracks) for gpu in snapshot.gpus),
    )
    for source, tracks in sources:
        for quantity, track in tracks.items():
            name, what, unit = plain(source), plain(quantity), plain(track.unit)
            for wall, value in _points(track):
                moment = moments.get(wall) or moments.setdefault(wall, units.rfc3339(wall))
                writer.writerow((moment, name, what, unit, _number(value)))
    return written.getvalue()


def plain(text: str) -> str:
    """Write a text so that no spreadsheet runs it: what would begin a formula gets a `'` before it (OWASP)."""
    text = one_line(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _points(track: Track) -> Iterator[tuple[float, float | None]]:
    first = track.end - (len(track.values) - 1) * track.step
    for index, value in enumerate(track.values):
        yield first + index * track.step, value


def _number(value: float | None) -> str:
    """Write nine digits, never as a power of ten, which some spreadsheets round."""
    if value is None:
        return ""
    text = f"{value:.9g}"
    return f"{Decimal(text):f}" if "e" in text else text
