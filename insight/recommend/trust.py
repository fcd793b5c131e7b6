"""Whether what a server counted in the last minute fits together, by Little's law, and what is worth less if not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight.estimators import littles_law
from metrics.effect import Grade

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.estimators.windows import StepWindow
    from metrics.effect import Effect
    from metrics.view import SourceView


def doubt(source: SourceView, recent: Sequence[StepWindow]) -> str:
    """Say by how much counters, latencies and gauges disagree about the requests in the server; '' where they agree."""
    seconds = math.fsum(each.seconds for each in recent)
    held = littles_law.in_server(
        math.fsum(each.itl_sum for each in recent), math.fsum(each.ttft_sum for each in recent), seconds
    )
    if held is None:
        return ""
    stayed = source.histogram("e2e_seconds", seconds)
    by_requests = None if stayed is None or stayed.mean is None else stayed.count / seconds * stayed.mean
    shown = [each.running + each.waiting for each in recent if each.running is not None and each.waiting is not None]
    by_gauges = math.fsum(shown) / len(shown) if shown else None
    return littles_law.doubt(held, by_requests, by_gauges, seconds)


def less_sure(effect: Effect, why: str) -> Effect:
    """Lower the grade of what a model says, and say why; what was measured, and what is in no doubt, stays as it is."""
    if not why or effect.basis != "model":
        return effect
    condition = f"the load is steady and counted rightly, which the last minute does not bear out: {why}"
    return replace(effect, grade=max(Grade.C, effect.grade), valid_if=(*effect.valid_if, condition))
