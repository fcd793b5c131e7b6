"""E16: what a token takes of energy and of money.

Energy is that of the GPU boards alone, from NVML's counter (refreshed each 0.1 s, so windows of 10 s and more): no CPU,
power supply or cooling. The sensor of A100 and H100 samples a quarter of the time (arXiv 2312.02741), hence an error of
5 % that no averaging takes away.
"""

from __future__ import annotations

from insight.estimators.effects import unknown
from metrics.effect import Effect, Grade

SENSOR_ERROR = 0.05
SHORTEST = 10.0
"""Seconds."""


def per_token(joules: float, tokens: float, seconds: float, *, shared: bool = False) -> Effect:
    """Give the energy (J) of an output token, idle power and prompts included; `unknown` in windows below 10 s.

    `shared` says that another process ran on the boards, or may have: then it is an upper bound.
    """
    if seconds < SHORTEST or joules <= 0 or tokens <= 0:
        return unknown(_ENERGY, "J", "energy of the GPUs and output tokens over 10 s")
    value = joules / tokens
    notes = ("GPU boards alone", *(("whatever another process drew on these GPUs is in it",) if shared else ()))
    return Effect(
        _ENERGY,
        now=value,
        lo=None if shared else value / (1 + SENSOR_ERROR),
        mid=None if shared else value,
        hi=value / (1 - SENSOR_ERROR),
        unit="J",
        basis="bound" if shared else "measured",
        grade=Grade.C if shared else Grade.A,
        assumptions=notes,
        n=tokens,
        window_seconds=seconds,
    )


def price(hourly: float, output_rate: float) -> float | None:
    """Price a million output tokens, all cost on them: hourly / (3600 * tokens/s) * 1e6; None where none come.

    `hourly` is for all GPUs, and the price is in its unit.
    """
    return hourly / 3600 / output_rate * 1e6 if output_rate > 0 else None


def cost(hourly: float, tokens: float, seconds: float) -> Effect:
    """Give the price ($) of a million output tokens over a window: arithmetic on a count, so there is no interval."""
    value = price(hourly, tokens / seconds) if seconds > 0 else None
    if value is None:
        return unknown(_COST, "$", "output tokens")
    return Effect(
        _COST,
        now=value,
        lo=value,
        mid=value,
        hi=value,
        unit="$",
        basis="measured",
        grade=Grade.A,
        assumptions=(f"its GPUs cost {hourly:.4g} $ an hour",),
        n=tokens,
        window_seconds=seconds,
    )


_ENERGY, _COST = "energy_per_output_token", "cost_per_million_tokens"
