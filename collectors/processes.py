"""What runs on this host and what is listened on, looked for in a thread that can be left behind.

Reading the command line of a process that is stuck in the kernel may never return, and no poll must wait for that.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING

from msgspec import Struct

from collectors.listening import Listener
from collectors.namespaces import survey

if TYPE_CHECKING:
    from collections.abc import Callable

    from collectors.clock import Clock

_log = logging.getLogger(__name__)
EVERY = 30.0
"""Seconds after which it is looked for again."""
_SOONEST = 2.0
"""The same, where something has changed."""


class Running(Struct, frozen=True):
    """A process, as the list of all of them has it."""

    parent: int
    name: str


class Around(Struct, frozen=True, eq=False):
    """What runs on this host and what is listened on, at one moment."""

    listeners: tuple[Listener, ...]
    running: dict[int, Running]
    """By pid."""
    commands: dict[int, tuple[str, ...]]
    """Command lines by pid, of the ancestors of what listens, as far as they may be seen. They may hold keys."""
    addresses: frozenset[str]
    """This host's own, and its name."""


def look_around() -> Around:
    """Look once, in containers too where root looks; raises psutil.Error and OSError."""
    import psutil  # noqa: PLC0415 - its import takes 20 ms, which is too much before the first screen

    running = {
        each.pid: Running(each.info["ppid"] or 0, each.info["name"] or "")
        for each in psutil.process_iter(["ppid", "name"])
    }
    listeners = survey().listeners
    commands: dict[int, tuple[str, ...]] = {}
    for each in listeners:
        pid = running[each.pid].parent if each.pid in running else 0
        while pid in running and pid not in commands:
            commands[pid] = ()
            with contextlib.suppress(psutil.Error, OSError):  # it ended meanwhile, or is another user's
                commands[pid] = tuple(psutil.Process(pid).cmdline())
            pid = running[pid].parent
    own = {each.address.partition("%")[0] for group in psutil.net_if_addrs().values() for each in group}
    return Around(listeners, running, commands, frozenset({*own, socket.gethostname().lower()}))


class Processes:
    """The last answer; the collectors of all servers share it."""

    def __init__(self, clock: Clock, look: Callable[[], Around] = look_around) -> None:
        self._clock = clock
        self._look = look
        self._around: Around | None = None
        self._thread: threading.Thread | None = None
        self._asked = 0.0

    def ask(self, *, again: bool = False) -> None:
        """Begin to look where the last answer is old, with `again` where it is not quite new; never two at once."""
        now = self._clock.mono()
        if self._thread is not None:
            least = _SOONEST if again else EVERY
            if self._thread.is_alive() or now - self._asked < least:
                return
        self._asked = now
        self._thread = threading.Thread(target=self._begin, name="processes", daemon=True)
        self._thread.start()

    def answer(self) -> Around | None:
        """Give the last answer, without waiting; None where there is none yet."""
        return self._around

    def wait(self, seconds: float) -> bool:
        """Wait for what was asked; False where it has not come."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _begin(self) -> None:
        try:
            self._around = self._look()
        except Exception:  # noqa: BLE001 - a thread's traceback would be written over the screen
            _log.exception("the processes of this host cannot be listed")
