"""What draws the conclusions, made as the settings ask for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chimera_top import __version__
from chimera_top.exit import UsageError
from chimera_top.quality import imported_quality
from insight.objectives import BadObjectiveError, parse_objectives

_REPORTS = frozenset(("report", "replay"))
"""Modes in which somebody reads at leisure."""

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chimera_top.config import Settings
    from insight.assess import Assessor
    from metrics.snapshot import Objective


def objectives(settings: Settings) -> tuple[Objective, ...]:
    """Read the objectives; raises UsageError that names a wrong one."""
    try:
        return parse_objectives(settings.slo)
    except BadObjectiveError as error:
        raise UsageError(str(error)) from None


def gpu_price(settings: Settings) -> float | None:
    """Read the price of a GPU; raises UsageError where it is none."""
    if settings.gpu_price is not None and not 0 <= settings.gpu_price < float("inf"):
        raise UsageError(f"gpu_price: {settings.gpu_price} is no price: write dollars for an hour of one GPU, as 2.5")
    return settings.gpu_price


def track_record(environ: Mapping[str, str]) -> str:
    """Say how often what was foretold came, by the ledger of `compare`; empty where there is none yet."""
    from chimera_top.ledger import default_path, keep  # noqa: PLC0415 the screen does without it, as all below
    from insight.verification.blocks import score_text  # noqa: PLC0415
    from insight.verification.predictions import score  # noqa: PLC0415

    path = default_path(environ)
    if path is None or not path.is_file():
        return ""
    past = score(each.prediction for each in keep(path, []) if not each.simulated)
    return score_text(past) if past is not None else ""


def judge(settings: Settings, mode: str, targets: tuple[str, ...] = (), window: float | None = None) -> Assessor:
    """Make an Assessor for a window, by default the screen's; raises UsageError that names a wrong objective."""
    from insight.assess import Assessor  # noqa: PLC0415 30 ms that the first frame need not wait for
    from insight.settings import Settings as Asked  # noqa: PLC0415

    return Assessor(
        Asked(
            window=settings.window_seconds if window is None else window,
            objectives=objectives(settings),
            mode=mode,
            tool_version=__version__,
            targets=targets,
            imported_quality=imported_quality(settings),
            price_per_hour=gpu_price(settings),
            track_record=track_record(os.environ) if mode in _REPORTS else "",
        )
    )
