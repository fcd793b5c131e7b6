"""Which processes use a GPU, with their names as far as this user and this container may see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.clean import clean
from metrics.sample import Process

if TYPE_CHECKING:
    from collectors.nvml import Nvml

_NAMES_LAST = 20
"""Reads after which names are looked up again: an inference engine renames its workers after they started."""


class ProcessNames:
    """Name and user of processes by pid, looked up once in a while."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[str | None, str | None]] = {}
        self._reads = 0

    def begin(self) -> None:
        """Note that a new poll begins."""
        self._reads += 1
        if self._reads % _NAMES_LAST == 0:
            self._known.clear()

    def find(self, pid: int) -> tuple[str | None, str | None]:
        """Find the name and the user; None for what cannot be seen, as in another PID namespace."""
        if pid not in self._known:
            self._known[pid] = _look_up(pid)
        return self._known[pid]


def _look_up(pid: int) -> tuple[str | None, str | None]:
    import psutil  # noqa: PLC0415 - a host without GPUs needs it not, and its import takes 20 ms

    name = user = None
    try:
        process = psutil.Process(pid)
        name = clean(process.name(), 80) or None
        user = clean(process.username(), 40) or None
    except (psutil.Error, OSError, KeyError, ValueError):  # KeyError: the user id has no name
        pass
    return name, user


def read_processes(nvml: Nvml, handle: object, names: ProcessNames) -> tuple[Process, ...]:
    """List the processes that compute or draw on a GPU, largest first; raises NvmlError."""
    memory: dict[int, float | None] = {}
    for kind in ("Compute", "Graphics"):
        newest = f"nvmlDeviceGet{kind}RunningProcesses_v3"
        function = newest if nvml.has(newest) else f"nvmlDeviceGet{kind}RunningProcesses_v2"
        for each in nvml.call(function, handle):
            used = each.usedGpuMemory
            known = memory.get(each.pid)
            memory[each.pid] = known if used is None else max(float(used), known or 0.0)
    processes = []
    for pid, used in memory.items():
        name, user = names.find(pid)
        processes.append(Process(pid=pid, name=name, user=user, memory_bytes=used))
    return tuple(sorted(processes, key=lambda process: (-(process.memory_bytes or 0.0), process.pid)))
