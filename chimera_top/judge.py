"""What draws the conclusions, made as the settings ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimera_top import __version__
from chimera_top.exit import UsageError
from insight.assess import Assessor
from insight.objectives import BadObjectiveError, parse_objectives
from insight.settings import Settings as Asked

if TYPE_CHECKING:
    from chimera_top.config import Settings


def judge(settings: Settings, mode: str, targets: tuple[str, ...] = (), window: float | None = None) -> Assessor:
    """Make an Assessor for a window, by default the screen's; raises UsageError that names a wrong objective."""
    try:
        objectives = parse_objectives(settings.slo)
    except BadObjectiveError as error:
        raise UsageError(str(error)) from None
    return Assessor(
        Asked(
            window=settings.window_seconds if window is None else window,
            objectives=objectives,
            mode=mode,
            tool_version=__version__,
            targets=targets,
        )
    )
