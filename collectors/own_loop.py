"""Work that must not wait for anything else: in a thread and an event loop of its own until it is closed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from collectors.clean import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_log = logging.getLogger(__name__)
_CLOSING_SECONDS = 0.4
"""How long what was begun may take to let go: less than the poller gives a collector to close."""


class OwnLoop:
    """Runs `work` once, beside everything else; it is cancelled when it is closed."""

    def __init__(self, name: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
        self.fault = ""
        """One line, once the work has failed."""
        self._name = name
        self._work = work
        self._thread: threading.Thread | None = None
        self._ended: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def begun(self) -> bool:
        """Tell whether it was started."""
        return self._thread is not None

    def start(self) -> None:
        """Begin; once begun, nothing more happens."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._live, name=self._name, daemon=True)
            self._thread.start()

    async def close(self) -> None:
        """Cancel the work and wait a little until it has let go."""
        self._closing = True
        loop, task = self._loop, self._task
        if loop is None or task is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(task.cancel)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(self._ended), _CLOSING_SECONDS)

    def _live(self) -> None:
        try:
            with contextlib.suppress(asyncio.CancelledError):
                asyncio.run(self._run())
        except Exception as error:  # noqa: BLE001 whatever it is, the next Sample says it
            _log.exception("%s failed", self._name)
            self.fault = clean(f"internal error: {type(error).__name__}: {error}")
        finally:
            self._ended.set_result(None)

    async def _run(self) -> None:
        self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
        if not self._closing:
            await self._work()
