"""What listens in containers: in other network namespaces, which the tables of this one do not show.

The processes of a container are processes of the host that runs it. Where the program of one is an inference server
and root looks, the files of that process tell what listens beside it and by which address it is reached. Those of
another user's namespace may not be read: then they are counted, and named as not seen.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import struct
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from collectors.listening import PROC, Listener, listening, owned, processes, program, read_tables
from collectors.programs import declared, engine_of, flag_of
from collectors.rivals import rivals
from metrics.sample import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_CONTAINER = re.compile(r"docker|containerd|kubepods|libpod|crio|lxc|machine\.slice|podman")
"""How the control group of a container is called: after the container engine, or after Kubernetes."""
_ROUTE_UP = 1
_UNSEEN = "they are not watched, unless by a port that is published on this host; name others as TARGET"


class Survey(Struct, frozen=True):
    """What listens on this host and in its containers, as far as this user may see."""

    listeners: tuple[Listener, ...]
    missing: tuple[Missing, ...] = ()
    """What may not be seen."""
    blind: bool = False
    """Whether nothing may be listed at all."""


def survey(proc: Path = PROC) -> Survey:
    """Look at this network namespace and at every other one that an inference server runs in."""
    here = listening(proc)
    servers = {pid: name for pid in processes(proc) if (name := engine_of(*program(proc, pid))) is not None}
    own = namespace(proc, "self")
    there: dict[str, list[int]] = {}
    unread: set[str] = set()
    for pid in servers:
        space = namespace(proc, pid)
        if space is None:
            unread.update(_container(proc, pid))
        elif own is not None and space != own:
            there.setdefault(space, []).append(pid)
    missing = [_not_looked_at(len(unread))] if unread else []
    found: list[Listener] = []
    for pids in there.values():
        reached, unreached = _contained(here, proc, pids)
        found += reached
        missing += [_unreachable(each, servers.get(each.pid or pids[0], "a server"), why) for each, why in unreached]
    # What leads into a container is the container's own: it must not count twice.
    ways = {each.published for each in found}
    ports = {way[1] for way in ways if way is not None}
    outside = [each for each in here if each.port not in ports or leads_to(each) is None]
    blind = not here and not (proc / "net/tcp").exists()
    return Survey((*outside, *found), (*missing, *rivals((*outside, *found), proc)), blind)


def namespace(proc: Path, pid: int | str) -> str | None:
    """Name the network namespace of a process, as `net:[4026531840]`; None where that may not be read."""
    with contextlib.suppress(OSError):
        return os.readlink(proc / f"{pid}/ns/net")  # noqa: PTH115 - it leads to no file, and is its own answer
    return None


def _container(proc: Path, pid: int) -> list[str]:
    """Name the control group of a process where it is that of a container."""
    with contextlib.suppress(OSError):
        groups = (proc / f"{pid}/cgroup").read_text("utf-8", "replace").splitlines()
        return [path for line in groups if _CONTAINER.search(path := line.rpartition(":")[2])][:1]
    return []


def _not_looked_at(count: int) -> Missing:
    containers = "a container" if count == 1 else f"{count} containers"
    why = "their network is another one, which root alone may look at: run chimera-top as root"
    return Missing(f"inference servers in {containers}", why, _UNSEEN)


def _unreachable(listener: Listener, engine: str, why: str) -> Missing:
    place = f"port {listener.port}" if listener.pid is None else f"port {listener.port}, PID {listener.pid}"
    return Missing(f"{engine} in a container ({place})", why, "it is not watched")


def _contained(
    here: Sequence[Listener], proc: Path, pids: Sequence[int]
) -> tuple[list[Listener], list[tuple[Listener, str]]]:
    """List what listens beside these processes of one container, and what of it cannot be reached, and why.

    Of the latter only what serves: an engine listens for its workers, too, and they are nobody else's business.
    """
    directory = proc / str(pids[0])
    rows = owned(read_tables(directory), proc, pids)
    addresses = local_addresses(_text(directory / "net/fib_trie"))
    route = _text(proc / "net/route")
    ways = {leads: (each.address, each.port) for each in reversed(here) if (leads := leads_to(each)) is not None}
    found: list[Listener] = []
    unreached: list[tuple[Listener, str]] = []
    for each in rows:
        address = ipaddress.ip_address(each.address.removeprefix("::ffff:"))
        if address.is_loopback:
            unreached.append((each, "it listens on the container's own loopback: start it with --host 0.0.0.0"))
            continue
        own = addresses if address.is_unspecified else [str(address)]
        published = next((ways[leads] for one in own if (leads := (one, each.port)) in ways), None)
        reached = next(iter(routed(own, route)), None)
        if published is not None or reached is not None:
            found.append(replace(each, address=reached or own[0], published=published))
        else:
            why = f"this host has no route to {', '.join(own) or 'it'}: publish its port on this host"
            unreached.append((each, why))
    return found, [(each, why) for each, why in unreached if declared(each)]


def leads_to(listener: Listener) -> tuple[str, int] | None:
    """Tell the address and port of a container to which a docker-proxy leads."""
    if not listener.name.endswith("docker-proxy") and "docker-proxy" not in "".join(listener.cmdline[:1]):
        return None
    address, port = flag_of(listener.cmdline, "-container-ip"), flag_of(listener.cmdline, "-container-port")
    return (address, int(port)) if address and port and port.isascii() and port.isdigit() else None


def local_addresses(fib_trie: str) -> list[str]:
    """Read the IPv4 addresses of a namespace from its /proc/PID/net/fib_trie, but for loopback's; in order.

    An address of its own is a leaf that is followed by `/32 host LOCAL`.
    """
    lines = [line.strip() for line in fib_trie.splitlines()]
    found = [leaf.removeprefix("|-- ") for leaf, kind in pairwise(lines) if kind == "/32 host LOCAL"]
    return [each for each in dict.fromkeys(found) if not each.startswith("127.")]


def routed(addresses: Iterable[str], route: str) -> list[str]:
    """Keep the IPv4 addresses to which /proc/net/route knows a way of its own.

    What only the default route would carry is on the net outside: there, the address is somebody else's.
    """
    nets: list[tuple[int, int]] = []
    for line in route.splitlines()[1:]:
        columns = line.split()
        with contextlib.suppress(ValueError, IndexError):
            net, flags, mask = int(columns[1], 16), int(columns[3], 16), int(columns[7], 16)
            if flags & _ROUTE_UP and mask:
                nets.append((net, mask))
    found: list[str] = []
    for each in addresses:
        with contextlib.suppress(ValueError):  # one of IPv6, to which the table knows no way
            (number,) = struct.unpack("=I", ipaddress.IPv4Address(each).packed)  # in the machine's order, as the kernel
            if any(number & mask == net for net, mask in nets):
                found.append(each)
    return found


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text("ascii", "replace")
    return ""
