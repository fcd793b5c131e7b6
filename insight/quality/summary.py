"""What the graded answers say together: each number with the observations behind it and its 95 % interval.

An item that was asked ten times at temperature 0 is one observation, not ten: the newest answer to it counts. Several
servers are pooled, each item of each server being one observation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.quality.consistency import add, consistency
from insight.quality.fault import fault_of, shares
from insight.quality.holdout import held_out
from insight.quality.statistics import Interval, bootstrap_macro_f1, bootstrap_mean, wilson
from metrics.observed import Measure
from metrics.quality import Arm, Graded, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

WINDOW_SECONDS = 86_400.0
"""How far back an answer still counts: a pass over all items may take an hour and more under a small budget."""
_LATER_ARMS = {Arm.WARM, Arm.AGAIN}


def summarise(graded: Mapping[str, Sequence[Graded]], now: float) -> dict[str, Measure]:
    """Put the answers of the last 24 h together, by the id of the server that gave them; {} where there is none.

    `now` is in seconds since the epoch. In this order, each where there is something to tell: `accuracy` (split by
    family, by the half that is held out, and by target where there are several), `exact_match`, `f1`, `macro_f1`,
    `relevancy`, `coherence`, `determinism`, `cache_consistency`, `graded_consistency`, `faults` (split by fault),
    `answered`.
    """
    recent = {name: [each for each in rows if now - each.wall <= WINDOW_SECONDS] for name, rows in graded.items()}
    asked = [each for rows in recent.values() for each in newest(rows, failed=True).values()]
    if not asked:
        return {}
    answers = {name: list(newest(rows).values()) for name, rows in recent.items()}
    pooled = [each for rows in answers.values() for each in rows]
    found = {
        "accuracy": _measure(_accuracy(pooled), {**_families(pooled), **_halves(pooled, now), **_targets(answers)}),
        "exact_match": _measure(_share([each.exact for each in pooled if each.exact is not None])),
        "f1": _measure(bootstrap_mean([each.f1 for each in pooled if each.f1 is not None])),
        "macro_f1": _measure(bootstrap_macro_f1([(each.expected, each.said) for each in pooled if each.expected])),
        "relevancy": _measure(bootstrap_mean([each.relevancy for each in pooled if each.relevancy is not None], -1.0)),
        "coherence": _measure(bootstrap_mean([each.coherence for each in pooled if each.coherence is not None], -1.0)),
        **_consistencies(recent),
        "faults": _faults(pooled),
        "answered": _measure(_share([each.outcome is not Outcome.FAILED for each in asked])),
    }
    return {name: measure for name, measure in found.items() if measure is not None}


def newest(graded: Iterable[Graded], *, failed: bool = False) -> dict[str, Graded]:
    """Find the newest answer to each item, or with `failed` what its newest asking came to.

    Where an item was asked in several arms, the first of them stands for it.
    """
    rows = (each for each in graded if each.arm not in _LATER_ARMS)
    return {each.item: each for each in rows if failed or each.outcome is not Outcome.FAILED}


def cut_off(graded: Mapping[str, Sequence[Graded]], now: float) -> int:
    """Count the items whose newest answer was cut off before it was right."""
    recent = ([each for each in rows if now - each.wall <= WINDOW_SECONDS] for rows in graded.values())
    return sum(each.outcome is Outcome.CUT for rows in recent for each in newest(rows).values())


def _share(hits: Sequence[bool]) -> Interval | None:
    return wilson(sum(hits), len(hits))


def _accuracy(answers: Sequence[Graded]) -> Interval | None:
    return _share([each.outcome is Outcome.RIGHT for each in answers])


def _families(answers: Sequence[Graded]) -> dict[str, Measure]:
    return _split(answers, lambda each: f"family={each.family}")


def _halves(answers: Sequence[Graded], now: float) -> dict[str, Measure]:
    """Split by the half of the items that is held out this week; {} where only one half was answered."""
    found = _split(answers, lambda each: "half=held out" if held_out(each.item, now) else "half=open")
    return found if len(found) > 1 else {}


def _targets(answers: Mapping[str, Sequence[Graded]]) -> dict[str, Measure]:
    if len(answers) < 2:
        return {}
    found = {f"target={name}": _measure(_accuracy(rows)) for name, rows in answers.items()}
    return {name: measure for name, measure in found.items() if measure is not None}


def _split(answers: Sequence[Graded], label: Callable[[Graded], str]) -> dict[str, Measure]:
    parts: dict[str, list[Graded]] = {}
    for each in answers:
        parts.setdefault(label(each), []).append(each)
    found = {name: _measure(_accuracy(rows)) for name, rows in parts.items()}
    return {name: measure for name, measure in found.items() if measure is not None}


def _faults(answers: Sequence[Graded]) -> Measure | None:
    """Tell how many answers have any fault, and how many have each."""
    parts = {f"fault={kind.name.lower()}": _measure(interval) for kind, interval in shares(answers).items()}
    whole = _share([fault_of(each) is not None for each in answers])
    return _measure(whole, {name: measure for name, measure in parts.items() if measure is not None})


def _consistencies(graded: Mapping[str, Sequence[Graded]]) -> dict[str, Measure | None]:
    parts = (consistency(rows) for rows in graded.values())
    whole = add(each for each in parts if each is not None)
    if whole is None:
        return {}
    return {
        "determinism": _measure(wilson(whole.cold_same, whole.cold_pairs)),
        "cache_consistency": _measure(wilson(whole.warm_same, whole.warm_pairs)),
        "graded_consistency": _measure(wilson(whole.warm_same_grade, whole.warm_pairs)),
    }


def _measure(interval: Interval | None, by: dict[str, Measure] | None = None) -> Measure | None:
    if interval is None or not math.isfinite(interval.value):
        return None
    return Measure(
        "ratio",
        source="probe",
        value=interval.value,
        count=float(interval.n),
        lo=interval.lo,
        hi=interval.hi,
        by=by or {},
    )
