"""The live screen over any session: a running host, the demo or a recording."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from chimera_top.config import Settings
    from chimera_top.session import Session
    from metrics.snapshot import Snapshot

    Publish = Callable[[Snapshot], None]


def show(settings: Settings, make: Callable[[Publish], Session], *, waiting_for: str) -> int:
    """Show the screen until the user quits and return the exit code.

    `make` builds the session; it runs in a thread of its own once the first frame is painted, because what it imports
    (aiohttp, NVML) takes longer than that frame.
    """
    from tui.run import run_screen  # noqa: PLC0415 textual takes 0.17 s

    running = _Running(make, recorded=settings.record is not None)
    code = run_screen(
        running.begin,
        window_seconds=settings.window_seconds,
        set_window=running.set_window,
        export=_export,
        mark=running.mark,
        ascii=settings.ascii,
        mouse=settings.mouse,
        waiting=f"waiting for the first answer of {waiting_for}",
    )
    if running.failure is not None:
        raise running.failure
    if running.trouble is not None:
        sys.stderr.write(f"chimera-top: {running.trouble}\n")
    return code


def _export(snapshot: Snapshot) -> str:
    from chimera_top.export import export  # noqa: PLC0415 when a report is asked for

    return export(snapshot)


class _Running:
    """A session that begins beside the screen."""

    def __init__(self, make: Callable[[Publish], Session], *, recorded: bool = False) -> None:
        self._make = make
        self._recorded = recorded
        self._session: Session | None = None
        self._window: float | None = None
        self._stopped = threading.Event()
        self._begun = threading.Thread(target=lambda: None)
        self.failure: Exception | None = None

    @property
    def trouble(self) -> str | None:
        """One line on what the session could not do; the screen went on all the same."""
        return None if self._session is None else self._session.trouble

    def begin(self, publish: Publish) -> Callable[[], None]:
        """Build and start the session; returns what stops it."""
        self._begun = threading.Thread(target=self._start, args=(publish,), name="session", daemon=True)
        self._begun.start()
        return self.stop

    def _start(self, publish: Publish) -> None:
        try:
            session = self._make(publish)
        except Exception as error:  # noqa: BLE001 whatever it is, it is told once the terminal is as it was
            self.failure = error
            os.kill(os.getpid(), signal.SIGTERM)
            return
        if self._window is not None:
            session.set_window(self._window)
        self._session = session
        if not self._stopped.is_set():
            session.start()

    def set_window(self, seconds: float) -> None:
        """Let the next Snapshots speak of another window."""
        self._window = seconds
        if self._session is not None:
            self._session.set_window(seconds)

    def mark(self) -> str:
        """Mark this moment; returns the line to show. Without a recording a mark lasts as long as the screen."""
        if self._session is None:
            return "no mark set: nothing is watched yet"
        remark = "" if self._recorded else " (compare needs a recording: --record FILE)"
        return f"{self._session.mark()} set{remark}"

    def stop(self) -> None:
        """Stop the session, however far it has come."""
        self._stopped.set()
        self._begun.join(2.0)
        if self._session is not None:
            self._session.stop()
