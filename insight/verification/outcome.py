"""What came of a change, in one word and one sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from insight.objectives import label
from insight.verification.figures import CLEAR
from insight.verification.metric import THROUGHPUT, TPOT, WAITING
from insight.verification.noise import CONFIDENCE, quantile_bounds
from insight.verification.settings import named
from insight.verification.wording import said, told
from metrics import units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.verification.figures import Figure
    from insight.verification.settings import Setting
    from insight.verification.side import Side
    from metrics.histogram import Quantile
    from metrics.snapshot import Objective

Outcome = Literal["better", "no worse", "worse", "not told"]
_SPEED = ("itl_at_same_load", "itl_seconds", "tpot_seconds", "ttft_seconds")
"""By the first of these that is known it is told whether a server became worse at all."""
_MOST_TIMES = 20
"""Beyond that it is nothing that anybody would wait for."""
_ENGINE = frozenset(("itl_at_same_load",))
"""What no gain makes up for: at the same work the engine is slower."""


def outcome(found: Sequence[Figure], settings: Sequence[Setting], before: Side, after: Side) -> tuple[Outcome, str]:
    """Say in one sentence what came of it; the sentence is empty where nothing is known of how fast the server is.

    What got worse and keeps its objective is the price of a gain, and not a loss, where the gain is more tokens, or an
    objective that was missed and is so no longer: more requests at once make each step longer.
    """
    better = [each for each in found if each.verdict == "better"]
    worse = [each for each in found if each.verdict == "worse"]
    gained = _gained(better, before, after)
    prices = {each.id: price for each in worse if gained and (price := _price(each, after))}
    lost = [each for each in worse if each.id not in prices]
    since = named(settings)
    if lost:
        gain = f"; better: {_list(better)}" if better else ""
        return "worse", f"worse{since}: {_list(worse)}{gain}"
    paid = "".join(f"; at the price of {told(each)}, {prices[each.id]}" for each in _heads(worse))
    known = {
        each.id: each for each in found if each.verdict in {"better", "slight", "noise"} and each.change is not None
    }
    speed = next((known[name] for name in _SPEED if name in known), None)
    if paid or (gained and speed is None):
        unseen = "" if paid else "; TTFT and ITL could not be compared"
        return "better", f"better{since}: {_list(better)}{paid}{unseen}"
    if speed is None:
        return "not told", ""
    if speed.hi is None or speed.hi > CLEAR:
        return "not told", f"cannot be told: {said(speed)}, which takes {_longer(speed)} to tell from noise"
    if better:
        return "better", f"better{since}: {_list(better)}"
    return "no worse", f"no worse{since}: {said(speed)}"


def _longer(found: Figure) -> str:
    """Say how long recordings would have to be: an interval narrows by the root of the time."""
    longer = "longer recordings"
    if found.hi is None or found.change is None or found.change >= CLEAR:
        return longer
    times = ((found.hi - found.change) / (CLEAR - found.change)) ** 2
    return f"recordings {units.digits(math.ceil(times), 2)} times as long" if times < _MOST_TIMES else longer


def _heads(found: Sequence[Figure]) -> list[Figure]:
    """Take of each latency one figure: its mean tells what its p95 tells, and that at the same batch tells both."""
    return [*{_family(each.id): each for each in reversed(found)}.values()][::-1]


def _family(name: str) -> str:
    """Tell which latency a figure or an objective is of: `itl_p95` and `itl_at_same_load` are both `itl`."""
    return name.partition("_")[0]


def _list(found: Sequence[Figure]) -> str:
    return ", ".join(map(told, _heads(found)))


def _gained(better: Sequence[Figure], before: Side, after: Side) -> bool:
    """Tell whether more is served, fewer wait, or an objective that was certainly missed may be kept now."""
    of = {_family(each.id) for each in better}
    restored = (each for each in after.objectives if _family(each.quantity) in of)
    return bool(of & {_family(THROUGHPUT.id), _family(WAITING.id)}) or any(
        _missed(each, before) and not _missed(each, after) for each in restored
    )


def _price(found: Figure, after: Side) -> str:
    """Say that what got worse keeps its objective for certain; empty where it does not, or has none.

    Of a server without histograms only the mean is known.
    """
    if found.id in _ENGINE:
        return ""
    stated = _stated(found, after)
    bounds = [_bounds(each, after) for each in stated]
    told = [each for each in bounds if each is not None]
    ends = [each.hi for each in told] or [found.after for _ in stated]
    kept = [end is not None and end <= each.limit for end, each in zip(ends, stated, strict=False)]
    if not stated or len(kept) < len(stated) or not all(kept):
        return ""
    limits = ", ".join(f"{label(each)} {units.value(each.limit, 's')}" for each in stated)
    return (
        f"{'' if told else 'on average '}within its objective ({limits}{', the default' if stated[0].default else ''})"
    )


def _stated(found: Figure, after: Side) -> list[Objective]:
    """List the objectives of a latency: those of ITL hold for TPOT, which is its mean over a request, too."""
    names = [_family(found.id), *(["itl"] if found.id == TPOT.id else [])]
    by_name = ([each for each in after.objectives if _family(each.quantity) == name] for name in names)
    return next((each for each in by_name if each), [])


def _missed(objective: Objective, side: Side) -> bool:
    bounds = _bounds(objective, side)
    return bounds is not None and bounds.lo >= objective.limit


def _bounds(objective: Objective, side: Side) -> Quantile | None:
    name = objective.quantity
    return quantile_bounds(
        [each.histograms[name] for each in side.spells if name in each.histograms], objective.q, CONFIDENCE
    )
