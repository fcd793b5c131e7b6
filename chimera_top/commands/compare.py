"""`chimera-top compare`: two times of one server, what changed, and whether it is more than noise."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from chimera_top import __version__
from chimera_top.commands.report import check_output
from chimera_top.config import prepare
from chimera_top.exit import Exit, FailureError, UsageError
from chimera_top.export import write
from chimera_top.ledger import default_path, keep, line
from chimera_top.sides import pairs, read, split
from insight.quality.statistics import Interval
from insight.report.markdown import markdown
from insight.report.text import text
from insight.verification.blocks import blocks
from insight.verification.comparison import Comparison, compare
from insight.verification.followed import unknown_ids
from insight.verification.prediction import Prediction
from insight.verification.predictions import score, verify

if TYPE_CHECKING:
    import argparse

    from chimera_top.config import Settings
    from insight.report.document import Block
    from insight.verification.side import Side


class Compared(Struct, frozen=True):
    """One server: what `--format json` prints a list of."""

    comparison: Comparison
    predictions: tuple[Prediction, ...]


class Document(Struct, frozen=True):
    """All that `--format json` prints."""

    servers: tuple[Compared, ...]
    score: Interval | None
    """Share of all predictions so far that came within their interval; those of simulated servers are left out."""


def run(flags: argparse.Namespace) -> int:
    """Compare, keep what could be told of predictions, and answer 0 (no worse), 1 (worse) or 3 (cannot be told)."""
    settings = prepare(flags)
    check_output(flags.output)
    sides, mark = _read(settings, flags.before, flags.after, flags.mark, flags.server)
    found: list[Compared] = []
    lines = []
    for before, after in sides:
        _refuse(before, after, force=flags.force)
        for name in unknown_ids(before, flags.applied):
            sys.stderr.write(f"chimera-top: --applied {name}: {before.label} gave no such advice with a prediction\n")
        predictions = verify(before, after, flags.applied, mark)
        lines += [line(before, after, each, __version__) for each in predictions]
        found.append(Compared(compare(before, after), predictions))
    kept = keep(default_path(os.environ), lines)
    past = score(each.prediction for each in kept if not each.simulated)
    write(_written(found, past, flags.format), flags.output)
    return _code(found)


def _read(
    settings: Settings, before: str, after: str | None, mark: str | None, server: str | None
) -> tuple[list[tuple[Side, Side]], str]:
    """Read both sides, and the text of the mark between them."""
    if mark is not None:
        if after is not None:
            raise UsageError("--mark splits one recording: give BEFORE alone, or BEFORE and AFTER without --mark")
        earlier, later, event = split(settings, before, mark)
        return pairs(earlier, later, server), event.text
    if after is None:
        raise UsageError("give AFTER as well, or --mark to split BEFORE at a mark")
    if _same_file(before, after):
        raise UsageError(f"BEFORE and AFTER are the same file, {before}: to split it at a mark give --mark")
    return pairs(read(settings, before, advice=True), read(settings, after, advice=False), server), ""


def _same_file(before: str, after: str) -> bool:
    try:
        return Path(before).samefile(after)
    except OSError:
        return False  # reading it says what is wrong


def _refuse(before: Side, after: Side, *, force: bool) -> None:
    """Raise FailureError where the two serve different models: a difference would say nothing about the change."""
    if before.model and after.model and before.model != after.model and not force:
        raise FailureError(
            f"{before.label} is of {before.model}, {after.label} of {after.model}: another model has other numbers "
            "whatever was changed; --force compares them all the same"
        )


def _written(found: list[Compared], past: Interval | None, form: str) -> bytes:
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(Document(tuple(found), past)), indent=2) + b"\n"
    said: list[Block] = []
    for each in found:
        said += blocks(each.comparison, each.predictions, past)
    return (markdown(said) if form == "md" else text(said)).encode()


def _code(found: list[Compared]) -> Exit:
    outcomes = {each.comparison.outcome for each in found}
    if "worse" in outcomes:
        return Exit.FAILED
    return Exit.CHECK_UNKNOWN if "not told" in outcomes else Exit.OK
