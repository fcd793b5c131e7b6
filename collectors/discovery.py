"""Finding the inference servers of this host: from what listens, its process, its port, and a few GETs of each."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING

from collectors.fingerprint import ask
from collectors.programs import engine_of, likelihood

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collectors.fingerprint import Found
    from collectors.listening import Listener

MOST = 32
"""Listeners that are asked at once, the likeliest first."""
DEADLINE = 0.6
"""Seconds that each may take, all at once: with the listing and the reading of pages the whole stays below 1 s."""


def candidates(listeners: Iterable[Listener], own: int | None = None) -> list[Listener]:
    """List what is worth a request, the likeliest first, each server once; nothing of process `own`."""
    ranked = [
        (rank, each)
        for each in merged(each for each in listeners if own is None or each.pid != own)
        if (rank := likelihood(each)) is not None
    ]
    ranked.sort(key=lambda pair: (pair[0], pair[1].port, pair[1].address))
    return [each for _, each in ranked]


def merged(listeners: Iterable[Listener]) -> list[Listener]:
    """Bring together the addresses on which one process listens on one port, so that no server is counted twice.

    The address from which the host itself is reached best is kept: loopback or all of IPv4, then of IPv6, then others.
    On loopback two processes of one name count as one: Docker publishes a port by one proxy for IPv4 and one for IPv6.
    """
    kept: list[Listener] = []
    for _, group in groupby(sorted(listeners, key=_port), key=_port):
        seen: set[int | str] = set()
        for each in sorted(group, key=_order):
            place, host = _host(_reached(each)[0])
            # Several processes may share one address: a request reaches whichever the kernel picks.
            same: set[int | str] = {host}
            if each.pid is not None:
                same.add(each.pid)
            if place < 2:
                same.add(f"loopback {each.name}")
            if not seen & same:
                kept.append(each)
            seen |= same
    return kept


def _reached(listener: Listener) -> tuple[str, int]:
    """Tell by which address and port this host reaches a listener: a container's by its published port."""
    return listener.published or (listener.address, listener.port)


def _port(listener: Listener) -> int:
    return _reached(listener)[1]


def _order(listener: Listener) -> tuple[int, str, bool, int, str, int]:
    """Order what listens on one port. A server comes before what holds its socket for it: systemd does so."""
    address, _ = _reached(listener)
    unknown = engine_of(listener.name, listener.cmdline) is None
    return _host(address)[0], address, unknown, listener.pid or 0, listener.name, listener.port


def _host(address: str) -> tuple[int, str]:
    """Say how an address is reached from the host itself: 0 by 127.0.0.1, 1 by ::1, 2 by nothing but itself."""
    plain = address.partition("%")[0].removeprefix("::ffff:")
    if plain in {"0.0.0.0", "127.0.0.1"}:  # noqa: S104 - nothing is bound here: this is what another process bound
        return 0, "127.0.0.1"
    if plain in {"::", "::1"}:
        return 1, "[::1]"
    return 2, f"[{plain}]" if ":" in plain else plain


def url_of(listener: Listener) -> str:
    """Write where a listener is reached; by TLS where its command line names a key for it."""
    secure = any(each.startswith(("--ssl-keyfile", "--ssl-key-file", "--ssl-certfile")) for each in listener.cmdline)
    address, port = _reached(listener)
    return f"{'https' if secure else 'http'}://{_host(address)[1]}:{port}"


async def discover(listeners: Sequence[Listener], deadline: float = DEADLINE) -> list[tuple[Found | None, bool]]:
    """Ask candidates what they are, all at once: a server or None of each, and whether it answered. Raises nothing."""
    return await asyncio.gather(*(ask(each, url_of(each), deadline) for each in listeners))
