"""What a dialect is: the words in which one kind of server speaks of the canonical quantities; and how to read with it.

A dialect is data, one file for each server. Parts that a page keeps apart (the ranks of a data-parallel server, the
reasons why requests ended) are kept apart here as well, as labels of the series name: adding them up is done later,
by stated rules. A label is written only where it tells something: with one engine there is no `engine` label.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Struct, field

from collectors.clean import clean
from collectors.engines.rule import Info, Labels, Rule, find, histograms, numbers, settled, told, told_by
from metrics.histogram import Histogram
from metrics.quantity import QUANTITIES, Kind, impossibility
from metrics.sample import Missing
from metrics.series import split_series

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.engines.rule import Index, Samples
    from collectors.exposition import Page, Series

Answer = TypeVar("Answer")
Size = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A number of things in an answer, exact as a float."""
_NAMED = 3
"""Names that are not known are named up to so many."""
_SUFFIX = re.compile(r"(_(bucket|sum|count|total|created))+$")


class Reading(Struct, frozen=True):
    """What one answer of a server says, in canonical words: those fields of a Sample that it can fill."""

    counters: dict[str, float] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, Histogram] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()


class Endpoint(Struct, Generic[Answer], frozen=True):
    """Another address of the server, which answers with JSON that tells facts."""

    path: str
    shape: type[Answer]
    """What the answer looks like."""
    tell: Callable[[Answer], Reading]
    once: str = ""
    """What the path was called in older versions: asked for where there is nothing at `path`."""

    def read(self, body: bytes) -> Reading:
        """Read an answer; one that does not look as it should is named in `missing`."""
        try:
            reading = self.tell(msgspec.json.decode(body, type=self.shape))
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            why = clean(f"the answer cannot be understood: {error}")
            return Reading(
                missing=(Missing(f"facts from {self.path}", why, "model, version or limits may not be known"),)
            )
        gauges = {name: value for name, value in reading.gauges.items() if not impossibility(name, value)}
        return msgspec.structs.replace(reading, gauges=gauges, facts=told(reading.facts))


class Dialect(Struct, frozen=True, kw_only=True, eq=False):
    """One kind of server."""

    engine: str
    """`vllm`, `llamacpp`."""
    title: str
    """As its makers write it."""
    prefix: str
    """What the names of its series begin with, `vllm:`; with `_` for `:` they are recognised as well."""
    checked: str
    """The versions that this was held against, and how."""
    rules: tuple[Rule, ...]
    infos: tuple[Info, ...] = ()
    signs: Mapping[str, str] = {}
    """How a page is recognised, where not by prefix and model: how a name begins, and the label that it must have."""
    rank_label: str = ""
    """The label that tells the engines of one page apart."""
    model_label: str = ""
    """The label that names the model. A page without it comes from something else: routers borrow names."""
    unsteady: bool = False
    """Engines or models come and go: their label is written even while there is only one, so that no series changes
    its name when the second comes."""
    mirrors: tuple[str, ...] = ()
    """Labels of ranks that say the same: what differs only in them is counted once."""
    total_label: str = ""
    """A label whose empty value marks the sum, among gauges, of the samples that have a value."""
    unread: tuple[str, ...] = ()
    """How the names begin that are known and tell no quantity. Any other name of the prefix is one to speak of."""
    absent: tuple[Missing, ...] = ()
    """What no version of this server tells."""
    endpoints: tuple[Endpoint[Any], ...] = ()
    """Asked once after each start of the server."""


def speaks(dialect: Dialect, page: Page) -> bool:
    """Tell whether the page comes from such a server."""
    escaped = dialect.prefix.replace(":", "_")
    signs = dialect.signs or {dialect.prefix: dialect.model_label, escaped: dialect.model_label}
    starts = tuple(signs)
    return any(
        any(each.name.startswith(start) and (not label or label in each.labels) for start, label in signs.items())
        for each in page.samples
        if each.name.startswith(starts)
    )


def read(dialect: Dialect, page: Page) -> Reading:
    """Say in canonical words what the page says. What the dialect expects and the page lacks is in `missing`."""
    index = _index(dialect, page)
    found = _found(dialect, index)
    seen = [each for _, _, samples in found for each, _ in samples]
    ranks, models = _values(dialect.rank_label, seen), _values(dialect.model_label, seen)
    least = 0 if dialect.unsteady else 1
    apart = {"engine": dialect.rank_label} if len(ranks) > least else {}
    apart |= {"model": dialect.model_label} if len(models) > least else {}
    lumpy = sorted({rule.quantity for rule, name, _ in found if name and rule.lumpy})
    facts = {"engine": dialect.engine, "model": ", ".join(models), "lumpy_counters": ", ".join(lumpy)}
    reading = Reading(facts=told(facts))
    missing: list[Missing] = []
    for rule, name, samples in found:
        why = _absent(dialect, rule, name, index)
        if why is None:
            why = _apply(dialect, rule, name, samples, index, apart, reading)
        if why:
            missing.append(Missing(rule.quantity, why, rule.consequence))
    for info in dialect.infos:
        gauges, told_facts = told_by(info, index.get(info.name, []), apart)
        reading.gauges.update(gauges)
        reading.facts.update(told_facts)
        known = {split_series(name)[0] for name in gauges}
        why = f"`{info.name}` does not tell it" if info.name in index else _lacks(dialect, info.name)
        missing += [Missing(quantity, why, info.consequence) for quantity in info.gauges if quantity not in known]
    return msgspec.structs.replace(reading, missing=(*missing, *_strange(dialect, index), *dialect.absent))


