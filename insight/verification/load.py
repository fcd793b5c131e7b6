"""What was asked of a server before and after: is it the same load."""

from __future__ import annotations

import math
from statistics import mean, pstdev
from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight.verification.figures import figure
from insight.verification.metric import ARRIVALS, HIT_RATE, IN_SERVER, LOAD, LOAD_IN_TOKENS, MIX, PROMPTS
from insight.verification.noise import CONFIDENCE, FEWEST_BATCHES, together
from insight.verification.wording import from_to, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.verification.figures import Figure, Verdict
    from insight.verification.metric import Metric
    from insight.verification.settings import Setting
    from insight.verification.side import Side

SAME = 0.05
"""Rates and lengths that differ by less, and hit rates by less than five points, are the same load."""
NEARLY = 0.1
"""Beyond that they are not taken for the same even where they may be: of a load that goes up and down hardly anything
is certain. The mix of a step-time model is the same within as much (`extrapolation.SAME_MIX`)."""
STEADY = 0.1
"""Requests in the server that vary by no more from spell to spell, of their mean, are those of so many clients that ask
again when they have their answer, or of very many: their number is the load then. Our own default."""
HOW_MUCH = frozenset((ARRIVALS.id, PROMPTS.id, IN_SERVER.id))
"""What is asked in a second; the rest of a load says of what kind it is."""
LENGTHS = frozenset(("output_tokens", MIX.id))
"""By one of these it is known of what kind a load is."""
_CACHING = frozenset(("enable_prefix_caching", "flag_enable_prefix_caching"))


def load_figures(before: Side, after: Side, settings: tuple[Setting, ...]) -> tuple[Figure, ...]:
    """Compare what was asked of the server. The hit rate of a cache that was changed is no part of that."""
    cache = any(each.name in _CACHING for each in settings)
    counted = figure(ARRIVALS, before, after, CONFIDENCE)
    known = counted is not None and counted.before is not None and counted.after is not None
    told = LOAD if known else LOAD_IN_TOKENS
    asked = [metric for metric in told if not (cache and metric is HIT_RATE)]
    found = _compared(asked, before, after)
    if same_load(found)[0] is not True and _as_many(before, after):
        found = _compared([IN_SERVER if each.id in HOW_MUCH else each for each in asked], before, after)
        return tuple(replace(each, verdict="slight") if each.id == IN_SERVER.id else each for each in found)
    return found


def _compared(asked: Sequence[Metric], before: Side, after: Side) -> tuple[Figure, ...]:
    found = (figure(metric, before, after, together(len(asked))) for metric in asked)
    return tuple(replace(each, verdict=_as_load(each)) for each in found if each is not None)


def _as_many(before: Side, after: Side) -> bool:
    """Tell whether equally many requests were in the server all the time, before and after, and none was refused.

    One that refuses what is too much is as full under any load above that.
    """
    if any(each.counters.get("requests_rejected", 0.0) > 0 for side in (before, after) for each in side.spells):
        return False
    there = [_in_server(before), _in_server(after)]
    if any(len(each) < FEWEST_BATCHES or mean(each) < 1 or pstdev(each) > STEADY * mean(each) for each in there):
        return False
    one, other = map(mean, there)
    return abs(math.log(other / one)) <= NEARLY


def _in_server(side: Side) -> list[float]:
    """Tell how many requests were in the server in each spell that counted them."""
    pairs = (IN_SERVER.pair(each) for each in side.spells)
    return [pair[0] / pair[1] for pair in pairs if pair is not None]


def _as_load(found: Figure) -> Verdict:
    """Tell the same from another, and both from what nobody can tell: no proof of a difference is no proof of none."""
    if found.change is None or found.verdict == "not told":
        return "not told"
    if found.verdict == "noise":
        return "noise" if abs(found.change) <= NEARLY else "not told"
    return "differs" if abs(found.change) > SAME else "slight"


def same_load(load: tuple[Figure, ...]) -> tuple[bool | None, str]:
    """Tell whether the same was asked of the server, and say it in a sentence."""
    differing = [each for each in load if each.verdict == "differs"]
    if differing:
        return False, f"another load: {'; '.join(f'{each.title} {from_to(each)}' for each in differing)}"
    unsure = [each for each in load if each.verdict == "not told" and each.lo is not None]
    if unsure:
        return None, f"it may be another load: {', '.join(map(said, unsure))}"
    much = [each for each in load if each.id in HOW_MUCH]
    if not any(each.verdict != "not told" for each in much):
        why = "of sums alone that cannot be told" if much else "the server does not tell how much was asked of it"
        return None, f"it may be another load: {why}"
    if any(each.id == IN_SERVER.id for each in load):
        return True, "the same load: as many requests in the server all the time, each of which waits for its answer"
    return True, "the same load, as far as it can be told from noise"
