"""Which servers are watched when no TARGET is named: those that are found on this host."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from chimera_top.sources import DEFAULT_TARGET

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chimera_top.config import Settings
    from collectors.listening import Listener


def located(settings: Settings, look: Callable[[], Sequence[Listener]] | None = None) -> tuple[Settings, str]:
    """Name the servers of this host as targets where the settings name none; the text says why none could be named.

    `look` lists what is listened on, by default on this host. Where a token or another header is to be sent, nothing
    is looked for: whoever listens here could pass for a server and would be given it.
    """
    if settings.targets:
        return settings, ""
    if settings.token_env is not None or settings.headers:
        return (
            settings,
            f"a secret goes only to a server that is named: watching {DEFAULT_TARGET}; name others as TARGET",
        )
    from collectors.discovery import discover  # noqa: PLC0415 only who names no target pays for it
    from collectors.listening import listening  # noqa: PLC0415

    listeners = (look or listening)()
    found = asyncio.run(discover(listeners, os.getpid()))
    if not found:
        ports = len({each.port for each in listeners})
        looked = f"looked at {ports} listening port{'' if ports == 1 else 's'}"
        return settings, f"no inference server was found on this host ({looked}): watching {DEFAULT_TARGET}"
    return replace(settings, targets=tuple(each.url for each in found)), ""
