"""How series of a page become a quantity: the rules, as data, and what they make of samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import accumulate, pairwise

from msgspec import Struct

from collectors.clean import clean
from collectors.exposition import Series
from metrics.histogram import Histogram, merge
from metrics.quantity import QUANTITIES, Kind
from metrics.series import series

Labels = Mapping[str, str]
Samples = list[tuple[Series, float]]
Index = Mapping[str, Samples]
"""The samples of a page by the name of their series."""


class Fold(StrEnum):
    """What becomes of samples that differ only in labels which nobody asked to keep."""

    SUM = "sum"
    MAX = "max"


class Rule(Struct, frozen=True, kw_only=True):
    """Which series of a page are one quantity. Its kind follows from the quantity."""

    quantity: str
    names: tuple[str, ...]
    """The first that the page has is taken: the newest name first. For a histogram, without `_bucket`."""
    where: Mapping[str, tuple[str, ...]] = {}
    """Only samples whose label has one of these values."""
    split: Labels = {}
    """Labels of the page to keep apart, and what they are called here: `{"finished_reason": "reason"}`."""
    plus: str = ""
    """A series to be added. Where it is absent the quantity is not known."""
    fold: Fold = Fold.SUM
    optional: bool = False
    """There are versions or configurations without it, and nobody need be told."""
    why: str = ""
    """What to say where it is absent, if there is more to say than that."""
    consequence: str = ""
    """What cannot be said without it."""


class Info(Struct, frozen=True, kw_only=True):
    """What stands in the labels of a series. Of several such series the newest counts, which has the highest value."""

    name: str
    facts: Labels = {}
    """Labels, and what the fact is called. `None` and nothing at all are no facts."""
    gauges: Mapping[str, Callable[[Labels], float | None]] = {}
    """Quantities, and how each follows from the labels; None where it does not."""
    consequence: str = ""
    """What cannot be said without the gauges."""


def find(rule: Rule, index: Index) -> tuple[str, Samples]:
    """Find the first name of the rule that the page has, and its samples; `""` where there is none."""
    suffix = "_bucket" if QUANTITIES[rule.quantity].kind is Kind.HISTOGRAM else ""
    for name in rule.names:
        samples = [
            (each, value)
            for each, value in index.get(name + suffix, ())
            if all(each.labels.get(label) in values for label, values in rule.where.items())
        ]
        if samples:
            return name, samples
    return "", []


def _part(quantity: str, labels: Labels, keep: Labels) -> str:
    """Name the part of a quantity that a series with these labels belongs to; `keep`: name here -> label there."""
    if not keep:
        return quantity
    return series(quantity, **{name: labels[label] for name, label in keep.items() if label in labels})


def numbers(rule: Rule, samples: Samples, apart: Labels) -> tuple[dict[str, float], str]:
    """Fold the samples of each part into one; a part with a NaN or an infinity is not known, and the text says so."""
    keep = {**apart, **{name: label for label, name in rule.split.items()}}
    parts: dict[str, list[float]] = {}
    for each, value in samples:
        parts.setdefault(_part(rule.quantity, each.labels, keep), []).append(value)
    fold = sum if rule.fold is Fold.SUM else max
    folded = {part: fold(values) for part, values in parts.items() if all(map(math.isfinite, values))}
    known = {part: value for part, value in folded.items() if math.isfinite(value)}
    return known, "" if len(known) == len(parts) else f"`{samples[0][0].name}` is not a finite number"


def histograms(rule: Rule, name: str, index: Index, apart: Labels) -> tuple[dict[str, Histogram], str]:
    """Build the histogram of each part; one that cannot be built is not known, and the text says why."""
    buckets: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
    for each, value in index[f"{name}_bucket"]:
        if each.bound is not None:
            buckets.setdefault(each.group, {})[each.bound] = value
    counts = {each.group: value for each, value in index.get(f"{name}_count", ())}
    sums = {each.group: value for each, value in index.get(f"{name}_sum", ())}
    parts: dict[str, list[Histogram | None]] = {}
    for group, cumulative in buckets.items():
        built = _histogram(cumulative, counts.get(group), sums.get(group))
        parts.setdefault(_part(rule.quantity, dict(group), apart), []).append(built)
    merged = {part: _merged(all_) for part, all_ in parts.items()}
    whole = {part: histogram for part, histogram in merged.items() if histogram}
    return whole, "" if whole and len(whole) == len(parts) else f"`{name}` is no whole histogram"


def _merged(parts: list[Histogram | None]) -> Histogram | None:
    """Add up; None where one is not known, where they differ in their bounds, or where their sum is no number."""
    known = [each for each in parts if each]
    return merge(known) if len(known) == len(parts) else None


def _histogram(cumulative: dict[float, float], count: float | None, total: float | None) -> Histogram | None:
    """Turn cumulative buckets into counts; None where a number among them is not finite or there is no sum.

    A page that several processes write may be caught between two updates: then a bucket is below the one before it,
    and counts as equal to it.
    """
    bounds = sorted(bound for bound in cumulative if math.isfinite(bound))
    last = cumulative.get(math.inf, count)
    levels = [0.0, *(cumulative[bound] for bound in bounds), *(() if last is None else (last,))]
    if total is None or not all(map(math.isfinite, (total, *levels))):
        return None
    rising = list(accumulate(levels, max))
    counts = [above - below for below, above in pairwise(rising)]
    return Histogram(tuple(bounds), (*counts, *((0.0,) if last is None else ())), total)


def told_by(info: Info, samples: Samples, apart: Labels) -> tuple[dict[str, float], dict[str, str]]:
    """Read the newest series of each part for the gauges, and the newest of all for the facts."""
    gauges: dict[str, float] = {}
    facts: dict[str, str] = {}
    for each, _ in sorted(samples, key=lambda sample: sample[1] if math.isfinite(sample[1]) else -math.inf):
        known = {quantity: tell(each.labels) for quantity, tell in info.gauges.items()}
        gauges |= {_part(q, each.labels, apart): value for q, value in known.items() if value is not None}
        facts = told({fact: each.labels.get(label, "") for label, fact in info.facts.items()})
    return gauges, facts


def told(facts: Labels) -> dict[str, str]:
    """Keep the facts that say something, cleaned."""
    return {name: clean(value) for name, value in facts.items() if value not in {"", "None"}}
