"""The live screen: a Textual app around one widget and the pure functions that draw it.

Snapshots come from another thread by `post_message`, which never waits; a backlog collapses to the newest. The app
paints its skeleton first and begins to collect after that, so that something is seen before heavy imports are done.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual.app import App
from textual.binding import Binding
from textual.message import Message

from tui.frame import frame
from tui.palette import COLOURED, COLOURLESS
from tui.strips import Strips
from tui.terminal import guarded
from tui.view import (
    FOCI,
    QUIET,
    WINDOWS,
    View,
    chosen_gpu,
    chosen_risk,
    chosen_target,
    folded,
    on_quiet,
    ordered_gpus,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual import events
    from textual.app import ComposeResult

    from metrics.snapshot import Snapshot
    from tui.rows import Charset

    Publish = Callable[[Snapshot], None]
    Stop = Callable[[], None]
    Begin = Callable[[Publish], Stop]

SILENCE = 10.0
"""Seconds without a snapshot after which the screen says so."""
MESSAGE = 8.0
"""Seconds for which a message stands in the footer."""

MARKED = 2.5
"""Seconds for a mark, counted at each second: it is set, and the keys are needed again."""


class SnapshotReady(Message, bubble=False):
    """A new moment to show."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """Take the place of an older one that still waits: only the newest moment is worth drawing."""
        return isinstance(message, SnapshotReady)


class Said(Message, bubble=False):
    """One line for the footer."""

    def __init__(self, line: str, seconds: float = MESSAGE) -> None:
        super().__init__()
        self.line = line
        self.seconds = seconds


def choose_charset(terminal: str, *, ascii_only: bool) -> Charset:
    """Choose what graphs are drawn with: the Linux console and dumb terminals have no braille glyphs."""
    return "ascii" if ascii_only or terminal in {"linux", "dumb", ""} else "braille"


class ChimeraApp(App[None]):
    """The screen."""

    CSS = "Screen { background: ansi_default; color: ansi_default; layers: base; overflow: hidden; }"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = [
        Binding("q,alt+q", "leave", priority=True),  # escape and q within 0.1 s come as one key with alt
        Binding("ctrl+c", "leave", priority=True),
        Binding("question_mark,h", "help"),
        Binding("p,space", "pause"),
        Binding("plus,equals_sign", "window(1)"),
        Binding("minus", "window(-1)"),
        Binding("e", "export"),
        Binding("m", "mark"),
        Binding("tab", "focus_pane(1)", priority=True),
        Binding("shift+tab", "focus_pane(-1)", priority=True),
        Binding("right_square_bracket", "target(1)"),
        Binding("left_square_bracket", "target(-1)"),
        *(Binding(str(number), f"number({number})") for number in range(1, 10)),
        Binding("down,j", "move(1)"),
        Binding("up,k", "move(-1)"),
        Binding("pagedown", "move(10)"),
        Binding("pageup", "move(-10)"),
        Binding("enter", "deeper"),
        Binding("escape", "up"),
        Binding("ctrl+z", "suspend_process"),
    ]

    def __init__(
        self,
        begin: Begin,
        *,
        window_seconds: float,
        charset: Charset,
        export: Callable[[Snapshot], str],
        set_window: Callable[[float], None],
        waiting: str = "connecting",
        mark: Callable[[], str] = lambda: "nothing here can be marked",
    ) -> None:
        super().__init__(ansi_color=True)
        self.animation_level = "none"
        self.view = View(charset=charset)
        self.snapshot: Snapshot | None = None
        self.stop: Stop | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self._begin = begin
        self._window_seconds = window_seconds
        self._export = export
        self._set_window = set_window
        self._waiting = waiting
        self._mark = mark
        self._strips = Strips(COLOURLESS if self.no_color else COLOURED)
        self._latest: Snapshot | None = None
        self._silent = 0.0
        self._said_for = 0.0

    def compose(self) -> ComposeResult:
        """Put the one widget on the screen."""
        yield self._strips

    def on_mount(self) -> None:
        """Know the loop, so that a signal handler can ask it; and count the seconds."""
        self.loop = asyncio.get_running_loop()
        self.set_interval(1.0, self._tick)
        self.app_resume_signal.subscribe(self, self._resumed)

    def _resumed(self, _: App[None]) -> None:
        """Send every row again after `fg`: the terminal comes back empty, the rows have not changed."""
        self.screen.refresh(layout=True)

    def on_ready(self) -> None:
        """Begin to collect once the skeleton has been painted."""
        self.draw()
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        self.stop = self._begin(self.publish)

    def publish(self, snapshot: Snapshot) -> None:
        """Show a snapshot as soon as the screen gets to it; for any thread, never waits."""
        if self.is_running:
            self.post_message(SnapshotReady(snapshot))

    def on_snapshot_ready(self, message: SnapshotReady) -> None:
        """Take the newest moment; while the picture is paused it only waits."""
        self._latest = message.snapshot
        self._silent = 0.0
        if self.view.paused_seconds is None:
            self.snapshot = message.snapshot
            self._look(silent_seconds=None)

    def on_said(self, message: Said) -> None:
        """Show a line in the footer for a while."""
        self._said_for = message.seconds
        self._look(message=message.line)

    def on_resize(self, event: events.Resize) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self.draw)
        del event

    def draw(self) -> None:
        """Draw the frame; the widget sends what has changed."""
        width, height = self.size
        self._strips.show(frame(self.snapshot, self.view, width, height, self._waiting))

    def _look(self, **changes: object) -> None:
        self.view = msgspec.structs.replace(self.view, **changes)
        self.draw()

    def _tick(self) -> None:
        """Let a second pass for what has an age of its own: a pause, silence, a message."""
        self._silent += 1.0
        changes: dict[str, object] = {}
        if self.view.paused_seconds is not None:
            changes["paused_seconds"] = self.view.paused_seconds + 1.0
        elif self.snapshot is not None and self._silent >= SILENCE:
            changes["silent_seconds"] = self._silent
        if self.view.message:
            self._said_for -= 1.0
            if self._said_for <= 0:
                changes["message"] = ""
        if changes:
            self._look(**changes)

    def action_leave(self) -> None:
        """Quit; never waits for the data path."""
        self.exit(return_code=0)

    def action_help(self) -> None:
        """Open the help, or close it."""
        self._look(page="overview" if self.view.page == "help" else "help", scroll=0)

    def action_pause(self) -> None:
        """Hold the picture, or let it go on with the newest moment."""
        if self.view.paused_seconds is None:
            self._look(paused_seconds=0.0)
            return
        self.snapshot = self._latest
        self._look(paused_seconds=None)

    def action_window(self, step: int) -> None:
        """Choose the next longer or shorter window."""
        longer = [window for window in WINDOWS if window > self._window_seconds]
        shorter = [window for window in reversed(WINDOWS) if window < self._window_seconds]
        found = longer if step > 0 else shorter
        if found:
            self._window_seconds = found[0]
            self._set_window(found[0])

    def action_export(self) -> None:
        """Export the moment that is shown, in a thread of its own because it writes files."""
        snapshot = self.snapshot
        if snapshot is None:
            self.post_message(Said("nothing to export yet"))
            return
        threading.Thread(target=self._write, args=(snapshot,), daemon=True, name="export").start()

    def action_mark(self) -> None:
        """Mark this moment, so that what comes after can be told from what came before."""
        self.post_message(Said(self._mark(), MARKED))

    def _write(self, snapshot: Snapshot) -> None:
        try:
            line = self._export(snapshot)
        except OSError as error:
            line = f"not exported: {error.strerror or error}"
        if self.is_running:
            self.post_message(Said(line))

    def action_focus_pane(self, step: int) -> None:
        """Choose the next pane."""
        at = FOCI.index(self.view.focus)
        self._look(focus=FOCI[(at + step) % len(FOCI)])

    def action_target(self, step: int) -> None:
        """Choose the next server."""
        if self.snapshot is None or not self.snapshot.targets:
            return
        ids = [target.id for target in self.snapshot.targets]
        current = chosen_target(self.snapshot, self.view)
        at = ids.index(current.id) if current is not None else 0
        self._look(target=ids[(at + step) % len(ids)])

    def action_number(self, number: int) -> None:
        """Choose a server by its number where there are several, else a pane."""
        targets = self.snapshot.targets if self.snapshot is not None else ()
        if len(targets) > 1:
            if number <= len(targets):
                self._look(target=targets[number - 1].id)
        elif number <= len(FOCI):
            self._look(focus=FOCI[number - 1])

    def action_move(self, step: int) -> None:
        """Choose the next risk or GPU; scroll on a page."""
        if self.view.page != "overview":
            self._look(scroll=max(0, self.view.scroll + step))
            return
        if self.snapshot is None:
            return
        if self.view.focus == "gpus" and self.snapshot.gpus:
            gpus = ordered_gpus(self.snapshot)
            at = gpus.index(chosen_gpu(self.snapshot, self.view) or gpus[0])
            self._look(gpu=gpus[max(0, min(len(gpus) - 1, at + step))].uuid)
        elif self.view.focus == "risks" and (risks := [row[0] for row in folded(self.snapshot)]):
            current = chosen_risk(self.snapshot, self.view) or risks[0]
            at = len(risks) if self.view.risk == QUIET else risks.index(current)
            at = max(0, min(len(risks), at + step))  # below the last of them is the line of those that do not hold
            self._look(risk=(risks[at].id, risks[at].target) if at < len(risks) else QUIET)

    def action_deeper(self) -> None:
        """Open what is chosen: why this risk, this GPU, every number."""
        if self.snapshot is None or self.view.page != "overview":
            return
        risk = chosen_risk(self.snapshot, self.view)
        below = on_quiet(self.snapshot, self.view)
        self._look(
            page={"risks": "watched" if below else "why", "gpus": "gpu", "numbers": "numbers"}[self.view.focus],
            opened=(risk.id, risk.target) if risk is not None else None,
            scroll=0,
        )

    def action_up(self) -> None:
        """Come back to the overview."""
        self._look(page="overview", opened=None, scroll=0)


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
