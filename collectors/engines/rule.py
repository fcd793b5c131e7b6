"""How series of a page become a quantity: the rules, as data, and what they make of samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import accumulate, pairwise

from msgspec import Struct

from collectors.clean import clean
from collectors.exposition import Series
from metrics.histogram import Histogram, is_possible, merge
from metrics.quantity import QUANTITIES, Kind, impossibility
from metrics.series import series, split_series

Labels = Mapping[str, str]
Samples = list[tuple[Series, float]]
Index = Mapping[str, Samples]
"""The samples of a page by the name of their series."""
Group = tuple[tuple[str, str], ...]
"""The labels that the series of one histogram share."""


class Fold(StrEnum):
    """What becomes of samples that differ only in labels which nobody asked to keep."""

    SUM = "sum"
    MAX = "max"


class Term(Struct, frozen=True):
    """Series that a rule multiplies or divides by, part by part; the highest of a part counts."""

    name: str
    where: Mapping[str, tuple[str, ...]] = {}


class Rule(Struct, frozen=True, kw_only=True):
    """Which series of a page are one quantity. Its kind follows from the quantity.

    Where several rules name one quantity, the first that the page answers is taken.
    """

    quantity: str
    names: tuple[str, ...]
    """The first that the page has is taken: the newest name first. For a histogram, without `_bucket`."""
    where: Mapping[str, tuple[str, ...]] = {}
    """Only samples whose label has one of these values; `""` is a sample without the label."""
    unless: Mapping[str, tuple[str, ...]] = {}
    """No sample whose label has one of these values."""
    split: Labels = {}
    """Labels of the page to keep apart, and what they are called here: `{"finished_reason": "reason"}`."""
    label: Labels = {}
    """Labels to write where the page says by a name of its own what others say by a label."""
    plus: str = ""
    """A series to be added. Where it is absent the quantity is not known."""
    fold: Fold = Fold.SUM
    scale: float = 1.0
    """Turns the unit of the page into ours: 0.001 for milliseconds."""
    times: Term | None = None
    """What to multiply by. Where it is absent the quantity is not known."""
    over: Term | None = None
    """What to divide by. Where it is absent or 0 the quantity is not known."""
    factor: Callable[[Index], float | None] | None = None
    """What to multiply by where the page decides in which unit it speaks; None where that cannot be told."""
    count: str = ""
    """For a histogram of which only the sum (`names`) and the number of observations are told, as two counters."""
    lumpy: bool = False
    """The counter moves when a request ends, and not while it runs."""
    detail: bool = False
    """Parts of what another rule gives whole: read besides, and nobody need be told where they are absent."""
    together: bool = False
    """Not told apart by engine: one of its series does not say of which it is."""
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
    """Find the first name of the rule that the page has, and its samples; `""` where there is none.

    A histogram is found by its buckets; a summary, which has none, by its count.
    """
    histogram = QUANTITIES[rule.quantity].kind is Kind.HISTOGRAM and not rule.count
    for name in rule.names:
        for suffix in ("_bucket", "_count") if histogram else ("",):
            samples = _chosen(index.get(name + suffix, []), rule.where)
            if rule.unless:
                samples = [each for each in samples if not _excluded(each[0].labels, rule.unless)]
            if samples:
                return name, samples
    return "", []


def _chosen(samples: Samples, where: Mapping[str, tuple[str, ...]]) -> Samples:
    if not where:
        return samples
    return [
        (each, value)
        for each, value in samples
        if all(each.labels.get(label, "") in values for label, values in where.items())
    ]


def _excluded(labels: Labels, unless: Mapping[str, tuple[str, ...]]) -> bool:
    return any(labels.get(label, "") in values for label, values in unless.items())


def _part(quantity: str, labels: Labels, keep: Labels) -> str:
    """Name the part of a quantity that a series with these labels belongs to; `keep`: name here -> label there."""
    if not keep:
        return quantity
    return series(quantity, **{name: _value(name, labels[label]) for name, label in keep.items() if label in labels})


def _value(name: str, value: str) -> str:
    """Write a label's value: of an HTTP status only its class, as vLLM does (`2xx`)."""
    return f"{value[0]}xx" if name == "status" and len(value) == 3 and value.isdigit() else value


def numbers(rule: Rule, samples: Samples, index: Index, apart: Labels) -> tuple[dict[str, float], str]:
    """Fold the samples of each part into one; a part that is no possible number is not known, and the text says so."""
    keep = {**apart, **{name: label for label, name in rule.split.items()}}
    values = _folded(rule.quantity, samples, keep, sum if rule.fold is Fold.SUM else max)
    factor = rule.scale if rule.factor is None else rule.factor(index)
    if factor is None:
        return {}, rule.why or ("" if rule.optional else f"the unit of `{samples[0][0].name}` cannot be told")
    for term, power in ((rule.times, 1.0), (rule.over, -1.0)):
        if term is not None:
            by = _folded(rule.quantity, _chosen(index.get(term.name, []), term.where), keep, max)
            values = {part: _scaled(value, by.get(part), power) for part, value in values.items()}
    values = {part: value * factor for part, value in values.items()}
    known = {_marked(part, rule.label): v for part, v in values.items() if not impossibility(rule.quantity, v)}
    if len(known) == len(values):
        return known, ""
    of_one = (impossibility(rule.quantity, value) for _, value in samples)
    return known, f"`{samples[0][0].name}` {next(filter(None, of_one), 'gives no finite number')}"


