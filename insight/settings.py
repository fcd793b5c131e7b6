"""What an assessment is told beforehand: the window, the objectives, and what it is made for."""

from __future__ import annotations

from msgspec import Struct, field

from insight.objectives import DEFAULT_OBJECTIVES
from metrics.observed import Measure
from metrics.snapshot import Objective

DEFAULT_WINDOW = 300.0


class Settings(Struct, frozen=True):
    """What the reader asked for."""

    window: float = DEFAULT_WINDOW
    """Seconds that the numbers of a Snapshot look back over."""
    objectives: tuple[Objective, ...] = DEFAULT_OBJECTIVES
    mode: str = "live"
    """`live`, `replay`, `demo`, `report`."""
    tool_version: str = ""
    timing: str = "live"
    """Which of a rule's two sets of durations is in force: `live` for who watches, `page` for who is woken up."""
    track_record: str = ""
    """How often what was foretold before came (`insight.verification.blocks.score_text`)."""
    price_per_hour: float | None = None
    """What an hour of one GPU costs, in any currency; of a server without GPUs that are seen, an hour of the server."""
    targets: tuple[str, ...] = ()
    """Ids of the servers that were asked for, in the order in which they are to be shown."""
    imported_quality: dict[str, Measure] = field(default_factory=dict)
    """What other programs measured of the quality of the answers (`insight.quality.imports`)."""
