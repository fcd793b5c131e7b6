"""What a collector is: something that looks at one source, whenever the poller asks it to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.sample import Sample, Source


class Collector(Protocol):
    """Looks at one source. A failure that can be foreseen is a Sample with a state and a reason, never an exception."""

    @property
    def name(self) -> str:
        """Identity of the source (`Sample.source`): who is to blame when a poll never ends."""

    @property
    def kind(self) -> Source:
        """What kind of thing the source is."""

    @property
    def interval(self) -> float | None:
        """Seconds from poll to poll; None for the poller's own interval."""

    async def collect(self) -> Sequence[Sample]:
        """Poll once. The poller never calls it while an earlier call is under way, and may cancel it at any await."""

    async def close(self) -> None:
        """Let go of what is held open; nothing is called after it."""
