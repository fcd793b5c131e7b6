"""Two servers on one port: with SO_REUSEPORT the kernel gives each connection to either, and nobody is told.

It happens after a restart, while the old server still drains or was forgotten. The processes of one server may share a
port in the same way; they descend from one another.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from collectors.listening import program
from collectors.programs import engine_of
from metrics.sample import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from collectors.listening import Listener


def rivals(listeners: Iterable[Listener], proc: Path) -> list[Missing]:
    """Name each address that several servers share, as far as their processes may be seen."""
    held: dict[tuple[str, int], dict[int, int]] = {}
    for each in listeners:
        if each.inode and each.pid is not None and engine_of(each.name, each.cmdline) is not None:
            held.setdefault((each.address, each.port), {}).setdefault(each.inode, each.pid)
    found: list[Missing] = []
    for (_, port), pids in held.items():
        heads = sorted({_head(pid, proc) for pid in pids.values()} if len(pids) > 1 else ())
        if len(heads) > 1:
            why = f"{len(heads)} servers listen on it: PID {', PID '.join(map(str, heads))}"
            found.append(
                Missing(f"which server answers on port {port}", why, "numbers are now of one, now of another: end one")
            )
    return found


def _head(pid: int, proc: Path) -> int:
    """Find the process of a server from which the others descend."""
    while (parent := _parent(pid, proc)) > 1 and engine_of(*program(proc, parent)) is not None:
        pid = parent
    return pid


def _parent(pid: int, proc: Path) -> int:
    with contextlib.suppress(OSError, IndexError, ValueError):
        stat = (proc / f"{pid}/stat").read_text("utf-8", "replace")
        return int(stat.rpartition(")")[2].split()[1])  # the name before it may hold blanks and brackets
    return 0
