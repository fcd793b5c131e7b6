"""What asking has cost, in words: tokens, and dollars where their price is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collectors.quality.examiner import Plan

_HOUR = 3600.0


def cost(plan: Plan, spent: float, seconds: float, *, estimated: bool, embedded: int = 0) -> str:
    """Say what the questions to one server have cost in so many seconds; `embedded` are tokens of the embedding server.

    A pass begins once an hour, and most of that hour nothing is asked: before it is over, no rate can be told. The
    price is that of the server under test; what embedding costs elsewhere is told in tokens.
    """
    dollars = "" if plan.price is None else f" (${spent * plan.price / 1e6:.4f})"
    words = f"{'at most ' if estimated else ''}{spent:,.0f} tokens so far{dollars}"
    if seconds >= _HOUR:
        hourly = spent / seconds * _HOUR
        dollars = "" if plan.price is None else f" (${hourly * plan.price / 1e6:.4f})"
        words += f", {hourly:,.0f} an hour{dollars}"
    words += f"; never more than {plan.tokens_per_hour:,.0f} an hour"
    return f"{words}; {embedded:,} tokens were embedded elsewhere" if embedded else words