def _found(dialect: Dialect, index: Index) -> list[tuple[Rule, str, Samples]]:
    """Find the samples of each rule; of several rules for one quantity the first that finds any, else the first."""
    found: dict[str, tuple[Rule, str, Samples]] = {}
    details: list[tuple[Rule, str, Samples]] = []
    for rule in dialect.rules:
        if rule.detail:
            details.append((rule, *find(rule, index)))
        elif not found.get(rule.quantity, (rule, "", []))[1]:
            name, samples = find(rule, index)
            if name or rule.quantity not in found:
                found[rule.quantity] = (rule, name, samples)
    return [*found.values(), *details]


def _absent(dialect: Dialect, rule: Rule, name: str, index: Index) -> str | None:
    """Say why the quantity is not on the page; `""` where nobody need be told, None where it is there."""
    needed = [rule.plus, rule.count, *(term.name for term in (rule.times, rule.over) if term)]
    lacking = [each for each in needed if each and each not in index]
    if name and not lacking:
        return None
    return "" if rule.optional or rule.detail else rule.why or _lacks(dialect, lacking[0] if name else rule.names[0])


def _lacks(dialect: Dialect, name: str) -> str:
    return f"looks like {dialect.title}, but `{name}` is missing"


def _apply(
    dialect: Dialect, rule: Rule, name: str, samples: Samples, index: Index, apart: Labels, reading: Reading
) -> str:
    """Put what the rule finds into the reading; the text says what of it cannot be used, and why."""
    kind = QUANTITIES[rule.quantity].kind
    if rule.together:
        apart = {label: there for label, there in apart.items() if label != "engine"}
    if kind is Kind.HISTOGRAM:
        observed, why = histograms(rule, name, index, apart, dialect.mirrors)
        reading.histograms.update(observed)
        return why
    total = dialect.total_label if kind is Kind.GAUGE else ""
    if dialect.mirrors or total:
        samples = settled(samples, dialect.mirrors, total)
    values, why = numbers(rule, [*samples, *index.get(rule.plus, ())], index, apart)
    (reading.counters if kind is Kind.COUNTER else reading.gauges).update(values)
    return why


def _index(dialect: Dialect, page: Page) -> dict[str, Samples]:
    """Bring together the samples of one name, names in the spelling of the dialect."""
    escaped = dialect.prefix.replace(":", "_")
    respell = escaped != dialect.prefix
    index: dict[str, Samples] = {}
    for sample in page.samples.items():
        name = sample[0].name
        if respell and name.startswith(escaped):
            name = dialect.prefix + name[len(escaped) :]
        alike = index.get(name)
        if alike is None:
            index[name] = [sample]
        else:
            alike.append(sample)
    return index


def _strange(dialect: Dialect, index: Index) -> list[Missing]:
    """Name what the page says in names of this server that are not known here: it may be newer than this program."""
    names = list(dict.fromkeys(known for name in index if (known := _unknown(dialect, name))))
    if not names:
        return []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    said = ", ".join(f"`{name}`" for name in islice(names, _NAMED))
    why = clean(f"looks like a {dialect.title} that is newer than this program: {said}{more} unknown")
    return [Missing("some names of the metrics page", why, "what they tell is not seen")]


@lru_cache(maxsize=65_536)
def _unknown(dialect: Dialect, name: str) -> str:
    """Give the family of a name of this server that no rule reads and that is not known to be unread; else `""`."""
    if not dialect.prefix or not name.startswith(dialect.prefix) or name.startswith(dialect.unread):
        return ""
    family = _family(name)
    return "" if family in _families(dialect) else family


@lru_cache(maxsize=64)
def _families(dialect: Dialect) -> frozenset[str]:
    names = {name for rule in dialect.rules for name in (*rule.names, rule.plus, rule.count)}
    names |= {term.name for rule in dialect.rules for term in (rule.times, rule.over) if term}
    names |= {info.name for info in dialect.infos}
    return frozenset(map(_family, names))


def _family(name: str) -> str:
    return _SUFFIX.sub("", name)


def _values(label: str, seen: Iterable[Series]) -> list[str]:
    return sorted({each.labels[label] for each in seen if label in each.labels}) if label else []
