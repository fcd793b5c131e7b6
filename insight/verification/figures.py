"""What is compared: of every number how it is taken from a spell of time, and which way is better."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from insight.verification.noise import Estimate, Span, absolute, quantile_bounds, ratio, relative, share_change
from insight.verification.side import Side
from insight.verification.spells import Spell
from metrics.histogram import Quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.observed import Measure

Pair = tuple[float, float] | None
"""What is added up and what it is divided by."""
Verdict = Literal["better", "worse", "slight", "noise", "differs", "not told"]
"""`slight`: more than noise and less than `LEAST`. `differs`: more than noise, and neither good nor bad in itself.
`noise`: no change lies within the interval."""
LEAST = 0.03
"""A change of a mean by less is none that anybody acts on: starts of one server differ by as much. Our own default."""
CLEAR = 0.25
"""An interval that reaches to a worsening by so much tells nothing. Our own default."""


class Figure(Struct, frozen=True):
    """One number before and after."""

    id: str
    title: str
    unit: str
    before: float | None
    after: float | None
    change: float | None = None
    lo: float | None = None
    """Ends of the interval of `change`: all figures of one comparison lie in theirs together at 95 %."""
    hi: float | None = None
    is_relative: bool = True
    """`change` is a share of `before`; else it is after less before, in `unit`."""
    verdict: Verdict = "not told"
    why: str = ""
    """Why nothing is told, or what is to be known about it."""
    before_count: float | None = None
    """Observations, where it is a statistic of some."""
    after_count: float | None = None
    before_bounds: Quantile | None = None
    """Of a quantile: what lies certainly around it, chance included."""
    after_bounds: Quantile | None = None


class Metric(Struct, frozen=True):
    """How a number is taken, and which way it is better."""

    id: str
    title: str
    unit: str
    better: int
    """1: more is better; -1: less is; 0: neither."""
    pair: Callable[[Spell], Pair]
    """What is added up over spells and divided."""
    told: Callable[[Side], float | None]
    """The number that a Snapshot has."""
    kind: Literal["mean", "rate", "share"] = "mean"
    """A rate or share that is 0 is a number as any other; and shares are compared by their difference."""
    counted: str = ""
    """The histogram or counter whose observations it is of."""
    follows_load: bool = True
    """It changes with what is asked of the server, so that it is only judged where that is the same."""


def _mean(quantity: str, title: str, better: int, unit: str = "s") -> Metric:
    def pair(spell: Spell) -> Pair:
        observed = spell.histograms.get(quantity)
        return None if observed is None else (observed.sum, observed.count)

    return Metric(quantity, title, unit, better, pair, lambda side: _of(side, quantity, "mean"), counted=quantity)


def _rate(quantity: str, title: str, better: int, unit: str) -> Metric:
    def pair(spell: Spell) -> Pair:
        return (spell.counters[quantity], spell.seconds) if quantity in spell.counters else None

    return Metric(quantity, title, unit, better, pair, lambda side: _of(side, quantity, "rate"), "rate", quantity)


def _share(name: str, title: str, better: int, part: str, whole: Sequence[str], *, follows: bool) -> Metric:
    def pair(spell: Spell) -> Pair:
        known = [spell.counters[each] for each in whole if each in spell.counters]
        return (spell.counters[part], sum(known)) if part in spell.counters and known else None

    def told(side: Side) -> float | None:
        grown = [_of(side, each, "increase") for each in (part, *whole)]
        base = sum(each or 0.0 for each in grown[1:])
        return None if grown[0] is None or not base else grown[0] / base

    return Metric(name, title, "ratio", better, pair, told, "share", whole[0], follows)


def _gauge(quantity: str, title: str, unit: str) -> Metric:
    def pair(spell: Spell) -> Pair:
        return (spell.gauges[quantity] * spell.seconds, spell.seconds) if quantity in spell.gauges else None

    return Metric(quantity, title, unit, 0, pair, lambda side: _of(side, quantity, "mean"), "rate")


def _of(side: Side, quantity: str, field: str) -> float | None:
    measure: Measure | None = side.quantities.get(quantity)
    found: float | None = None if measure is None else getattr(measure, field)
    return found


def _arrivals(spell: Spell) -> Pair:
    return None if spell.arrived is None else (spell.arrived, spell.seconds)


def _energy(spell: Spell) -> Pair:
    generated = spell.counters.get("output_tokens_total")
    return None if generated is None or not spell.joules else (generated, spell.joules)


HIT_RATE = _share(
    "prefix_hit_rate", "prefix cache hits", 0, "prompt_tokens_cached", ("prompt_tokens_total",), follows=True
)
LOAD = (
    Metric("requests_arrived", "requests", "1/s", 0, _arrivals, lambda side: _of(side, "requests_finished", "rate"),
           "rate", "requests_finished"),
    _mean("prompt_tokens", "prompt length", 0, "tokens"),
    _mean("output_tokens", "output length", 0, "tokens"),
    HIT_RATE,
)  # fmt: skip
"""What is asked of the server. The hit rate is part of it as long as nobody changed the cache."""
ITL, TPOT = _mean("itl_seconds", "ITL", -1), _mean("tpot_seconds", "TPOT", -1)
TTFT = _mean("ttft_seconds", "TTFT", -1)
E2E, QUEUE = _mean("e2e_seconds", "E2E", 0), _mean("queue_seconds", "time in the queue", 0)
"""Neither is judged: E2E follows the luck of how long answers are, and its parts are judged; the queue is part of TTFT,
and from 1 to 2 ms it doubles."""
THROUGHPUT = _rate("output_tokens_total", "output tokens", 1, "tokens/s")
FINISHED = _rate("requests_finished", "requests finished", 1, "1/s")
RESULTS = (
    THROUGHPUT,
    TTFT,
    ITL,
    TPOT,
    E2E,
    QUEUE,
    _gauge("kv_cache_usage", "KV cache in use", "ratio"),
    _gauge("requests_running", "requests running", "1"),
    _rate("preemptions", "preemptions", -1, "1/s"),
    _share("error_share", "errors", -1, "requests_failed", ("requests_finished", "requests_failed"), follows=False),
    _share("rejected_share", "refused", -1, "requests_rejected", ("requests_finished", "requests_rejected"),
           follows=True),
    Metric("tokens_per_joule", "output tokens a joule", "tokens/J", 1, _energy, lambda _: None, "mean"),
)  # fmt: skip
QUANTILES = (("ttft_seconds", "TTFT", 0.95), ("itl_seconds", "ITL", 0.95))


def estimate(metric: Metric, side: Side) -> Estimate | None:
    """Estimate a number of one side; None where it is not known, or known over too short a time."""
    return ratio([pair for spell in side.spells if (pair := metric.pair(spell)) is not None])


def observations(metric: Metric, side: Side) -> float | None:
    """Count what a number is of."""
    if not metric.counted:
        return None
    if side.spells:
        counted = [
            each.histograms[metric.counted].count
            if metric.counted in each.histograms
            else each.counters[metric.counted]
            for each in side.spells
            if metric.counted in each.histograms or metric.counted in each.counters
        ]
        return sum(counted) if counted else None
    measure = side.quantities.get(metric.counted)
    return None if measure is None else measure.count if measure.count is not None else measure.increase


def figure(metric: Metric, before: Side, after: Side, confidence: float) -> Figure | None:
    """Compare one number; None where neither side knows it."""
    one, other = estimate(metric, before), estimate(metric, after)
    values = [
        found.value if found is not None else metric.told(side) for found, side in ((one, before), (other, after))
    ]
    if values == [None, None]:
        return None
    bare = Figure(
        metric.id,
        metric.title,
        metric.unit,
        values[0],
        values[1],
        before_count=observations(metric, before),
        after_count=observations(metric, after),
    )
    if one is None or other is None:
        return _told(bare, metric, before, after, confidence)
    span = None if metric.kind == "share" else relative(one, other, confidence)
    is_relative = span is not None
    span = span or absolute(one, other, confidence)
    if metric.kind == "share" and not is_relative:
        span = _with_few(span, metric, before, after, confidence)
    return judged(bare, span, metric.better, is_relative=is_relative)


def _with_few(span: Span, metric: Metric, before: Side, after: Side, confidence: float) -> Span:
    """Widen the interval of a share to what so few requests leave open: none of ten is not 0."""
    alone = share_change(_counts(metric, before), _counts(metric, after), confidence)
    return span if alone is None else Span(span.mid, min(span.lo, alone.lo), max(span.hi, alone.hi))


def _counts(metric: Metric, side: Side) -> tuple[float, float]:
    pairs = [pair for spell in side.spells if (pair := metric.pair(spell)) is not None]
    return sum(top for top, _ in pairs), sum(bottom for _, bottom in pairs)


def _told(bare: Figure, metric: Metric, before: Side, after: Side, confidence: float) -> Figure:
    """Say what can be said of sums alone: of a share of requests by their number, of a mean nothing."""
    n = bare.before_count, bare.after_count
    if bare.before is None or bare.after is None:
        side = before if bare.before is None else after
        return replace(bare, why=f"{side.label} does not tell it")
    change = bare.after - bare.before
    if metric.kind == "share" and n[0] and n[1]:
        span = share_change((bare.before * n[0], n[0]), (bare.after * n[1], n[1]), confidence)
        if span is not None:
            return judged(bare, span, metric.better, is_relative=False)
    is_relative = metric.kind != "share" and bare.before > 0
    change = change / bare.before if is_relative else change
    return replace(bare, change=change, is_relative=is_relative, why="whether it is noise takes recordings")


def judged(bare: Figure, span: Span, better: int, *, is_relative: bool) -> Figure:
    """Put the change into a figure, and say what it is."""
    verdict: Verdict = "noise"
    if span.certain:
        slight = is_relative and abs(span.mid) < LEAST
        good = (span.mid > 0) == (better > 0)
        verdict = "slight" if slight else "differs" if not better else "better" if good else "worse"
    return replace(bare, change=span.mid, lo=span.lo, hi=span.hi, is_relative=is_relative, verdict=verdict)


def quantile_figure(quantity: str, title: str, q: float, sides: tuple[Side, Side], confidence: float) -> Figure | None:
    """Compare a quantile: it moved for certain where the bounds of before and after, chance included, lie apart."""
    found = [
        quantile_bounds(
            [each.histograms[quantity] for each in side.spells if quantity in each.histograms], q, confidence
        )
        for side in sides
    ]
    if found[0] is None or found[1] is None:
        return None
    one, other = found[0], found[1]
    name = f"{quantity.removesuffix('_seconds')}_p{q * 100:g}"
    verdict: Verdict = "noise"
    if one.hi is not None and other.lo >= one.hi:
        verdict = "worse"
    elif other.hi is not None and one.lo >= other.hi:
        verdict = "better"
    return Figure(
        name, f"{title} p{q * 100:g}", "s", None, None, verdict=verdict, before_bounds=one, after_bounds=other,
        why="" if verdict != "noise" else "within the buckets of the server's histogram",
    )  # fmt: skip
