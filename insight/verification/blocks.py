"""A comparison in words: the blocks that reports are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.report.document import Bullets, Heading, Paragraph, Table, columns
from insight.report.words import opening, quantity_name, range_text
from insight.verification.wording import change_text, from_to
from metrics import units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.quality.statistics import Interval
    from insight.report.document import Block
    from insight.verification.comparison import Comparison
    from insight.verification.figures import Figure
    from insight.verification.prediction import Prediction
    from insight.verification.settings import Setting

_VERDICTS = {"noise": "within noise", "slight": "hardly", "differs": "differs"}


def blocks(comparison: Comparison, predictions: Sequence[Prediction], past: Interval | None) -> list[Block]:
    """Write a comparison, what became of what was foretold, and the score of all predictions so far."""
    found: list[Block] = [Heading(1, f"{comparison.before} and {comparison.after}")]
    if comparison.simulated:
        found.append(Paragraph("SIMULATED: no model ran here.", strong=True))
    found.append(Paragraph(opening(comparison.text), strong=comparison.outcome == "worse"))
    length = f"{units.duration(comparison.before_seconds)} before, {units.duration(comparison.after_seconds)} after"
    found.append(Paragraph(f"{comparison.target}; {length}."))
    found += [Heading(2, "What was changed"), _settings(comparison.settings)]
    found += [Heading(2, "What was asked of it"), Paragraph(opening(comparison.load_text)), _table(comparison.load)]
    found += [Heading(2, "What it did"), _table(comparison.figures)]
    if any(each.lo is not None for each in comparison.figures):
        found.append(Paragraph(_TOGETHER))
    remarks = [*_reasons(comparison.figures), *dict.fromkeys(map(opening, comparison.notes))]
    if remarks:
        found.append(Bullets(tuple(remarks)))
    if comparison.around:
        circumstances = tuple(f"{each.title} {from_to(each)}." for each in comparison.around)
        found += [Heading(2, "What else was different"), Bullets(circumstances)]
    return [*found, *prediction_blocks(predictions, past)]


_TOGETHER = (
    "All intervals of this table hold together at 95 %. Their noise is taken from how spells of 15 s and more differ, "
    "not from the number of tokens or requests."
)


def _reasons(figures: Sequence[Figure]) -> list[str]:
    """Give each reason once, behind the figures that it is of."""
    by_reason: dict[str, list[str]] = {}
    for each in figures:
        if each.why:
            by_reason.setdefault(each.why, []).append(each.title)
    return [f"{', '.join(titles)}: {why}." for why, titles in by_reason.items()]


def prediction_blocks(predictions: Sequence[Prediction], past: Interval | None) -> list[Block]:
    """Write what was foretold beside what came, and the score; nothing where nothing ever was."""
    if not predictions and past is None:
        return []
    found: list[Block] = [Heading(2, "What was foretold")]
    numbers = [each for each in predictions if each.lo is not None or each.hi is not None]
    if numbers:
        head = columns("advice", "of what", "before", "foretold", "expected here", "measured", "covered")
        found.append(Table(head, tuple(map(_held, numbers))))
    if predictions:
        found.append(Bullets(tuple(f"{each.id}: {each.why}." for each in predictions)))
    found.append(Paragraph(score_text(past)))
    return found


def score_text(past: Interval | None) -> str:
    """Say how often what was foretold came: `covered 9 of 10 (60-98 %)`."""
    if past is None:
        return "No prediction could be held against what came so far."
    hits = round(past.value * past.n)
    return (
        f"Of all predictions so far {hits} of {past.n} came within their interval "
        f"({range_text(past.lo, past.hi, 'ratio')}); 90 % should."
    )


def _settings(settings: Sequence[Setting]) -> Block:
    if not settings:
        return Paragraph("Nothing of what the server tells of itself.")
    rows = tuple((each.typed, each.before or "not set", each.after or "not set") for each in settings)
    return Table(columns("setting", "before", "after", right=False), rows)


def _table(figures: Sequence[Figure]) -> Block:
    head = columns("", "before", "after", "change", "verdict")
    return Table(head, tuple(map(_row, figures)))


def _row(found: Figure) -> tuple[str, ...]:
    if found.before_bounds is not None and found.after_bounds is not None:
        before, after = (units.bounds(each, found.unit) for each in (found.before_bounds, found.after_bounds))
    else:
        before = _counted(found.before, found.before_count, found.unit)
        after = _counted(found.after, found.after_count, found.unit)
    return found.title, before, after, change_text(found), _VERDICTS.get(found.verdict, found.verdict)


def _counted(number: float | None, n: float | None, unit: str) -> str:
    text = units.value(number, unit)
    return text if n is None else f"{text}\nn = {units.count(n)}"


def _held(each: Prediction) -> tuple[str, ...]:
    covered = {True: "yes", False: "no", None: units.UNKNOWN}[each.covered]
    foretold = range_text(each.lo, each.hi, each.unit) or _at_most(each.hi, each.unit)
    if each.mid is not None:
        foretold = f"{units.value(each.mid, each.unit)}\n[{foretold}]"
    expected = range_text(each.least, each.most, each.unit) or _at_most(each.most, each.unit)
    measured = units.value(each.measured, each.unit)
    if each.measured_lo is not None:
        measured += f"\n[{range_text(each.measured_lo, each.measured_hi, each.unit)}]"
    name = f"{each.id}\ngrade {each.grade}"
    return name, quantity_name(each.quantity), units.value(each.now, each.unit), foretold, expected, measured, covered


def _at_most(most: float | None, unit: str) -> str:
    return units.UNKNOWN if most is None else f"<{units.value(most, unit)}"
