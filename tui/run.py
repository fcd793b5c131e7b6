"""Run the live screen on this terminal, and leave it as it was."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from tui.app import ChimeraApp
from tui.terminal import guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from metrics.snapshot import Snapshot
    from tui.app import Begin
    from tui.rows import Charset


def choose_charset(terminal: str, *, ascii_only: bool) -> Charset:
    """Choose what graphs are drawn with: the Linux console and dumb terminals have no braille glyphs."""
    return "ascii" if ascii_only or terminal in {"linux", "dumb", ""} else "braille"


def run_screen(
    begin: Begin,
    *,
    window_seconds: float,
    export: Callable[[Snapshot], str],
    set_window: Callable[[float], None],
    mark: Callable[[], str] = lambda: "nothing here can be marked",
    ascii: bool = False,  # noqa: A002 - named after the flag of the command
    mouse: bool = False,
    waiting: str = "connecting",
) -> int:
    """Show the live screen until the user quits; return the exit code: 0, or 128 + n after signal n.

    `begin(publish)` starts the collecting thread and returns what stops it; `publish` takes each Snapshot and never
    waits. `export` writes a report and returns the line to show: its path, or why not. `set_window` is told the window
    in seconds that the user chose. `mark` marks the moment and returns the line to show. `waiting` stands on the screen
    until the first Snapshot.
    """
    charset = choose_charset(os.environ.get("TERM", ""), ascii_only=ascii)
    app = ChimeraApp(
        begin,
        window_seconds=window_seconds,
        charset=charset,
        export=export,
        set_window=set_window,
        waiting=waiting,
        mark=mark,
    )

    def leave(code: int) -> None:
        if app.loop is not None:
            app.loop.call_soon_threadsafe(lambda: app.exit(return_code=code))

    with guarded(leave):
        app.run(mouse=mouse)
    if app.stop is not None:
        # it may have a hung driver or server to wait for: the user has quit, and waits for nothing
        stopping = threading.Thread(target=app.stop, daemon=True, name="stop")
        stopping.start()
        stopping.join(1.0)
    return app.return_code or 0
