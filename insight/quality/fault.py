"""What may be wrong with an answer besides its content: signs that a model has drifted, and not that it knows less.

A fault is looked for only in an answer that is not right: a right one that speaks of a refusal is none. R39 reads how
they become more frequent from `insight.quality.change.appeared`; `shares` is for the text.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import TYPE_CHECKING

from insight.quality.statistics import Interval, wilson
from insight.quality.text import repeats
from metrics.quality import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from metrics.quality import Graded


class Fault(StrEnum):
    """The value is what `Graded.why` holds."""

    EMPTY = "it is empty"
    REFUSAL = "it refuses to answer"
    LOOP = "it goes round in circles"
    SCRIPT = "it is written in another script than the question"
    CUT = "it was cut off"
    """By the limit of tokens, and nothing of the above is the matter; the outcome `cut` tells it."""


_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able|afraid)|i (?:can(?:not|'t)|could not|couldn't|will not|won't)"
    r" (?:assist|help|answer|provide|comply|do|fulfil|fulfill|discuss)|as an ai\b|i must (?:decline|refuse)"
    r"|(?:against|violates?) (?:my|our|the) (?:guidelines|policy|policies))",
    re.IGNORECASE,
)
_LOOKED_AT = 300
"""Characters: a refusal begins an answer."""
_FOREIGN = 0.3
"""Share of the letters of an answer that are of scripts which the question does not use."""


def fault(text: str, question: str) -> Fault | None:
    """Find what is the matter with a text that is no right answer, as far as the text itself tells."""
    if not text.strip():
        return Fault.EMPTY
    if _REFUSAL.search(text[:_LOOKED_AT].replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
        return Fault.REFUSAL
    if repeats(text):
        return Fault.LOOP
    known, said = set(_scripts(question)), list(_scripts(text))
    if said and known and sum(each not in known for each in said) > _FOREIGN * len(said):
        return Fault.SCRIPT
    return None


def fault_of(graded: Graded) -> Fault | None:
    """Read which fault a graded answer has; None for a right one, and for one that is merely wrong."""
    if graded.outcome in {Outcome.RIGHT, Outcome.FAILED}:
        return None
    named = next((each for each in Fault if graded.why == each.value), None)
    return Fault.CUT if named is None and graded.outcome is Outcome.CUT else named


def shares(answers: Collection[Graded]) -> dict[Fault, Interval]:
    """Give the share of each fault among answers, one to an item, with Wilson's interval; {} without an answer."""
    found = [fault_of(each) for each in answers]
    counted = {each: wilson(found.count(each), len(found)) for each in Fault}
    return {each: interval for each, interval in counted.items() if interval is not None}


def _scripts(text: str) -> Iterator[str]:
    """Name the script of each letter, by the first word of its Unicode name: LATIN, CYRILLIC, CJK, ..."""
    return (unicodedata.name(each, "?").partition(" ")[0] for each in text if each.isalpha())
