"""Two times of one server compared: was it asked the same, and did it do better or worse by more than noise.

All intervals of one comparison hold together at 95 % (Bonferroni): of a dozen that each hold at 95 %, one in two
comparisons of a server with itself would show a change that is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from insight.verification.figures import Figure, figure, judged, quantile_figure
from insight.verification.load import HOW_MUCH, LENGTHS, load_figures, same_load
from insight.verification.matched import Matched, match
from insight.verification.metric import HIT_RATE, IN_SERVER, ITL, QUANTILES, RESULTS, THROUGHPUT, TPOT, TTFT, WAITING
from insight.verification.noise import FEWEST_BATCHES, relative, share_change, together
from insight.verification.outcome import Outcome, outcome
from insight.verification.settings import Setting, changed_settings
from insight.verification.side import untold
from insight.verification.surroundings import meanwhile, surroundings
from metrics import units

if TYPE_CHECKING:
    from insight.verification.metric import Metric
    from insight.verification.side import Side

STANDING = 1.0
"""With so many waiting on average a queue stands, and the server gives what it can."""


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
    around: tuple[Figure, ...] = ()
    """What differed of the host and the GPUs."""
    notes: tuple[str, ...] = ()
    simulated: bool = False


def compare(before: Side, after: Side) -> Comparison:
    """Compare two times of one server."""
    settings = changed_settings(before, after)
    load = load_figures(before, after, settings)
    same, load_text = same_load(load)
    matched = match(before, after) if before.recorded and after.recorded else ""
    found = _figures(before, after, load, same=same is True, matched=matched)
    verdict, text = outcome(found, settings, before, after)
    reasons = [reason for side in (before, after) if (reason := untold(side, FEWEST_BATCHES))]
    around = surroundings(before, after)
    apart = "" if same else f"; {load_text if same is None else f'under {load_text}'}"
    if verdict == "not told" and (reasons or not text):
        text = f"cannot be told: {(*reasons, _untold(load_text, matched, same=same))[0]}"
        apart = ""
    return Comparison(
        before=before.label,
        after=after.label,
        target=after.target,
        before_seconds=before.seconds,
        after_seconds=after.seconds,
        outcome=verdict,
        text=text + apart + ("" if verdict == "no worse" else meanwhile(around)),
        settings=settings,
        load=load,
        same_load=same,
        load_text=load_text,
        figures=found,
        around=around,
        notes=(*reasons, *([matched] if isinstance(matched, str) and matched else [])),
        simulated=before.simulated or after.simulated,
    )


def _untold(load_text: str, matched: Matched | str, *, same: bool | None) -> str:
    """Say why nothing is known of how fast the server is."""
    if same or not matched:
        return "the server tells neither ITL nor TTFT, which --probe measures"
    return f"{load_text}; ITL and TTFT follow the load" + (f", and {matched}" if isinstance(matched, str) else "")


def _figures(
    before: Side, after: Side, load: tuple[Figure, ...], *, same: bool, matched: Matched | str
) -> tuple[Figure, ...]:
    confidence = together(sum(1 for each in RESULTS if each.better) + len(QUANTILES) + 1)
    found: list[Figure] = []
    if isinstance(matched, Matched):
        found.append(_at_same_load(matched, confidence))
    clients = any(each.id == IN_SERVER.id for each in load)  # who wait for their answers: it gives them what it can
    stood = clients or queue_stood(before), clients or queue_stood(after)
    # Of more requests than a server can take it makes no difference how many they are.
    lengths = [each for each in load if each.id not in HOW_MUCH and each.lo is not None]
    alike = any(each.id in LENGTHS for each in lengths) and all(each.verdict in {"noise", "slight"} for each in lengths)
    has_ttft = any(TTFT.id in each.histograms for each in before.spells) or TTFT.id in before.quantities
    has_itl = any(ITL.id in each.histograms for each in before.spells) or ITL.id in before.quantities
    for metric in RESULTS:
        if metric is TPOT and has_itl:
            continue
        measured = replace(metric, better=0) if metric is WAITING and has_ttft else metric
        one = figure(measured, before, after, confidence)
        if one is not None and (one.before or one.after):
            found.append(
                _if_capacity(one, stood, same=same or alike)
                if metric is THROUGHPUT
                else _if_comparable(one, metric, same=same)
            )
    for quantity, title, q in QUANTILES:
        bounded = quantile_figure(quantity, title, q, (before, after), confidence)
        if bounded is not None:
            found.append(bounded if same else _follows_load(bounded))
    if not any(each.id == HIT_RATE.id for each in load) and (hits := figure(HIT_RATE, before, after, confidence)):
        found.append(hits)
    accuracy = _quality(before, after, confidence)
    return (*found, *([accuracy] if accuracy is not None else []))


def _if_comparable(found: Figure, metric: Metric, *, same: bool) -> Figure:
    """Leave the judgement only where the number speaks of the server and not of what was asked of it."""
    return found if same or not metric.follows_load else _follows_load(found)


def _if_capacity(found: Figure, stood: tuple[bool, bool], *, same: bool) -> Figure:
    """Judge throughput where a queue stood beside the lower one: that is all it can do, and the other can do more."""
    judged_so = found.verdict in {"better", "worse"}
    if judged_so and not stood[0 if found.verdict == "better" else 1]:
        return replace(found, verdict="differs", why="no queue stood, so it is what was asked for, not what it can do")
    return found if same else _follows_load(found)


def _follows_load(found: Figure) -> Figure:
    if found.verdict not in {"better", "worse"}:
        return found
    return replace(found, verdict="differs", why="it follows the load, which is not certainly the same")


def _at_same_load(matched: Matched, confidence: float) -> Figure:
    span = relative(matched.before, matched.after, confidence)
    load = f"{units.digits(matched.batch - 1)} requests decoding, {units.digits(matched.prompt_rate)} prompt tokens/s"
    at = f"with {load}"
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
