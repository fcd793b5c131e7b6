"""Which TCP ports are listened on, and by which process, as far as this user may see: from /proc (proc(5)) alone."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROC = Path("/proc")
_LISTEN = "0A"
"""TCP_LISTEN in /proc/net/tcp, after include/net/tcp_states.h of the kernel."""
_TABLES = ("net/tcp", "net/tcp6")


class Listener(Struct, frozen=True):
    """An address and port that something listens on."""

    address: str
    """As an IP address: `127.0.0.1`, `0.0.0.0`, `::`; of a container, one by which this host reaches it."""
    port: int
    pid: int | None = None
    """None where the owner may not be seen: another user's process, or one in another PID namespace."""
    name: str = ""
    """What the process calls itself; `""` where it is not known."""
    cmdline: tuple[str, ...] = ()
    """Its arguments. They may hold keys, so nothing of them is shown as it stands."""
    inode: int = 0
    """Of the socket: another one after a restart, and another one of each process that shares the port; 0 unknown."""
    published: tuple[str, int] | None = None
    """Of a container's: the address and port of this host that lead there, where there are such."""


def listening(proc: Path = PROC) -> list[Listener]:
    """List what is listened on in this network namespace, once for each process that holds the socket."""
    return owned(read_tables(proc), proc) if (proc / _TABLES[0]).exists() else _elsewhere()


def read_tables(directory: Path) -> list[Listener]:
    """Read what listens in the network namespace of /proc, or of a process in it; what cannot be read is left out."""
    found: list[Listener] = []
    for table in _TABLES:
        with contextlib.suppress(OSError):
            found += read_table((directory / table).read_text("ascii", "replace"))
    return found


def owned(listeners: list[Listener], proc: Path, pids: Iterable[int] | None = None) -> list[Listener]:
    """Add the processes that hold each socket, looked for among `pids`, by default all; ordered by port."""
    owners = _owners({each.inode for each in listeners if each.inode}, proc, processes(proc) if pids is None else pids)
    known = {pid: program(proc, pid) for held in owners.values() for pid in held}
    found: list[Listener] = []
    for each in sorted(listeners, key=lambda each: (each.port, each.address, each.inode)):
        held = owners.get(each.inode, [])
        found += [replace(each, pid=pid, name=known[pid][0], cmdline=known[pid][1]) for pid in held] or [each]
    return found


def processes(proc: Path) -> list[int]:
    """List the processes, in ascending order: those that began earlier come first, as a rule."""
    with contextlib.suppress(OSError):
        return sorted(int(name) for name in os.listdir(proc) if name.isdigit())  # noqa: PTH208 - names, not paths: ten times as fast
    return []


def program(proc: Path, pid: int) -> tuple[str, tuple[str, ...]]:
    """Tell the name and the arguments of a process; empty where it ended meanwhile or may not be seen."""
    name = ""
    cmdline: tuple[str, ...] = ()
    with contextlib.suppress(OSError):
        name = (proc / f"{pid}/comm").read_text("utf-8", "replace").rstrip("\n")
        # One that names itself anew writes blanks, or nothing, where the ends of its arguments were.
        said = (proc / f"{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode("utf-8", "replace")
        cmdline = tuple(said.split("\0")) if said else ()
    return name, cmdline


def _owners(inodes: set[int], proc: Path, pids: Iterable[int]) -> dict[int, list[int]]:
    """Find which processes hold these sockets: a link for each open file, which only root may read of all."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    owners: dict[int, list[int]] = {}
    for pid in pids if wanted else ():
        folder = f"{proc}/{pid}/fd"
        try:
            links = os.listdir(folder)  # noqa: PTH208 - names, not paths: ten times as fast
        except OSError:
            continue
        held: set[int] = set()
        for link in links:
            with contextlib.suppress(OSError):
                inode = wanted.get(os.readlink(f"{folder}/{link}"))  # noqa: PTH115 - thousands of them
                if inode is not None:
                    held.add(inode)
        for inode in held:
            owners.setdefault(inode, []).append(pid)
    return owners


def _elsewhere() -> list[Listener]:
    """List what is listened on where there is no /proc/net: macOS, which tells it to root alone."""
    import psutil  # noqa: PLC0415 - its import takes 20 ms, which nobody else need wait for

    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError, RuntimeError):
        return []
    found: set[Listener] = set()
    for each in connections:
        if each.laddr and each.status == psutil.CONN_LISTEN:
            listener = Listener(each.laddr.ip, each.laddr.port, each.pid)
            with contextlib.suppress(psutil.Error, OSError):  # it ended meanwhile, or is another user's
                process = psutil.Process(each.pid)
                listener = replace(listener, name=process.name(), cmdline=tuple(process.cmdline()))
            found.add(listener)
    return sorted(found, key=lambda each: (each.port, each.address, each.pid or 0))


def read_table(text: str, byte_order: str = sys.byteorder) -> list[Listener]:
    """Read /proc/net/tcp or tcp6: the rows that listen. A row that cannot be read is left out.

    An address stands there as 32-bit words in hexadecimal, each in the byte order of the machine; the port is a plain
    number.
    """
    return list(dict.fromkeys(_rows(text, byte_order)))


def _rows(text: str, byte_order: str) -> Iterator[Listener]:
    for line in text.splitlines()[1:]:
        if f" {_LISTEN} " not in line:  # a busy host has thousands of connections
            continue
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
        inode = columns[9] if len(columns) > 9 else ""
        shown = str(ipaddress.ip_address(socket.inet_ntop(family, packed)))
        yield Listener(shown, number, inode=int(inode) if inode.isascii() and inode.isdigit() else 0)
