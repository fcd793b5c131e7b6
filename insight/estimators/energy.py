"""E16: tokens per joule, joules per request, and what a million tokens cost.

Energy is that of the GPU boards alone, from NVML's counter (refreshed each 0.1 s, so windows of 10 s and more): no CPU,
power supply or cooling unless the caller states a PUE. The sensor of A100 and H100 samples a quarter of the time (arXiv
2312.02741), hence an error of 5 % that no averaging takes away.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.effects import unknown
from insight.estimators.residual import welch
from metrics.effect import Effect, Grade

if TYPE_CHECKING:
    from collections.abc import Sequence

SENSOR_ERROR = 0.05
SHORTEST = 10.0
"""Seconds."""
MATCHED_BATCH = 0.1
"""Batches that differ by no more are matched, for comparing power limits."""
FEWEST = 10
"""Windows under each power limit."""
JOULES_PER_KWH = 3.6e6


class Used(Struct, frozen=True):
    """What a window used and what it gave."""

    joules: float
    """All boards of the server."""
    seconds: float
    output_tokens: float
    prompt_tokens: float
    requests: float
    """Finished."""
    idle_watts: float | None = None
    """All boards, with the model loaded and nothing running; None where nobody saw that."""


class Energy(Struct, frozen=True):
    """Energy by what it was spent on; None where the window gave none of that. Good to 5 %, of the boards alone."""

    output_tokens_per_joule: float | None
    total_tokens_per_joule: float | None
    """Prompt and output tokens."""
    joules_per_request: float | None
    """The idle power of the time included."""
    marginal_joules_per_request: float | None
    """Without it: what one request more takes."""
    watts: float
    seconds: float


class Cost(Struct, frozen=True):
    """Price of a million tokens, in the unit of the price that was given."""

    blended: float | None
    """All cost on the output tokens."""
    output: float | None
    prompt: float | None


class Operation(Struct, frozen=True):
    """One window under a power limit."""

    limit_watts: float
    watts: float
    output_tokens_per_second: float
    batch: float


def energy(used: Used) -> Energy | None:
    """Divide the energy by what it gave; None in windows below 10 s."""
    if used.seconds < SHORTEST or used.joules <= 0:
        return None
    tokens = used.output_tokens + used.prompt_tokens
    marginal = None if used.idle_watts is None else max(0.0, used.joules - used.idle_watts * used.seconds)
    return Energy(
        used.output_tokens / used.joules if used.output_tokens > 0 else None,
        tokens / used.joules if used.output_tokens > 0 else None,
        used.joules / used.requests if used.requests > 0 else None,
        marginal / used.requests if marginal is not None and used.requests > 0 else None,
        used.joules / used.seconds,
        used.seconds,
    )


def measured(quantity: str, unit: str, value: float, window_seconds: float, shared: bool = False) -> Effect:
    """Give a number of `Energy` with its interval; `shared` says that another process ran on the boards."""
    notes = ("GPU boards alone", *(("another process ran on these GPUs: its energy is in it",) if shared else ()))
    return Effect(
        quantity,
        now=value,
        lo=value / (1 + SENSOR_ERROR),
        mid=value,
        hi=value / (1 - SENSOR_ERROR),
        unit=unit,
        basis="bound" if shared else "measured",
        grade=Grade.C if shared else Grade.A,
        assumptions=notes,
        window_seconds=window_seconds,
    )


def prefill_share(alpha: float, beta: float, gamma: float, batch: float, prefilled: float) -> float:
    """Give the share of a step that prompts take: gamma * p against alpha + beta * b, for p prompt tokens a step."""
    prompts = gamma * prefilled
    return prompts / (prompts + alpha + beta * batch)


def cost(hourly: float, output_rate: float, prompt_rate: float, prompts_share: float | None = None) -> Cost:
    """Price a million tokens: `hourly` for all GPUs, tokens/s, and the share of time that prompts take.

    Blended = hourly / (3600 * output tokens/s) * 1e6. Without the share there is no price for each kind.
    """
    second = hourly / 3600
    return Cost(
        second / output_rate * 1e6 if output_rate > 0 else None,
        second * (1 - prompts_share) / output_rate * 1e6 if prompts_share is not None and output_rate > 0 else None,
        second * prompts_share / prompt_rate * 1e6 if prompts_share is not None and prompt_rate > 0 else None,
    )


def electricity(watts: float, price_per_kwh: float, pue: float = 1.0) -> float:
    """Give the price of an hour of power, in the unit of the price; PUE 1 is the boards alone."""
    return watts * 3600 / JOULES_PER_KWH * price_per_kwh * pue


def carbon(joules: float, grams_per_kwh: float, pue: float = 1.0) -> float:
    """Give the grams of CO2 of an amount of energy, with the intensity that the user states."""
    return joules / JOULES_PER_KWH * grams_per_kwh * pue


def power_limit(windows: Sequence[Operation], now: float, then: float) -> Effect:
    """Tell output tokens per joule under another limit, from windows measured under both at batches that match.

    There is no model of it: clocks, memory and batch decide together, so what was not measured is unknown.
    """
    at_now = [each for each in windows if math.isclose(each.limit_watts, now, rel_tol=0.01)]
    at_then = [each for each in windows if math.isclose(each.limit_watts, then, rel_tol=0.01)]
    pairs = [(one, _nearest(one, at_then)) for one in at_now]
    matched = [
        (one, other) for one, other in pairs if other and abs(other.batch - one.batch) <= MATCHED_BATCH * one.batch
    ]
    others = {id(other): other for _, other in matched}
    before = [_efficiency(one) for one, _ in matched]
    after = [_efficiency(other) for other in others.values()]
    if min(len(before), len(after)) < FEWEST:
        needs = f"tokens/s and watts in {FEWEST} windows under {then:.0f} W, at the batches of {now:.0f} W"
        return unknown("output_tokens_per_joule", "tokens/J", needs)
    found = welch(after, before)
    start = math.fsum(before) / len(before)
    return Effect(
        "output_tokens_per_joule",
        now=start,
        lo=start + found.lo,
        mid=start + found.value,
        hi=start + found.hi,
        unit="tokens/J",
        basis="measured",
        grade=Grade.A,
        assumptions=("batches matched to 10 %",),
        n=len(before) + len(after),
    )


def _efficiency(operation: Operation) -> float:
    return operation.output_tokens_per_second / operation.watts


def _nearest(to: Operation, among: Sequence[Operation]) -> Operation | None:
    return min(among, key=lambda each: abs(each.batch - to.batch), default=None)
