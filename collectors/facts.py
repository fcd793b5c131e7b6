"""What a server says of itself at other addresses than its page: version, model, limits, flags."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from collectors.answer import Failure, quote
from collectors.engines.dialect import Reading
from metrics.sample import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.engines.dialect import Dialect, Endpoint
    from collectors.fetch import Fetch

FACTS_SECONDS = 60.0
"""Facts are asked for again after so long; after a restart at once."""
_DEADLINE = 1.0
"""All facts endpoints of a server together may hold up a poll by so much."""


class Facts:
    """What the facts endpoints of the server at `root` (its URL without a slash at the end) said last."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._dialect: Dialect | None = None
        self._last: Reading | None = None
        """What the last poll read; None where it failed."""
        self._told: dict[str, Reading] = {}
        """By the path of the endpoint."""
        self._told_at = 0.0

    @property
    def told(self) -> Iterable[Reading]:
        """What is known, endpoint by endpoint."""
        return self._told.values()

    def interrupted(self) -> None:
        """Note that a poll failed: what answers next may be another server."""
        self._last = None

    async def learn(self, fetch: Fetch, dialect: Dialect, reading: Reading, now: float) -> None:
        """Ask for facts where there are none yet, where they are old, and where the server may be another one now."""
        new = dialect is not self._dialect or self._last is None or restarted(self._last, reading)
        if new:
            self._told = {}
        self._dialect, self._last = dialect, reading
        if not new and now - self._told_at < FACTS_SECONDS:
            return
        self._told_at = now
        # At once, so that the deadline is that of all of them: they share one connection.
        said = await asyncio.gather(*(self._ask(fetch, endpoint) for endpoint in dialect.endpoints))
        for endpoint, one in zip(dialect.endpoints, said, strict=True):
            if isinstance(one, Reading):
                self._told[endpoint.path] = one
            else:  # what was known stays known
                self._told.setdefault(endpoint.path, Reading(missing=(one,)))

    async def _ask(self, fetch: Fetch, endpoint: Endpoint[object]) -> Reading | Missing:
        answer = await fetch.get(self._root + endpoint.path, endpoint.path, _DEADLINE)
        if endpoint.once and not isinstance(answer, Failure) and answer.status == 404:
            answer = await fetch.get(self._root + endpoint.once, endpoint.once, _DEADLINE)
        if isinstance(answer, Failure):
            why = answer.reason
        elif answer.status == 200:
            return endpoint.read(answer.body)
        else:
            why = f"{answer.status} {quote(answer.body)}".rstrip()
            if answer.status in {401, 403}:
                why = f"{why}: it wants a token; give one with --token-env NAME"
        return Missing(f"facts from {endpoint.path}", why, "model, version or limits may not be known")


def restarted(before: Reading, now: Reading) -> bool:
    """Tell whether the server began anew between two polls: another start time, or a counter that fell."""
    start = "start_time_seconds"
    if start in before.gauges and start in now.gauges and before.gauges[start] != now.gauges[start]:
        return True
    counters = before.counters
    return any(value < counters.get(name, value) for name, value in now.counters.items())
