"""What a dialect is: the words in which one kind of server speaks of the canonical quantities; and how to read with it.

A dialect is data, one file for each server. Parts that a page keeps apart (the ranks of a data-parallel server, the
reasons why requests ended) are kept apart here as well, as labels of the series name: adding them up is done later,
by stated rules. A label is written only where it tells something: with one engine there is no `engine` label.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Struct, field

from collectors.clean import clean
from collectors.engines.rule import Info, Labels, Rule, find, histograms, numbers, told, told_by
from metrics.histogram import Histogram
from metrics.quantity import QUANTITIES, Kind
from metrics.sample import Missing
from metrics.series import split_series

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.engines.rule import Index, Samples
    from collectors.exposition import Page, Series

Answer = TypeVar("Answer")
Size = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A number of things in an answer, exact as a float."""


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

    def read(self, body: bytes) -> Reading:
        """Read an answer; one that does not look as it should is named in `missing`."""
        try:
            reading = self.tell(msgspec.json.decode(body, type=self.shape))
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            why = clean(f"the answer cannot be understood: {error}")
            return Reading(
                missing=(Missing(f"facts from {self.path}", why, "model, version or limits may not be known"),)
            )
        return msgspec.structs.replace(reading, facts=told(reading.facts))


class Dialect(Struct, frozen=True, kw_only=True):
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
    rank_label: str = ""
    """The label that tells the engines of one page apart."""
    model_label: str = ""
    """The label that names the model. A page without it comes from something else: routers borrow names."""
    absent: tuple[Missing, ...] = ()
    """What no version of this server tells."""
    endpoints: tuple[Endpoint[Any], ...] = ()
    """Asked once after each start of the server."""


def speaks(dialect: Dialect, page: Page) -> bool:
    """Tell whether the page comes from such a server."""
    prefixes = dialect.prefix, dialect.prefix.replace(":", "_")
    return any(
        each.name.startswith(prefixes) and (not dialect.model_label or dialect.model_label in each.labels)
        for each in page.samples
    )


def read(dialect: Dialect, page: Page) -> Reading:
    """Say in canonical words what the page says. What the dialect expects and the page lacks is in `missing`."""
    index = _index(dialect, page)
    found = [(rule, *find(rule, index)) for rule in dialect.rules]
    seen = [each for _, _, samples in found for each, _ in samples]
    ranks, models = _values(dialect.rank_label, seen), _values(dialect.model_label, seen)
    apart = {"engine": dialect.rank_label} if len(ranks) > 1 else {}
    apart |= {"model": dialect.model_label} if len(models) > 1 else {}
    reading = Reading(facts=told({"engine": dialect.engine, "model": ", ".join(models)}))
    missing: list[Missing] = []
    for rule, name, samples in found:
        why = _absent(dialect, rule, name, index)
        if why is None:
            why = _apply(rule, name, samples, index, apart, reading)
        if why:
            missing.append(Missing(rule.quantity, why, rule.consequence))
    for info in dialect.infos:
        gauges, facts = told_by(info, index.get(info.name, []), apart)
        reading.gauges.update(gauges)
        reading.facts.update(facts)
        known = {split_series(name)[0] for name in gauges}
        why = f"`{info.name}` does not tell it" if info.name in index else _lacks(dialect, info.name)
        missing += [Missing(quantity, why, info.consequence) for quantity in info.gauges if quantity not in known]
    return msgspec.structs.replace(reading, missing=(*missing, *dialect.absent))


def _absent(dialect: Dialect, rule: Rule, name: str, index: Index) -> str | None:
    """Say why the quantity is not on the page; `""` where nobody need be told, None where it is there."""
    lacking = rule.names[0] if not name else rule.plus
    if name and (not rule.plus or rule.plus in index):
        return None
    return "" if rule.optional else rule.why or _lacks(dialect, lacking)


def _lacks(dialect: Dialect, name: str) -> str:
    return f"looks like {dialect.title}, but `{name}` is missing"


def _apply(rule: Rule, name: str, samples: Samples, index: Index, apart: Labels, reading: Reading) -> str:
    """Put what the rule finds into the reading; the text says what of it cannot be used, and why."""
    kind = QUANTITIES[rule.quantity].kind
    if kind is Kind.HISTOGRAM:
        observed, why = histograms(rule, name, index, apart)
        reading.histograms.update(observed)
    else:
        values, why = numbers(rule, [*samples, *index.get(rule.plus, ())], apart)
        (reading.counters if kind is Kind.COUNTER else reading.gauges).update(values)
    return why


def _index(dialect: Dialect, page: Page) -> dict[str, Samples]:
    """Bring together the samples of one name, names in the spelling of the dialect."""
    escaped = dialect.prefix.replace(":", "_")
    index: dict[str, Samples] = {}
    for each, value in page.samples.items():
        name = each.name
        if name.startswith(escaped):
            name = dialect.prefix + name[len(escaped) :]
        index.setdefault(name, []).append((each, value))
    return index


def _values(label: str, seen: Iterable[Series]) -> list[str]:
    return sorted({each.labels[label] for each in seen if label in each.labels})
