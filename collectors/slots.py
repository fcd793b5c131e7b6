"""A llama-server's `/slots`, asked beside its page while requests run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.answer import Failure, quote
from collectors.engines.llamacpp_slots import SLOTS, Generated, decoded
from collectors.facts import FACTS_SECONDS

if TYPE_CHECKING:
    from collectors.engines.dialect import Reading
    from collectors.fetch import Fetch

_DEADLINE = 1.0
"""It may hold up a poll by so much. A real one answers in 2 ms, while it works on a batch too."""
_REFUSED = {
    401: "it wants a token; give one with --token-env NAME",
    403: "it wants another token; give one with --token-env NAME",
    404: "there is none",
    501: "start llama-server with --slots",
}


class Slots:
    """Follows what the requests that run in the server at `root` (no slash at its end) have generated."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._generated = Generated()
        self._refused = ""
        """Why it is not asked; empty where it is."""
        self._refused_at = 0.0

    async def live(self, fetch: Fetch, page: Reading, now: float) -> Reading:
        """Count what runs into what the page says. Where `/slots` tells nothing, the page stands, and says so."""
        if page.gauges.get("requests_running") == 0.0:
            return self._generated.idle(page)
        if self._refused and now - self._refused_at < FACTS_SECONDS:
            return self._generated.unseen(page, self._refused)
        answer = await fetch.get(self._root + SLOTS, SLOTS, _DEADLINE)
        self._refused = ""
        if isinstance(answer, Failure):
            return self._generated.unseen(page, answer.reason)
        if answer.status in _REFUSED:
            self._refused, self._refused_at = f"{answer.status} from {SLOTS}: {_REFUSED[answer.status]}", now
            return self._generated.unseen(page, self._refused)
        tasks = decoded(answer.body) if answer.status == 200 else None
        if tasks is None:
            why = f"{answer.status} from {SLOTS} {quote(answer.body)}".rstrip()
            return self._generated.unseen(page, why)
        return self._generated.busy(page, tasks)
