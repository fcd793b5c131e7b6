"""Did the answers get worse, and does the cache change them: from the answers to questions that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.quality.batches import before, finished
from insight.quality.change import change, coherence, f1, relevancy, shift
from insight.quality.consistency import consistency
from insight.quality.first_token import first_token
from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from insight.quality.batches import Batch
    from insight.quality.change import Change
    from insight.quality.statistics import Interval
    from insight.settings import Settings
    from metrics.sample import Event
    from metrics.view import SourceView

P = 0.01
"""A difference that chance gives less often than this is one."""
POINTS = 0.02
KEPT = 0.99
"""MLPerf Inference holds a quantised model to 99 % of the accuracy that it had before."""
SHIFT = 0.05
RUNNING = 2
"""Passes that have to be worse one after the other."""
MIN_PAIRS = 50
_CHANGES = frozenset(("restart", "replaced", "mark"))


def quality_regression(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the last passes over the questions went worse than a good one before a change, or the first."""
    del settings, firing
    passes = finished(source)
    first, event = baseline(source, passes, _regressed)
    if first is None:
        return unknown("no pass over the questions of --quality has ended yet")
    later = [each for each in passes if each.began > first.ended][-RUNNING:]
    if len(later) < RUNNING:
        return unknown(f"needs {RUNNING} passes of --quality after the first, or after a change; {len(later)} so far")
    changes = [change(first.graded, each.graded) for each in later]
    if all(each is not None and _worse(each) for each in changes):
        newest = changes[-1]
        return HOLDS_NOT if newest is None else _regression(newest, event)
    shifts = [shift(first.graded, each.graded, f1) for each in later]
    if all(map(_fell, shifts)):
        return _shifted("token F1", shifts[-1], event)
    newest = changes[-1]
    return Condition(holds=False, summary=f"{units.digits(100 * newest.points, 2)} points" if newest else "")


def baseline(
    source: SourceView, passes: list[Batch], spoilt: Callable[[Batch, Batch], bool]
) -> tuple[Batch | None, Event | None]:
    """Choose the pass to compare with, and the change that it lies before: the first pass, or a later one as good.

    From change to change that passes followed, the last pass before it takes the place of the one before, unless it was
    `spoilt` against that: a mark, or a restart, while answers are bad does not make bad answers the usual ones.
    """
    server = source.id.removeprefix("quality:")
    sources = [source, *(each for each in source.view.all(Source.SERVER) if each.id == server)]
    events = [each for one in sources for each in one.history.events if each.kind in _CHANGES]
    first, change_after = (passes[0] if passes else None), None
    for event in sorted(events, key=lambda each: each.wall):
        earlier = before(passes, event.wall)
        if earlier is None or first is None or sum(each.began > event.wall for each in passes) < RUNNING:
            continue
        if earlier is first or not spoilt(first, earlier):
            first, change_after = earlier, event
    return first, change_after


def _regressed(first: Batch, later: Batch) -> bool:
    """Tell whether a single pass went worse than another."""
    found = change(first.graded, later.graded)
    return (found is not None and _worse(found)) or _fell(shift(first.graded, later.graded, f1))


def _fell(found: Interval | None) -> bool:
    return found is not None and found.hi < 0 and found.value <= -POINTS


def _worse(found: Change) -> bool:
    by_chance = found.p < P and found.points <= -POINTS
    ratio = found.ratio
    return by_chance or (ratio is not None and ratio.value < KEPT and ratio.hi < 1)


def _regression(found: Change, event: Event | None) -> Condition:
    points = units.digits(100 * found.points, 2)
    interval = found.difference
    text = (
        f"{points} points ({units.digits(100 * interval.lo, 2)} to {units.digits(100 * interval.hi, 2)}): "
        f"{found.worse} of {found.pairs} answers got worse, {found.better} better, p {units.digits(found.p, 1)}"
    )
    return Condition(
        holds=True,
        summary=f"{points} points, {found.worse} of {found.pairs} answers got worse",
        severity=Severity.CRITICAL,
        description=f"{_after(event)}accuracy changed by {text}; so it was {RUNNING} times running.",
        evidence=(
            Evidence(
                "accuracy_change",
                found.points,
                "ratio",
                threshold=-POINTS,
                count=float(found.pairs),
                text=text,
                lo=interval.lo,
                hi=interval.hi,
            ),
        ),
        affected=found.worse / found.pairs,
    )


def _shifted(what: str, found: Interval | None, event: Event | None) -> Condition:
    if found is None:
        return HOLDS_NOT
    text = (
        f"{what} changed by {units.digits(found.value, 2)} ({units.digits(found.lo, 2)} to {units.digits(found.hi, 2)})"
    )
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.CRITICAL,
        description=f"{_after(event)}{text}, item by item over {found.n} items, {RUNNING} times running.",
        evidence=(
            Evidence("quality_shift", found.value, "1", count=float(found.n), text=text, lo=found.lo, hi=found.hi),
        ),
    )


