"""The four dimensions of a served model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.snapshot import Score, Scorecard

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.snapshot import Gpu, Target
    from metrics.view import View


def scorecard(view: View, targets: tuple[Target, ...], gpus: tuple[Gpu, ...], settings: Settings) -> Scorecard:
    """Score."""
    del view, targets, gpus, settings
    none = Score(None, "not measured")
    return Scorecard(none, none, none, none)