def _folded(quantity: str, samples: Samples, keep: Labels, fold: Callable[[list[float]], float]) -> dict[str, float]:
    """Put the samples of each part together; NaN where one of them is no possible number."""
    parts: dict[str, list[float]] = {}
    for each, value in samples:
        parts.setdefault(_part(quantity, each.labels, keep), []).append(value)
    return {
        part: math.nan if any(impossibility(quantity, each) for each in values) else fold(values)
        for part, values in parts.items()
    }


def _marked(part: str, label: Labels) -> str:
    if not label:
        return part
    quantity, pairs = split_series(part)
    return series(quantity, **{**dict(pairs), **label})


def _scaled(value: float, by: float | None, power: float) -> float:
    return math.nan if by is None or by <= 0 else value * by**power


def histograms(
    rule: Rule, name: str, index: Index, apart: Labels, mirrors: tuple[str, ...] = ()
) -> tuple[dict[str, Histogram], str]:
    """Build the histogram of each part; one that cannot be built is not known, and the text says why.

    Of series that differ only in `mirrors`, which say the same, the one with the most observations counts.
    """
    buckets: dict[Group, dict[float, float]] = {}
    for each, value in _chosen(index.get(f"{name}_bucket", []), rule.where):
        if each.bound is not None:
            buckets.setdefault(each.group, {})[each.bound] = value
    counts = _by_group(index.get(rule.count or f"{name}_count", []), rule.where)
    sums = _by_group(index.get(name if rule.count else f"{name}_sum", []), rule.where)
    if f"{name}_bucket" not in index:
        buckets = {group: {} for group in counts}  # a summary: what is exact is its mean
    alike: dict[Group, list[Histogram | None]] = {}
    for group, cumulative in buckets.items():
        built = _histogram(cumulative, counts.get(group), sums.get(group), rule.scale)
        alike.setdefault(tuple(pair for pair in group if pair[0] not in mirrors), []).append(built)
    parts: dict[str, list[Histogram | None]] = {}
    for group, mirrored in alike.items():
        one = max(mirrored, key=lambda each: -1.0 if each is None else each.count)
        parts.setdefault(_part(rule.quantity, dict(group), apart), []).append(one)
    merged = {part: _merged(all_) for part, all_ in parts.items()}
    whole = {part: histogram for part, histogram in merged.items() if histogram}
    return whole, "" if whole and len(whole) == len(parts) else f"`{name}` is no whole histogram"


def _by_group(samples: Samples, where: Mapping[str, tuple[str, ...]]) -> dict[Group, float]:
    return {each.group: value for each, value in _chosen(samples, where)}


def _merged(parts: list[Histogram | None]) -> Histogram | None:
    """Add up; None where one is not known, where they differ in their bounds, or where their sum is no number."""
    known = [each for each in parts if each]
    return merge(known) if len(known) == len(parts) else None


def _histogram(
    cumulative: dict[float, float], count: float | None, total: float | None, scale: float
) -> Histogram | None:
    """Turn cumulative buckets into counts; None where there can be no such histogram, or there is no sum.

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
    scaled = bounds if scale == 1.0 else [bound * scale for bound in bounds]
    built = Histogram(tuple(scaled), (*counts, *((0.0,) if last is None else ())), total * scale)
    return built if is_possible(built) else None


def settled(samples: Samples, mirrors: tuple[str, ...], total: str) -> Samples:
    """Leave out what is there more than once.

    Of samples that differ only in `mirrors` (ranks that say the same) the highest stays. Where a gauge has a sample
    whose label `total` is empty, that is the sum of those with a value.
    """
    highest: dict[Group, tuple[Series, float]] = {}
    for each, value in samples:
        key = tuple(pair for pair in each.labels.items() if pair[0] not in mirrors)
        if key not in highest or value > highest[key][1]:
            highest[key] = (each, value)
    kept = list(highest.values())
    if total and any(each.labels.get(total) == "" for each, _ in kept):
        return [(each, value) for each, value in kept if not each.labels.get(total)]
    return kept


def told_by(info: Info, samples: Samples, apart: Labels) -> tuple[dict[str, float], dict[str, str]]:
    """Read the newest series of each part for the gauges, and the newest of all for the facts."""
    gauges: dict[str, float] = {}
    facts: dict[str, str] = {}
    for each, _ in sorted(samples, key=lambda sample: sample[1] if math.isfinite(sample[1]) else -math.inf):
        known = {quantity: tell(each.labels) for quantity, tell in info.gauges.items()}
        gauges |= {
            _part(quantity, each.labels, apart): value
            for quantity, value in known.items()
            if value is not None and not impossibility(quantity, value)
        }
        facts = told({fact: each.labels.get(label, "") for label, fact in info.facts.items()})
    return gauges, facts


def told(facts: Labels) -> dict[str, str]:
    """Keep the facts that say something, cleaned."""
    return {name: clean(value) for name, value in facts.items() if value not in {"", "None"}}
