"""Objectives that go with a recording: what was promised where it was made is what a replay of it is judged by.

They stand, as `--slo` would name them, in a fact of every Sample of the monitor. Who replays with objectives of their
own is judged by those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight.objectives import BadObjectiveError, name, parse_objectives
from metrics.sample import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from insight.settings import Settings
    from metrics.sample import Sample
    from metrics.snapshot import Objective

FACT = "objectives"


def facts(objectives: Iterable[Objective]) -> dict[str, str]:
    """Write the objectives that somebody stated; nothing where there are only the defaults."""
    stated = ",".join(f"{name(each)}={each.limit:.9f}".rstrip("0") + "0s" for each in objectives if not each.default)
    return {FACT: stated} if stated else {}


def kept_by(settings: Settings) -> bool:
    """Tell whether whoever replays has stated objectives, so that those of the recording do not count."""
    return any(not each.default for each in settings.objectives)


def adopted(settings: Settings, sample: Sample) -> Settings:
    """Judge from now on by the objectives that a Sample carries; what is none of them changes nothing."""
    text = sample.facts.get(FACT) if sample.kind is Source.MONITOR else None
    if text is None:
        return settings
    try:
        return replace(settings, objectives=parse_objectives(text))
    except BadObjectiveError:
        return settings
