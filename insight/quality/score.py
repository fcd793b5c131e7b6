"""Quality as the Snapshot tells it: from the View to measures, and to the score of the scorecard."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.quality.summary import cut_off, summarise
from metrics import units
from metrics.observed import Measure
from metrics.sample import Source
from metrics.snapshot import Score

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metrics.view import SourceView, View

_NOT_ASKED = "not measured: --quality builtin, or --quality FILE, asks questions whose answers are known"
_OBJECTIVE = "every question is answered rightly"


def quality_measures(view: View, imported: Mapping[str, Measure] | None = None) -> dict[str, Measure] | None:
    """Put together what was measured here, and after it what other programs measured; None where there is neither."""
    sources = list(view.all(Source.QUALITY))
    if not sources and not imported:
        return None
    graded = {source.id.removeprefix("quality:"): tuple(source.history.graded) for source in sources}
    return {**summarise(graded, view.wall), **_spent(sources), **(imported or {})}


def quality_facts(view: View, target: str) -> dict[str, str]:
    """Tell in words what the questions to a target cost (`quality`) and by what embeddings (`embeddings`)."""
    name = f"quality:{target}"
    facts = view.of(name).facts if name in view.ids(Source.QUALITY) else {}
    return {each: facts[each] for each in ("quality", "embeddings") if each in facts}


def _spent(sources: list[SourceView]) -> dict[str, Measure]:
    """Tell what asking has cost since this program began: tokens, and dollars where their price is known."""
    counted = [source.newest_ok.counters for source in sources if source.newest_ok]
    tokens = [
        each[name] for each in counted for name in ("quality_prompt_tokens", "quality_output_tokens") if name in each
    ]
    if not tokens:
        return {}
    spent = math.fsum(tokens)
    found = {"tokens_spent": Measure("tokens", source="probe", value=spent)}
    price = next(filter(None, map(_price, sources)), None)
    if price is not None:
        found["dollars_spent"] = Measure("$", source="probe", value=spent * price / 1e6)
    return found


def _price(source: SourceView) -> float | None:
    """Read the price of a million tokens; a recording may hold anything."""
    try:
        price = float(source.facts.get("price", ""))
    except ValueError:
        return None
    return price if 0 <= price < math.inf else None


def quality_score(view: View, found: Mapping[str, Measure] | None, target: str | None = None) -> Score:
    """Take the share of the items that were answered rightly; the text has its interval, and how many there were.

    With a `target` it is of that server alone.
    """
    asked = list(view.all(Source.QUALITY))
    sources = [each for each in asked if target is None or each.id == f"quality:{target}"]
    accuracy = (found or {}).get("accuracy")
    if accuracy is not None and target is not None and sources != asked:
        accuracy = accuracy.by.get(f"target={target}")
    if accuracy is None or accuracy.value is None or accuracy.count is None:
        return Score(None, _why_not(sources) if sources else _imported(found) or _NOT_ASKED)
    low, high = (units.value(bound, "ratio") for bound in (accuracy.lo, accuracy.hi))
    parts = [f"{units.value(accuracy.value, 'ratio')} of {units.count(accuracy.count)} items right ({low} to {high})"]
    cut = cut_off({source.id: tuple(source.history.graded) for source in sources}, view.wall)
    parts += [f"{cut} cut off"] if cut else []
    answered = (found or {}).get("answered") if sources == asked else None
    if answered and answered.value is not None and answered.value < 1:
        parts.append(f"{units.value(1 - answered.value, 'ratio')} of those asked got no answer")
    return Score(100 * accuracy.value, ", ".join(parts), _OBJECTIVE)


def _why_not(sources: list[SourceView]) -> str:
    """Say why nothing is measured though it was asked for: what the canary itself says, where it says something."""
    for source in sources:
        reasons = [
            source.newest.reason,
            *(each.why for each in source.newest.missing if each.what.startswith("answers")),
        ]
        if said := next(filter(None, reasons), ""):
            return f"not measured: {said}"
    return "not measured yet: no question has been answered"


def _imported(found: Mapping[str, Measure] | None) -> str:
    return f"not measured here; {len(found)} results of other programs are in the report" if found else ""
