"""The live screen: a Textual app around one widget and the pure functions that draw it.

Snapshots come from another thread by `post_message`, which never waits; a backlog collapses to the newest. The app
paints its skeleton first and begins to collect after that, so that something is seen before heavy imports are done.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from textual.app import App
from textual.binding import Binding

from tui import moves
from tui.frame import frame
from tui.messages import Said, SnapshotReady
from tui.palette import COLOURED, COLOURLESS
from tui.strips import Strips
from tui.view import View

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
MARKED = 3.0
"""Seconds for a mark, counted at each second: it is set, and the keys are needed again."""


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
        self._see(replace(self.view, **changes))

    def _see(self, view: View) -> None:
        self.view = view
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
        self._see(moves.helped(self.view))

    def action_pause(self) -> None:
        """Hold the picture, or let it go on with the newest moment."""
        if self.view.paused_seconds is None:
            self._look(paused_seconds=0.0)
            return
        self.snapshot = self._latest
        self._look(paused_seconds=None)

    def action_window(self, step: int) -> None:
        """Choose the next longer or shorter window."""
        seconds = moves.next_window(self._window_seconds, step)
        if seconds != self._window_seconds:
            self._window_seconds = seconds
            self._set_window(seconds)

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
        self._see(moves.next_pane(self.view, step))

    def action_target(self, step: int) -> None:
        """Choose the next server."""
        if self.snapshot is not None:
            self._see(moves.next_target(self.snapshot, self.view, step))

    def action_number(self, number: int) -> None:
        """Choose a server by its number where there are several, else a pane."""
        self._see(moves.numbered(self.snapshot, self.view, number))

    def action_move(self, step: int) -> None:
        """Choose the next risk or GPU; scroll on a page."""
        self._see(moves.moved(self.snapshot, self.view, step))

    def action_deeper(self) -> None:
        """Open what is chosen: why this risk, this GPU, every number."""
        self._see(moves.deeper(self.snapshot, self.view))

    def action_up(self) -> None:
        """Come back to the overview."""
        self._see(moves.back(self.view))
