"""The terminal as a thing that can be taken away: signals, hang-ups, and giving it back as it was found.

Textual alone leaves raw mode and the alternate screen behind on SIGTERM and SIGHUP, and spins at 100 % CPU when the
terminal vanishes while SIGHUP is ignored. An asyncio signal handler is not enough: when the terminal does not take
output, the event loop itself waits, and the handler would never run. So there are two stages: ask the app to leave, and
after `PATIENCE` seconds restore the terminal by hand and end the process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

PATIENCE = 2.0
"""Seconds that the app has to leave by itself."""
WATCH = 0.5
"""Seconds between two looks whether the terminal is still there."""
RESTORE = (
    b"\x1b[<u\x1b[?1003l\x1b[?1000l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?1004l\x1b[?2048l\x1b[?7h\x1b[?1049l\x1b[?25h"
)
"""Ends the kitty keyboard protocol, mouse reports, bracketed paste, focus and size reports; wraps lines again, leaves
the alternate screen, shows the cursor."""
_INPUT, _OUTPUT, _ERRORS = 0, 1, 2  # Textual reads standard input and writes standard error


def is_terminal() -> bool:
    """Tell whether a screen can be shown: standard input and output are a terminal, and not a `dumb` one.

    Standard error may go into a file: `drawn_on_output` lets Textual draw all the same.
    """
    return os.isatty(_INPUT) and os.isatty(_OUTPUT) and os.environ.get("TERM", "dumb") not in {"", "dumb"}


@contextlib.contextmanager
def drawn_on_output() -> Iterator[None]:
    """Let Textual, which draws on standard error, draw on standard output where the former is no terminal."""
    before = sys.__stderr__
    if not os.isatty(_ERRORS):
        sys.__stderr__ = sys.__stdout__  # type: ignore[misc]  # the one way to tell its driver
    try:
        yield
    finally:
        sys.__stderr__ = before  # type: ignore[misc]


@contextlib.contextmanager
def guarded(leave: Callable[[int], None]) -> Iterator[None]:
    """End with 128 + n on signal n, and with 129 when the terminal has gone; the terminal is restored in any case.

    `leave` asks the app to exit with a code; it is called from a signal handler or a thread and must not wait.
    """
    try:
        attributes = termios.tcgetattr(_INPUT)
    except termios.error:
        attributes = None
    over = threading.Event()

    def end(code: int) -> None:
        threading.Thread(target=_end_by_force, args=(code, attributes, over), daemon=True, name="last-resort").start()
        leave(code)

    def on_signal(number: int, _frame: FrameType | None) -> None:
        end(128 + number)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    threading.Thread(target=_watch, args=(end, over), daemon=True, name="terminal-watch").start()
    try:
        with drawn_on_output():
            yield
    finally:
        over.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_by_force(code: int, attributes: list[object] | None, over: threading.Event) -> None:
    if over.wait(PATIENCE):
        return
    if attributes is not None:
        with contextlib.suppress(termios.error):
            # flushing the output first, because a stalled terminal would make `TCSADRAIN` wait for ever
            termios.tcflush(_INPUT, termios.TCOFLUSH)
            termios.tcsetattr(_INPUT, termios.TCSANOW, attributes)  # type: ignore[arg-type]
    screen = _ERRORS if os.isatty(_ERRORS) else _OUTPUT
    with contextlib.suppress(OSError):
        os.set_blocking(screen, False)
        os.write(screen, RESTORE)
        os.set_blocking(screen, True)
    os._exit(code)


def _watch(end: Callable[[int], None], over: threading.Event) -> None:
    parent = os.getppid()
    poll = select.poll()
    poll.register(_INPUT, 0)  # nothing asked for: only hang-up and error are reported
    while not over.wait(WATCH):
        gone = any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))
        if gone or os.getppid() != parent:
            end(128 + signal.SIGHUP)
            return
