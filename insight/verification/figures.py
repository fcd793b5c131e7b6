"""One number before and after: by how much it changed, and whether that is more than noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from insight.verification.noise import Estimate, Span, absolute, quantile_bounds, ratio, relative, share_change
from metrics.histogram import Quantile

if TYPE_CHECKING:
    from insight.verification.metric import Metric
    from insight.verification.side import Side

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
    return replace(bare, change=change, is_relative=is_relative, why=_unproven(metric, before, after))


def _unproven(metric: Metric, before: Side, after: Side) -> str:
    """Say why a change cannot be told from noise; of a report that is said once, of all of its numbers."""
    side = before if estimate(metric, before) is None else after
    if not side.recorded:
        return ""
    return f"{side.label} has too few spells with it to tell noise"


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
        why="" if verdict != "noise" else "the buckets of the server's histogram are too wide to tell",
    )  # fmt: skip