def _after(event: Event | None) -> str:
    return f"After {units.rfc3339(event.wall)} ({event.text}) " if event else "Against the first pass "


def meaning_shifted(source: SourceView) -> tuple[str, Interval] | None:
    """Find whether answers went off their questions (relevancy) or fell apart (coherence), in two passes running."""
    passes = finished(source)
    if len(passes) <= RUNNING:
        return None
    for what, measured in (("relevancy", relevancy), ("coherence", coherence)):
        found = [shift(passes[0].graded, each.graded, measured) for each in passes[-RUNNING:]]
        if all(each is not None and each.hi < 0 and each.value <= -SHIFT for each in found) and found[-1] is not None:
            return what, found[-1]
    return None


def cache_inconsistency(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether answers from a warm cache differ more often than two from a cold one do."""
    del settings, firing
    found = consistency(source.history.graded)
    if found is None:
        return unknown("no question was asked with a cold and a warm cache yet: --quality asks those marked for it")
    warm, cold = found.warm_mismatch, found.cold_mismatch
    text = (
        f"with a warm cache {units.value(warm.value, 'ratio') if warm else units.UNKNOWN} of {found.warm_pairs} pairs "
        f"differ, without {units.value(cold.value, 'ratio') if cold else units.UNKNOWN} of {found.cold_pairs}"
    )
    enough = min(found.warm_pairs, found.cold_pairs) >= MIN_PAIRS
    p = min((each for each in (found.p, found.p_graded) if each is not None), default=1.0)
    if not found.warm_only_broken and not enough:
        return unknown(f"{min(found.warm_pairs, found.cold_pairs)} pairs of {MIN_PAIRS} that it takes; {text}")
    if not found.warm_only_broken and p >= P:
        return Condition(holds=False, summary=text)
    broken = f"; {found.warm_only_broken} are broken JSON with a warm cache alone" if found.warm_only_broken else ""
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.CRITICAL,
        description=f"Of the answers to the same question, {text}{broken} (p {units.digits(p, 1)}).",
        evidence=(
            Evidence(
                "cache_consistency",
                warm.value if warm else None,
                "ratio",
                threshold=cold.value if cold else None,
                count=float(found.warm_pairs),
                text=text,
                lo=warm.lo if warm else None,
                hi=warm.hi if warm else None,
            ),
            *_first_token(source),
        ),
        affected=max(0.0, warm.value - (cold.value if cold else 0.0)) if warm else None,
    )


def _first_token(source: SourceView) -> tuple[Evidence, ...]:
    """Tell how far a warm cache shifts the first token, where that is told: it goes with the finding, and makes none.

    Rounding shifts it a little on healthy servers too, by how much nobody has measured on GPUs.
    """
    found = first_token(source.history.graded)
    if found is None:
        return ()
    excess = found.excess
    text = (
        f"the log-probability of the first token is off by {units.digits(found.warm, 2)} with a warm cache, by "
        f"{units.digits(found.cold, 2)} without"
    )
    return (Evidence("first_token", excess.value, "1", count=float(excess.n), text=text, lo=excess.lo, hi=excess.hi),)


REGRESSION = Rule(
    id="quality_regression",
    title="Quality regression after optimisation",
    of=Source.QUALITY,
    condition=quality_regression,
    live=Timing(0.0, 0.0),
    page=Timing(0.0, 0.0),
    source="McNemar p < 0.01 and 2 points, or below 99 % of before (MLPerf Inference), in two passes running",
    impact="high: wrong answers that no latency shows",
    mitigation=(
        "Roll back what was changed (quantisation, KV cache type, speculation, version), or calibrate it; grade a "
        "fixed set before and after each change."
    ),
    absent="not measured: needs --quality before and after a change",
    every=10.0,
    event=True,
)
INCONSISTENCY = Rule(
    id="cache_inconsistency",
    title="Caching inconsistency",
    of=Source.QUALITY,
    condition=cache_inconsistency,
    live=Timing(0.0, 0.0),
    page=Timing(0.0, 0.0),
    source="Fisher p < 0.01 over 50 pairs of each kind, or JSON broken with a warm cache alone; vLLM issue 50702",
    impact="high: wrong answers that no latency shows",
    mitigation=(
        "Try the same questions with the prefix cache off; then switch off what shares it (offloading), hash with "
        "sha256, or upgrade."
    ),
    absent="not measured: --quality compares answers from a cold and a warm cache",
    every=10.0,
    event=True,
)
