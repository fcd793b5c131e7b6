"""The canary as a collector: it asks in a thread and an event loop of its own, and a poll only reads what it found.

An answer takes longer than a poll may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.clean import clean
from collectors.own_loop import OwnLoop
from collectors.quality.chat import Chat
from collectors.quality.cost import cost
from collectors.quality.embedder import Embedder
from collectors.quality.examiner import Examiner
from collectors.target import target
from collectors.trust import trust
from metrics.sample import Sample, Source, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collectors.clock import Clock
    from collectors.quality.embedder import Endpoint
    from collectors.quality.examiner import Plan

DEADLINE = 60.0
"""Seconds that one answer may take."""
_MAX_ANSWER = 2**20
_EMBEDDING_SECONDS = 10.0
NO_ENDPOINT = "not measured (no embedding endpoint): --embeddings URL names one, on another server than this"


class Canary:
    """Asks one server: its base URL or its metrics page, the headers that go with every request to it.

    `embeddings` is another server, whose embeddings measure relevancy and coherence; None where there is none. The
    thread begins with the first poll. Raises ValueError, in one line, where the URL or the CA file is unusable.
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
        embeddings: Endpoint | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        self._target = target(url)
        self.name = f"quality:{self._target.source}"
        self._plan = plan
        self._clock = clock
        self._headers = {**self._target.headers, **{name.title(): value for name, value in (headers or {}).items()}}
        self._trust = trust(ca_file)
        self._deadline = deadline
        self._endpoint = None if embeddings and embeddings.root == self._target.root else embeddings
        self._ruler_trust = trust(self._endpoint.ca_file if self._endpoint else None)
        self._embedder: Embedder | None = None
        self._began = 0.0
        self._examiner: Examiner | None = None
        self._own = OwnLoop(self.name, self._ask)

    async def collect(self) -> Sequence[Sample]:
        """Read what was found since the last time: one Sample."""
        if not self._own.begun:
            self._began = self._clock.mono()
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
                facts=self._facts(examiner, mono),
                missing=tuple(examiner.missing()),
                graded=examiner.take(),
            )
        ]

    async def close(self) -> None:
        """Stop asking; a request under way is broken off."""
        await self._own.close()

    def _facts(self, examiner: Examiner, now: float) -> dict[str, str]:
        plan, embedder, endpoint = self._plan, self._embedder, self._endpoint
        facts = {
            "url": self._target.source,
            "items": str(len(plan.items.items)),
            "passes": str(examiner.passes),
            "quality": cost(
                plan,
                examiner.budget.spent,
                now - self._began,
                estimated=examiner.estimated,
                embedded=embedder.tokens if embedder else 0,
            ),
        }
        if plan.price is not None:
            facts["price"] = f"{plan.price:g}"
        if endpoint is not None and embedder is not None:
            facts["embeddings"] = " of ".join(filter(None, (clean(embedder.model or ""), endpoint.shown)))
        return facts

    async def _ask(self) -> None:
        from collectors.fetch import Fetch  # noqa: PLC0415 -- aiohttp takes 0.1 s that the first paint need not wait

        fetch = Fetch(self._headers, trust=self._trust, deadline=self._deadline, max_body=_MAX_ANSWER)
        # Headers of its own: what lets us in at the server under test is nobody else's business.
        ruler = Fetch(
            self._endpoint.headers if self._endpoint else None,
            trust=self._ruler_trust,
            deadline=_EMBEDDING_SECONDS,
            max_body=_MAX_ANSWER,
        )
        self._embedder = Embedder(self._endpoint, ruler) if self._endpoint else None
        self._examiner = Examiner(
            self._plan,
            Chat(self._target.root, self._target.source, fetch),
            self._clock,
            embedder=self._embedder or NO_ENDPOINT,
        )
        try:
            await self._examiner.run()
        finally:
            await ruler.close()
            await fetch.close()
