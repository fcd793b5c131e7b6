"""What was asked of a server before and after: is it the same load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight.verification.figures import figure
from insight.verification.metric import ARRIVALS, HIT_RATE, LOAD
from insight.verification.noise import together
from insight.verification.wording import from_to, said

if TYPE_CHECKING:
    from insight.verification.figures import Figure, Verdict
    from insight.verification.settings import Setting
    from insight.verification.side import Side

SAME = 0.05
"""Rates and lengths that differ by less, and hit rates by less than five points, are the same load."""
NEARLY = 0.1
"""Beyond that they are not taken for the same even where they may be: of a load that goes up and down hardly anything
is certain. The mix of a step-time model is the same within as much (`extrapolation.SAME_MIX`)."""
_CACHING = frozenset(("enable_prefix_caching", "flag_enable_prefix_caching"))


def load_figures(before: Side, after: Side, settings: tuple[Setting, ...]) -> tuple[Figure, ...]:
    """Compare what was asked of the server. The hit rate of a cache that was changed is no part of that."""
    cache = any(each.name in _CACHING for each in settings)
    asked = [metric for metric in LOAD if not (cache and metric is HIT_RATE)]
    found = (figure(metric, before, after, together(len(asked))) for metric in asked)
    return tuple(replace(each, verdict=_as_load(each)) for each in found if each is not None)


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
        return None, f"whether it is the same load cannot be told: {', '.join(map(said, unsure))}"
    if not any(each.id == ARRIVALS.id and each.verdict != "not told" for each in load):
        return None, "whether it is the same load cannot be told"
    return True, "the same load, as far as it can be told from noise"
