"""Two times of one server compared: was it asked the same, and did it do better or worse by more than noise.

All intervals of one comparison hold together at 95 % (Bonferroni): of a dozen that each hold at 95 %, one in two
comparisons of a server with itself would show a change that is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from insight.verification.figures import CLEAR, Figure, figure, judged, quantile_figure
from insight.verification.load import load_figures, same_load
from insight.verification.matched import Matched, match
from insight.verification.metric import HIT_RATE, ITL, QUANTILES, RESULTS, TPOT
from insight.verification.noise import FEWEST_BATCHES, relative, share_change, together
from insight.verification.settings import Setting, changed_settings
from insight.verification.side import too_short
from insight.verification.wording import said
from metrics import units

if TYPE_CHECKING:
    from insight.verification.metric import Metric
    from insight.verification.side import Side

Outcome = Literal["better", "no worse", "worse", "not told"]
STANDING = 1.0
"""With so many waiting on average a queue stands, and the server gives what it can."""
_SPEED = ("itl_at_same_load", "itl_seconds", "tpot_seconds", "ttft_seconds")
"""By the first of these that is known it is told whether a server became worse at all."""


class Comparison(Struct, frozen=True):
    """What changed."""

    before: str
    after: str
    target: str
    before_seconds: float
    after_seconds: float
    outcome: Outcome
    text: str
    """The outcome in one sentence."""
    settings: tuple[Setting, ...]
    load: tuple[Figure, ...]
    same_load: bool | None
    """None where it cannot be told."""
    load_text: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    simulated: bool = False


def compare(before: Side, after: Side) -> Comparison:
    """Compare two times of one server."""
    settings = changed_settings(before, after)
    load = load_figures(before, after, settings)
    same, load_text = same_load(load)
    matched = match(before, after) if before.windows or after.windows else ""
    found = _figures(before, after, load, same=same is True, matched=matched)
    outcome, text = _outcome(found)
    reasons = [reason for side in (before, after) if (reason := too_short(side, FEWEST_BATCHES))]
    if not before.spells and not after.spells:
        reasons = ["of a report's sums alone nobody can tell a change from noise: compare recordings"]
    if outcome == "not told" and reasons:
        text = f"cannot be told: {reasons[0]}"
    return Comparison(
        before=before.label,
        after=after.label,
        target=after.target,
        before_seconds=before.seconds,
        after_seconds=after.seconds,
        outcome=outcome,
        text=text,
        settings=settings,
        load=load,
        same_load=same,
        load_text=load_text,
        figures=found,
        notes=(*reasons, *([matched] if isinstance(matched, str) and matched else [])),
        simulated=before.simulated or after.simulated,
    )


def _figures(
    before: Side, after: Side, load: tuple[Figure, ...], *, same: bool, matched: Matched | str
) -> tuple[Figure, ...]:
    confidence = together(sum(1 for each in RESULTS if each.better) + len(QUANTILES) + 1)
    found: list[Figure] = []
    if isinstance(matched, Matched):
        found.append(_at_same_load(matched, confidence))
    saturated = queue_stood(before) and queue_stood(after)
    has_itl = any(ITL.id in each.histograms for each in before.spells) or ITL.id in before.quantities
    for metric in RESULTS:
        if metric is TPOT and has_itl:
            continue
        one = figure(metric, before, after, confidence)
        if one is not None and (one.before or one.after):
            found.append(_if_comparable(one, metric, same=same, saturated=saturated))
    for quantity, title, q in QUANTILES:
        bounded = quantile_figure(quantity, title, q, (before, after), confidence)
        if bounded is not None:
            found.append(bounded if same else _follows_load(bounded))
    if not any(each.id == HIT_RATE.id for each in load) and (hits := figure(HIT_RATE, before, after, confidence)):
        found.append(hits)
    accuracy = _quality(before, after, confidence)
    return (*found, *([accuracy] if accuracy is not None else []))


def _if_comparable(found: Figure, metric: Metric, *, same: bool, saturated: bool) -> Figure:
    """Leave the judgement only where the number speaks of the server and not of what was asked of it."""
    if found.verdict not in {"better", "worse"} or not metric.follows_load:
        return found
    if metric.id == "output_tokens_total" and not saturated:
        return replace(found, verdict="differs", why="no queue stood: it is what was asked for, not what it can")
    return found if same else _follows_load(found)


def _follows_load(found: Figure) -> Figure:
    judged_so = found.verdict in {"better", "worse"}
    return replace(found, verdict="differs", why="the load differs, and it follows the load") if judged_so else found


def _at_same_load(matched: Matched, confidence: float) -> Figure:
    span = relative(matched.before, matched.after, confidence)
    at = f"at {units.digits(matched.batch)} decoding, {units.digits(matched.prompt_rate)} prompt tokens/s worked on"
    if matched.by_model:
        at += "; before by its step-time model, for the loads have little in common"
    bare = Figure(
        "itl_at_same_load",
        "ITL at the same batch",
        "s",
        matched.before.value,
        matched.after.value,
        before_count=float(matched.windows[0]),
        after_count=float(matched.windows[1]),
        why=f"{at}; n is windows of 3 s",
    )
    return bare if span is None else judged(bare, span, -1, is_relative=True)


def queue_stood(side: Side) -> bool:
    """Tell whether requests waited nearly all the time: then what a server finishes is what it can."""
    waited = [each.gauges.get("requests_waiting", 0.0) * each.seconds for each in side.spells]
    return bool(waited) and sum(waited) >= STANDING * side.seconds


def _quality(before: Side, after: Side, confidence: float) -> Figure | None:
    """Compare the share of right answers to questions whose answers are known."""
    one, other = before.quality.get("accuracy"), after.quality.get("accuracy")
    if one is None or other is None or not one.count or not other.count:
        return None
    shares = (one.value or 0.0, other.value or 0.0)
    bare = Figure("accuracy", "right answers", "ratio", *shares, before_count=one.count, after_count=other.count)
    span = share_change((shares[0] * one.count, one.count), (shares[1] * other.count, other.count), confidence)
    return bare if span is None else judged(bare, span, 1, is_relative=False)


def _outcome(found: tuple[Figure, ...]) -> tuple[Outcome, str]:
    """Say in one sentence what came of it."""
    worse = [each for each in found if each.verdict == "worse"]
    better = [each for each in found if each.verdict == "better"]
    if worse:
        return "worse", f"worse: {', '.join(map(said, worse))}"
    known = {
        each.id: each for each in found if each.verdict in {"better", "slight", "noise"} and each.change is not None
    }
    speed = next((known[name] for name in _SPEED if name in known), None)
    if speed is None:
        reason = next((each.why for name in _SPEED for each in found if each.id == name and each.why), "")
        return "not told", f"cannot be told: {reason or 'neither ITL nor TTFT could be compared'}"
    if speed.hi is None or speed.hi > CLEAR:
        return "not told", f"cannot be told: {said(speed)}, which takes longer recordings to tell from noise"
    if better:
        return "better", f"better: {', '.join(map(said, better))}"
    return "no worse", f"no worse: {said(speed)}"
