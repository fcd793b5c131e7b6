"""Which TCP ports of this host are listened on, and by which process, as far as this user may see."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

_LISTEN = "0A"
"""TCP_LISTEN in /proc/net/tcp, after include/net/tcp_states.h of the kernel."""


class Listener(Struct, frozen=True):
    """An address and port that something listens on."""

    address: str
    """As an IP address: `127.0.0.1`, `0.0.0.0`, `::`."""
    port: int
    pid: int | None = None
    """None where the owner may not be seen: another user's process, or one in another PID namespace."""
    name: str = ""
    """What the process calls itself; `""` where it is not known."""
    cmdline: tuple[str, ...] = ()
    """Its arguments. They may hold keys, so nothing of them is shown as it stands."""


def listening(proc: Path = Path("/proc")) -> list[Listener]:
    """List what is listened on in this network namespace: from psutil where it may, else from /proc alone."""
    import psutil  # noqa: PLC0415 - its import takes 20 ms, which is too much before the first screen

    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError, RuntimeError):  # macOS forbids it; a sandbox may hide what it reads
        return _without_owners(proc)
    found = {
        (each.laddr.ip, each.laddr.port, each.pid)
        for each in connections
        if each.laddr and each.status == psutil.CONN_LISTEN
    }
    owners = {pid: _owner(pid) for _, _, pid in found if pid is not None}
    return [
        Listener(address, port, pid, *(owners[pid] if pid is not None else ("", ())))
        for address, port, pid in sorted(found, key=lambda each: (each[1], each[0], each[2] or 0))
    ]


def _owner(pid: int) -> tuple[str, tuple[str, ...]]:
    import psutil  # noqa: PLC0415

    name = ""
    cmdline: tuple[str, ...] = ()
    with contextlib.suppress(psutil.Error, OSError):  # it ended meanwhile, or is another user's
        process = psutil.Process(pid)
        name = process.name()
        cmdline = tuple(process.cmdline())
    return name, cmdline


def _without_owners(proc: Path) -> list[Listener]:
    found: list[Listener] = []
    for table in ("net/tcp", "net/tcp6"):
        with contextlib.suppress(OSError):
            found += read_table((proc / table).read_text("ascii", "replace"))
    return found


def read_table(text: str, byte_order: str = sys.byteorder) -> list[Listener]:
    """Read /proc/net/tcp or tcp6 (proc(5)): the rows that listen. A row that cannot be read is left out.

    An address stands there as 32-bit words in hexadecimal, each in the byte order of the machine; the port is a plain
    number.
    """
    return list(dict.fromkeys(_rows(text, byte_order)))


def _rows(text: str, byte_order: str) -> Iterator[Listener]:
    for line in text.splitlines()[1:]:
        columns = line.split()
        if len(columns) < 4 or columns[3] != _LISTEN:
            continue
        address, _, port = columns[1].partition(":")
        try:
            packed, number = bytes.fromhex(address), int(port, 16)
        except ValueError:
            continue
        if len(packed) not in {4, 16} or not 0 < number < 2**16:
            continue
        if byte_order == "little":
            packed = b"".join(packed[start : start + 4][::-1] for start in range(0, len(packed), 4))
        family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
        yield Listener(str(ipaddress.ip_address(socket.inet_ntop(family, packed))), number)
