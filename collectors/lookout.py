"""Servers that come and go while this program runs: what listens is looked at again every ten seconds.

A server that is new is asked what it is, and handed on to be polled. What was asked is not asked again: it is known by
its URL and its socket, and another socket is another server. Only what gave no answer, because it may be starting, is
asked again, after pauses that double; what is known for a server, or is polled already, is not asked at all, so that a
server that is restarted, or replaced by one of another kind, is simply polled on.

A server that has gone is kept for the session and shown as down, for an engineer wants to see that it went, and when.
It costs one refused connection in ten seconds until it is back (`Sparing`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
from typing import TYPE_CHECKING

from msgspec.structs import replace

from collectors.clean import clean
from collectors.discovery import DEADLINE, MOST, candidates, discover, url_of
from collectors.namespaces import Survey, survey
from collectors.programs import likelihood
from metrics.sample import Missing, Sample, Source, State
from metrics.units import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from collectors.clock import Clock
    from collectors.collector import Collector
    from collectors.fingerprint import Found
    from collectors.listening import Listener

_log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""From look to look."""
_PATIENT_DEADLINE = 2.5
"""Seconds for whom nobody waits: a TensorRT-LLM at rest takes 2 s to say that it has nothing to tell."""
_LONGEST_PAUSE = 80.0
"""Seconds between two requests to a port behind which a server is likely to start, as a container's."""
MOST_SERVERS = 64
"""Servers that are handed on at most: each takes up to ten MB of what is kept of it."""


class Lookout:
    """Looks for the servers of this host.

    `look_around` lists what listens, and `own` is the process that is left out: this one. `on_found` is called with
    each new server, in a thread of its own.
    """

    name = "discovery"
    kind = Source.MONITOR
    interval: float | None = LOOK_SECONDS

    def __init__(self, clock: Clock, look_around: Callable[[], Survey] = survey, own: int | None = None) -> None:
        self.on_found: Callable[[Found], object] = lambda _: None
        self.found: dict[str, Found] = {}
        """What was handed on, in the order in which it was found, by the URL of its listener."""
        self.ports = 0
        """Ports that were listened on at the last look."""
        self.blind = False
        """Whether what listens may not be listed here at all."""
        self._clock = clock
        self._look_around = look_around
        self._own = own
        self._gone: dict[str, float] = {}
        self._pauses: dict[tuple[str, int], tuple[float, float]] = {}
        """Of what was asked in vain: when it may be asked again, and after which pause. Settled: never."""
        self._left_out = 0
        self._missing: tuple[Missing, ...] = ()
        self._trouble = ""
        self._under_way: asyncio.Future[None] | None = None

    def gone_since(self, url: str) -> float | None:
        """Tell since when nothing listens where `Found.url` was, by the wall clock; None while something does."""
        return self._gone.get(url)

    def look(self) -> list[Found]:
        """Look once, and list the servers that are new. It runs an event loop, and so wants a thread without one."""
        seen = self._look_around()
        self.ports, self.blind, self._missing = len({each.port for each in seen.listeners}), seen.blind, seen.missing
        there = {url_of(each): each for each in reversed(candidates(seen.listeners, self._own))}
        wall, now = self._clock.wall(), self._clock.mono()
        absent = [each.url for place, each in self.found.items() if place not in there]
        self._gone = {url: self._gone.get(url, wall) for url in absent}
        keys = {(url, each.inode) for url, each in there.items()}
        self._pauses = {key: pause for key, pause in self._pauses.items() if key in keys}
        due = [each for each in reversed(there.values()) if self._is_due(each, now)][:MOST]
        again = any((url_of(each), each.inode) in self._pauses for each in due)
        answers = asyncio.run(discover(due, _PATIENT_DEADLINE if again else DEADLINE)) if due else []
        new = []
        for listener, (found, answered) in zip(due, answers, strict=True):
            if found is None:
                self._note(listener, now, answered=answered)
            elif len(self.found) < MOST_SERVERS:
                self.found[url_of(listener)] = found
                new.append(found)
            else:
                self._left_out += 1
                self._note(listener, now, answered=True)
        return new

    def _is_due(self, listener: Listener, now: float) -> bool:
        url = url_of(listener)
        return url not in self.found and self._pauses.get((url, listener.inode), (now, 0.0))[0] <= now

    def _note(self, listener: Listener, now: float, *, answered: bool) -> None:
        """Note when to ask again what is no server, or none yet."""
        key = url_of(listener), listener.inode
        pause = max(LOOK_SECONDS, 2 * self._pauses.get(key, (0.0, 0.0))[1])
        if likelihood(listener) == 2:
            pause = min(pause, _LONGEST_PAUSE)
        self._pauses[key] = (math.inf if answered else now + pause, pause)

    async def collect(self) -> Sequence[Sample]:
        """Look once, in a thread that nobody waits for at the end: a process that hangs may hold up who reads of it."""
        wall, began = self._clock.wall(), self._clock.mono()
        if self._under_way is None or self._under_way.done():
            self._under_way = self._begin(asyncio.get_running_loop())
        await asyncio.shield(self._under_way)
        taken = self._clock.mono() - began
        sample = Sample(self.name, self.kind, wall + taken / 2, began + taken / 2, taken, missing=tuple(self.missing()))
        return [replace(sample, state=State.DOWN, reason=self._trouble) if self._trouble else sample]

    async def close(self) -> None:
        """Nothing is held open."""

    def _begin(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        ended: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not ended.done():
                ended.set_result(None)

        def run() -> None:
            try:
                self._trouble = ""
                for each in self.look():
                    self.on_found(each)
            except Exception as error:  # noqa: BLE001 - whatever it is, the Sample says it, and the next look may do
                _log.exception("the look for servers failed")
                self._trouble = clean(f"internal error: {type(error).__name__}: {error}")
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(settle)

        threading.Thread(target=run, name=self.name, daemon=True).start()
        return ended

    def missing(self) -> Iterator[Missing]:
        """Say what of this host is not seen."""
        yield from self._missing
        if not self.found:
            why = f"none was found on {self.ports} listening ports; it is looked for every {LOOK_SECONDS:g} s"
            yield Missing("an inference server on this host", why, "no server is watched: name one that is elsewhere")
        if self._left_out:
            why = f"{MOST_SERVERS} are watched already"
            yield Missing(f"{self._left_out} more servers of this host", why, "name those that matter as TARGET")


class Sparing:
    """Polls a server as `collector` does, and while it has gone only every ten seconds.

    `gone_since` tells since when nothing listens where it was, by the wall clock; None while something does. It is
    believed only of a server that did not answer its last poll: what may be listed here is not always all.
    """

    def __init__(self, collector: Collector, gone_since: Callable[[], float | None], clock: Clock) -> None:
        self._collector = collector
        self._gone_since = gone_since
        self._clock = clock
        self._answered = True
        self._asked = 0.0

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
        """Poll once, or say at once that the server has gone."""
        since, now = self._gone_since(), self._clock.mono()
        if since is not None and not self._answered and now - self._asked < LOOK_SECONDS:
            return [Sample(self.name, self.kind, self._clock.wall(), now, 0.0, State.DOWN, _has_gone(since))]
        self._asked = now
        samples = await self._collector.collect()
        self._answered = any(each.state is not State.DOWN for each in samples)
        if since is None or self._answered:
            return samples
        return [replace(each, reason=_has_gone(since)) for each in samples]

    async def close(self) -> None:
        """Let go of what is held open."""
        await self._collector.close()


def _has_gone(since: float) -> str:
    return f"nothing listens there since {rfc3339(since)}: it has ended, or listens elsewhere now"
