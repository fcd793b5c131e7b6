"""What was otherwise around a server, and may be why it did better or worse: its host and its GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.verification.figures import LEAST, figure
from insight.verification.metric import AROUND
from insight.verification.noise import together
from insight.verification.wording import from_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.verification.figures import Figure
    from insight.verification.side import Side

POINTS = 0.1
"""Shares of time that differ by less do not tell one time from another. Our own default."""


def surroundings(before: Side, after: Side) -> tuple[Figure, ...]:
    """List what differed by enough to matter. That it did is seen; whether it would again is not asked."""
    found = [figure(metric, before, after, together(len(AROUND))) for metric in AROUND]
    return tuple(each for each in found if each is not None and _matters(each))


def _matters(found: Figure) -> bool:
    return abs(found.change or 0.0) >= (LEAST if found.is_relative else POINTS)


def meanwhile(found: Sequence[Figure]) -> str:
    """Say it behind an outcome: `meanwhile host CPU in use 41 % -> 98 %`; empty where there is nothing."""
    return f"; meanwhile {', '.join(f'{each.title} {from_to(each)}' for each in found)}" if found else ""
