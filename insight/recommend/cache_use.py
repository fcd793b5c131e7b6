"""How the KV cache of a server is used: what a request holds of it, when it is full, and what preemptions cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.estimators import forecast, kv_capacity, preemption
from insight.estimators.effects import unknown
from insight.estimators.step_time import NoStepTime, StepTime
from metrics import units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.estimators.traffic import Traffic
    from insight.estimators.windows import StepWindow
    from metrics.effect import Effect
    from metrics.view import SourceView

FULL = 0.9
"""Above this usage the cache is what limits the batch."""


def usage(windows: Sequence[StepWindow]) -> float | None:
    """Give the mean share of the cache in use; None where no window tells."""
    held = [each.kv for each in windows if each.kv is not None]
    return math.fsum(held) / len(held) if held else None


def is_full(windows: Sequence[StepWindow]) -> bool:
    """Tell whether the cache is what limits the batch."""
    return (usage(windows) or 0.0) >= FULL


def resident(windows: Sequence[StepWindow], kv_tokens: float | None) -> float | None:
    """Give the tokens that a running request holds on average."""
    ran = [each.running for each in windows if each.running is not None]
    held = usage(windows)
    if held is None or not ran or kv_tokens is None:
        return None
    return kv_capacity.resident_tokens(held, kv_tokens, math.fsum(ran) / len(ran))


def full_at(
    model: StepTime | NoStepTime, traffic: Traffic | None, windows: Sequence[StepWindow], filled: float | None
) -> Effect:
    """Tell the requests per second at which the cache is full.

    `filled` is the share of it that all slots together take, where the slots and what a request holds are known: where
    that is not all of it, no rate fills it.
    """
    held = usage(windows)
    if held is None or traffic is None:
        return unknown("requests_finished", "1/s", "the KV cache in use while requests run")
    if filled is not None and filled < FULL:
        needs = f"more slots: with all of them taken {units.value(filled, 'ratio')} of it is in use, at any rate"
        return unknown("requests_finished", "1/s", needs, traffic.rate)
    seconds, n = math.fsum(each.seconds for each in windows), float(len(windows))
    if not isinstance(model, StepTime):
        return kv_capacity.capacity(traffic.rate, held, None, n, seconds)

    def itl(rate: float) -> float | None:
        return forecast.itl_at(model, rate, traffic.prompt, traffic.output)

    return kv_capacity.capacity(traffic.rate, held, itl, n, seconds)


def lost(
    source: SourceView,
    model: StepTime | NoStepTime,
    windows: Sequence[StepWindow],
    held: float | None,
    caching: bool | None,
) -> Effect | None:
    """Tell the share of the engine's time that preemptions cost; None without preemptions or a fit.

    `held` is what a running request holds of the cache, in tokens. By the tokens that are worked on again where the
    server counts them (vLLM 0.16 to 0.19), else by the number of preemptions.
    """
    seconds = math.fsum(each.seconds for each in windows)
    count = math.fsum(each.preemptions or 0.0 for each in windows)
    if not isinstance(model, StepTime) or not count or not seconds:
        return None
    again = source.increase("prompt_tokens_recomputed", seconds)
    if again is not None and again.rate is not None:
        found = preemption.loss_recomputed(again.rate, model.cost.gamma, count, seconds)
    elif held:
        upper = preemption.proxy(count / seconds, held, model.cost.gamma)
        found = preemption.loss(upper, caching, count, seconds)
    else:
        return None
    return found if found.mid is not None else None
