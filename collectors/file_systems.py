"""How full the file systems of this host are, asked in a thread that can be left behind.

Asking a file system whose disk is gone may never return, and the event loop must not wait for it.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from collectors.clean import clean
from metrics.sample import Missing
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST = 8
"""File systems that are shown, the largest first."""
_READ_ONLY_IMAGES = frozenset({"squashfs", "iso9660", "erofs"})  # always full

_CONSEQUENCE = "how full the disks are cannot be said"


def mount_points() -> Iterator[str]:
    """Name where real file systems are mounted, the root first, each device once; network file systems are left out."""
    import psutil  # noqa: PLC0415 - its import takes 20 ms, which is too much before the first screen

    yield "/"
    seen = set()
    for part in sorted(psutil.disk_partitions(all=False), key=lambda part: len(part.mountpoint)):
        if part.device in seen or part.fstype in _READ_ONLY_IMAGES:
            continue
        seen.add(part.device)
        # a container sees single files of the host mounted over its own: /etc/hosts and the like
        if part.mountpoint != "/" and os.path.isdir(part.mountpoint):  # noqa: PTH112 - psutil speaks in strings
            yield part.mountpoint


class FileSystems:
    """The last answer of all file systems."""

    def __init__(self, find: Callable[[], Iterator[str]] = mount_points) -> None:
        self._find = find
        self._gauges: dict[str, float] = {}
        self._thread: threading.Thread | None = None
        self._asking = ""
        self._error = ""

    def ask(self) -> None:
        """Begin to ask, unless the last time has not ended yet."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._ask, name="file systems", daemon=True)
            self._thread.start()

    def answer(self) -> tuple[dict[str, float], tuple[Missing, ...]]:
        """Give the last answer, without waiting, and what has not answered yet."""
        if self._thread is not None and self._thread.is_alive() and self._asking:
            why = f"the file system at {self._asking} has not answered yet: is its disk there?"
            return self._gauges, (Missing("disk_used_bytes", why, _CONSEQUENCE),)
        if self._error:
            return {}, (Missing("disk_used_bytes", self._error, _CONSEQUENCE),)
        return self._gauges, ()

    def wait(self, seconds: float) -> bool:
        """Wait for what was asked; False where it has not come."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _ask(self) -> None:
        try:
            self._gauges = self._sizes()
            self._error = ""
        except Exception as error:  # noqa: BLE001 - a thread's traceback would be written over the screen
            self._error = f"{type(error).__name__}: {clean(str(error))}"
        self._asking = ""

    def _sizes(self) -> dict[str, float]:
        sizes: dict[str, tuple[float, float]] = {}
        for mount in self._find():
            self._asking = clean(mount)
            try:
                status = os.statvfs(mount)
            except OSError:
                continue
            total = float(status.f_blocks * status.f_frsize)
            if total > 0:
                sizes[self._asking] = (total, float((status.f_blocks - status.f_bfree) * status.f_frsize))
        gauges = {}
        for mount, (total, used) in sorted(sizes.items(), key=lambda item: -item[1][0])[:MOST]:
            gauges[series("disk_total_bytes", mount=mount)] = total
            gauges[series("disk_used_bytes", mount=mount)] = used
        return gauges
