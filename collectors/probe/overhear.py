"""A server's collector whose Samples its probe hears as well, to keep away from a queue and to notice a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.collector import Collector
    from collectors.probe.schedule import Heard
    from metrics.sample import Sample, Source


class Overheard:
    """Polls as `collector` does, and tells `heard` what it saw."""

    def __init__(self, collector: Collector, heard: Heard) -> None:
        self._collector = collector
        self._heard = heard

    @property
    def name(self) -> str:
        """Identity of the source."""
        return self._collector.name

    @property
    def kind(self) -> Source:
        """What kind of thing the source is."""
        return self._collector.kind

    @property
    def interval(self) -> float | None:
        """Seconds from poll to poll."""
        return self._collector.interval

    async def collect(self) -> Sequence[Sample]:
        """Poll once."""
        samples = await self._collector.collect()
        for sample in samples:
            self._heard.hear(sample)
        return samples

    async def close(self) -> None:
        """Let go of what is held open."""
        await self._collector.close()
