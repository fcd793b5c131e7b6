"""The canary as a collector: it asks in a thread and an event loop of its own, and a poll only reads what it found.

An answer takes longer than a poll may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.own_loop import OwnLoop
from collectors.quality.chat import Chat
from collectors.quality.examiner import Examiner
from collectors.target import target
from collectors.trust import trust
from metrics.sample import Sample, Source, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.clock import Clock
    from collectors.quality.examiner import Plan

DEADLINE = 60.0
"""Seconds that one answer may take."""
_MAX_ANSWER = 2**20


class Canary:
    """Asks one server: its base URL or its metrics page, the headers that go with every request to it.

    The thread begins with the first poll. Raises ValueError, in one line, where the URL or the CA file is unusable.
    """

    kind = Source.QUALITY
    interval = None

    def __init__(
        self,
        url: str,
        plan: Plan,
        *,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        self._target = target(url)
        self.name = f"quality:{self._target.source}"
        self._plan = plan
        self._clock = clock
        self._headers = {**self._target.headers, **{name.title(): value for name, value in (headers or {}).items()}}
        self._trust = trust(ca_file)
        self._deadline = deadline
        self._examiner: Examiner | None = None
        self._own = OwnLoop(self.name, self._ask)

    async def collect(self) -> Sequence[Sample]:
        """Read what was found since the last time: one Sample."""
        self._own.start()
        examiner, wall, mono = self._examiner, self._clock.wall(), self._clock.mono()
        if self._own.fault:
            return [Sample(self.name, self.kind, wall, mono, state=State.DOWN, reason=self._own.fault)]
        if examiner is None:  # its thread still imports
            return [Sample(self.name, self.kind, wall, mono)]
        return [
            Sample(
                self.name,
                self.kind,
                wall,
                mono,
                counters=examiner.counters,
                facts={"url": self._target.source, "items": str(len(self._plan.items.items))},
                missing=tuple(examiner.missing()),
                graded=examiner.take(),
            )
        ]

    async def close(self) -> None:
        """Stop asking; a request under way is broken off."""
        await self._own.close()

    async def _ask(self) -> None:
        from collectors.fetch import Fetch  # noqa: PLC0415 -- aiohttp takes 0.1 s that the first paint need not wait

        fetch = Fetch(self._headers, trust=self._trust, deadline=self._deadline, max_body=_MAX_ANSWER)
        self._examiner = Examiner(self._plan, Chat(self._target.root, self._target.source, fetch), self._clock)
        try:
            await self._examiner.run()
        finally:
            await fetch.close()
