"""The passes over the items, in order: what a rule that speaks of batches goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from insight.quality.summary import newest
from metrics.quality import Graded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from metrics.view import SourceView


class Batch(Struct, frozen=True):
    """One pass, or as much of it as there is."""

    number: int
    """Counted from 0 by the program that asked; it begins anew when that is started anew."""
    began: float
    """Seconds since the epoch, at the end of its first answer."""
    ended: float
    graded: tuple[Graded, ...]
    """Everything that was asked in it, all arms and failures among it, in order."""

    @property
    def answers(self) -> dict[str, Graded]:
        """What was answered, by the id of the item; of an item in several arms, the first."""
        return newest(self.graded)


def batches(graded: Iterable[Graded]) -> list[Batch]:
    """Divide what was asked of one server into its passes, in order; the last may still be under way.

    A pass asks nothing twice: where the number stays and a question comes again, the program was started anew.
    """
    passes: list[list[Graded]] = []
    asked: set[tuple[str, str]] = set()
    for each in graded:
        if not passes or passes[-1][-1].round != each.round or (each.item, each.arm) in asked:
            passes.append([])
            asked.clear()
        passes[-1].append(each)
        asked.add((each.item, each.arm))
    return [Batch(rows[0].round, rows[0].wall, rows[-1].wall, tuple(rows)) for rows in passes]


def finished(source: SourceView) -> list[Batch]:
    """List the passes of one canary that are over and of which anything was answered, in order.

    `source` is one of `view.all(Source.QUALITY)`; its id without `quality:` is the server's. The Store keeps some
    twenty passes: a baseline that is to last longer has to be kept by whoever needs it.

    "In two batches running" is `[change(baseline.graded, each.graded) for each in finished(source)[-2:]]`, where the
    baseline is the first batch, or the last that ended before a change of the configuration (`before`).
    """
    found = batches(source.history.graded)
    passes = source.facts.get("passes", "")
    if found and not (passes.isdecimal() and found[-1].number < int(passes)):
        found.pop()
    return [each for each in found if each.answers]


def before(passes: Sequence[Batch], wall: float) -> Batch | None:
    """Find the last pass that had ended at a moment; None where none had."""
    return next((each for each in reversed(passes) if each.ended <= wall), None)
