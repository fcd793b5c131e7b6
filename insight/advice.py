"""What to do about what was found, in the flags of the server that it was found on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metrics.snapshot import Recommendation, Risk, Target


def recommendations(risks: tuple[Risk, ...], targets: tuple[Target, ...]) -> tuple[Recommendation, ...]:
    """Recommend."""
    del risks, targets
    return ()
