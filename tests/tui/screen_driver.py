"""Run the real screen in the terminal that this process has, on canned snapshots.

    python screen_driver.py NAME INTERVAL [still]

One snapshot each INTERVAL seconds, a second apart in their own time; `still` sends the same one again and again.
"""

from __future__ import annotations

import contextlib
import fcntl
import signal
import sys
import termios
import threading
from typing import TYPE_CHECKING

from tests.tui import canned
from tui.run import run_screen

if TYPE_CHECKING:
    from collections.abc import Callable

    from metrics.snapshot import Snapshot


def begin_with(
    name: str, interval: float, *, still: bool
) -> Callable[[Callable[[Snapshot], None]], Callable[[], None]]:
    def begin(publish: Callable[[Snapshot], None]) -> Callable[[], None]:
        over = threading.Event()

        def run() -> None:
            tick, fixed = 0, canned.ALL[name]()
            while True:
                moving = name in {"overloaded", "demo"} and not still
                count = 8 if name == "demo" else 2
                publish(canned.overloaded(count, canned.WALL + tick) if moving else fixed)
                tick += 1
                if over.wait(interval):
                    return

        threading.Thread(target=run, daemon=True).start()
        return over.set

    return begin


def main() -> int:
    with contextlib.suppress(OSError):  # so that a hang-up of the pseudo-terminal reaches this process, as in a shell
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    name, interval, *rest = sys.argv[1:]
    if name == "ignore-hangup":  # as under a multiplexer that keeps SIGHUP from its children
        name = "overloaded"
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    return run_screen(
        begin_with(name, float(interval), still="still" in rest),
        window_seconds=300.0,
        export=lambda _: "exported to /tmp/report.md",
        set_window=lambda _: None,
        ascii="ascii" in rest,
    )


if __name__ == "__main__":
    sys.exit(main())
