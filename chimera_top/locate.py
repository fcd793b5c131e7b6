"""Which servers are watched: those that are named, else those of this host, from the start and as they come and go."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from chimera_top.quality import examined
from chimera_top.sources import DEFAULT_TARGET, probed, servers, target_names
from metrics.sample import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chimera_top.config import Settings
    from collectors.clock import Clock
    from collectors.collector import Collector
    from collectors.fingerprint import Found
    from collectors.lookout import Lookout
    from collectors.namespaces import Survey


class Named:
    """The servers that the settings name; raises UsageError that names what of them is unusable."""

    def __init__(self, settings: Settings, clock: Clock, note: str = "") -> None:
        self.collectors = _watched(settings, clock)
        """Servers, and beside each its probe and its questions where they are asked for."""
        self.names = target_names(settings)
        """Their ids."""
        self.note = note
        """One line that the user should read; `""` where there is nothing to say."""

    def follow(self, _add: Callable[[Sequence[Collector]], None]) -> None:
        """Nothing comes to what was named."""


class Located:
    """The servers of this host. One that comes later is watched from then on, with its probe and its questions.

    One that has gone is shown as down, and since when, until the end: who watches wants to see that it was there.
    Raises UsageError that names what of the settings is unusable.
    """

    def __init__(self, settings: Settings, clock: Clock, lookout: Lookout, found: Sequence[Found]) -> None:
        self._settings = settings
        self._clock = clock
        self._lookout = lookout
        there = self._made(found) if found else []
        self.collectors: list[Collector] = [*there, lookout]
        self.names = tuple(each.name for each in there if each.kind is Source.SERVER)

    @property
    def note(self) -> str:
        """One line while no server was found; it may be another one later."""
        if self._lookout.found:
            return ""
        ports = f"{self._lookout.ports} listening port{'' if self._lookout.ports == 1 else 's'}"
        again = f"and again every {self._lookout.interval:g} s"
        return f"no inference server was found on this host (looked at {ports}, {again})"

    def follow(self, add: Callable[[Sequence[Collector]], None]) -> None:
        """Let `add` take in the collectors of every server that is found from now on, in a thread of its own."""
        self._lookout.on_found = lambda each: add(self._made([each]))

    def _made(self, found: Sequence[Found]) -> list[Collector]:
        from collectors.lookout import Sparing  # noqa: PLC0415 only who names no target pays for it
        from collectors.target import target  # noqa: PLC0415

        urls = {target(each.url).source: each.url for each in found}
        gone = self._lookout.gone_since
        return [
            Sparing(each, partial(gone, urls[each.name]), self._clock) if each.kind is Source.SERVER else each
            for each in _watched(replace(self._settings, targets=tuple(urls.values())), self._clock)
        ]


def located(settings: Settings, clock: Clock, look_around: Callable[[], Survey] | None = None) -> Named | Located:
    """Take the servers that the settings name, or where they name none, those of this host.

    `look_around` lists what is listened on, by default here. Where a token or another header is to be sent, nothing is
    looked for: whoever listens here could pass for a server and would be given it.
    """
    if settings.targets:
        return Named(settings, clock)
    instead = f"watching {DEFAULT_TARGET}; name others as TARGET"
    if settings.token_env is not None or settings.headers:
        return Named(settings, clock, f"a secret goes only to a server that is named: {instead}")
    from collectors.lookout import Lookout  # noqa: PLC0415 only who names no target pays for it
    from collectors.namespaces import survey  # noqa: PLC0415

    _watched(settings, clock)  # what of the settings is unusable is said at once, not when a server comes
    lookout = Lookout(clock, look_around or survey, os.getpid())
    found = lookout.look()
    if lookout.blind:
        return Named(settings, clock, f"what listens on this host may not be listed here: {instead}")
    return Located(settings, clock, lookout, found)


def _watched(settings: Settings, clock: Clock) -> list[Collector]:
    return examined(settings, probed(settings, servers(settings, clock), clock), clock)
