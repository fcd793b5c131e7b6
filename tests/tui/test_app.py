"""The app under its keys, with canned snapshots and no terminal."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import msgspec

from metrics.finding import RiskState
from tests.tui import canned
from tests.tui.reading import text_of
from tui.app import ChimeraApp
from tui.run import choose_charset
from tui.strips import Strips

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from textual.pilot import Pilot

    from metrics.snapshot import Snapshot

    Act = Callable[[Pilot[None], ChimeraApp], Coroutine[None, None, None]]


class Stage:
    """What the app is given by the command, with a memory."""

    def __init__(self, first: Snapshot | None) -> None:
        self.first = first
        self.windows: list[float] = []
        self.exported: list[Snapshot] = []
        self.stopped = False

    def begin(self, publish: Callable[[Snapshot], None]) -> Callable[[], None]:
        if self.first is not None:
            publish(self.first)
        return self.stop

    def stop(self) -> None:
        self.stopped = True

    def export(self, snapshot: Snapshot) -> str:
        self.exported.append(snapshot)
        return "wrote ./report.md"


def perform(act: Act, snapshot: Snapshot | None, size: tuple[int, int] = (80, 24)) -> Stage:
    """Run the app on one snapshot and act on it."""
    stage = Stage(snapshot)
    app = ChimeraApp(
        stage.begin,
        window_seconds=300.0,
        charset="braille",
        export=stage.export,
        set_window=stage.windows.append,
        waiting="connecting to http://127.0.0.1:8000",
    )

    async def run() -> None:
        async with asyncio.timeout(20), app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.stop is not None and app.snapshot is snapshot)
            await act(pilot, app)

    asyncio.run(run())
    return stage


def screen(app: ChimeraApp) -> str:
    return text_of(app.query_one(Strips)._rows)


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    while not holds():  # the deadline is that of the run as a whole
        await pilot.pause(0.01)


def test_snapshot_is_shown() -> None:
    """What is published stands on the screen."""

    async def act(_: Pilot[None], app: ChimeraApp) -> None:
        assert "model overloading: 54 waiting" in screen(app)

    perform(act, canned.overloaded())


def test_skeleton_before_the_first_snapshot() -> None:
    """Before anything was measured the screen says what it waits for, and keys that need data do nothing."""

    async def act(pilot: Pilot[None], app: ChimeraApp) -> None:
        assert "connecting to http://127.0.0.1:8000" in screen(app)
        await pilot.press("down", "enter", "tab", "down", "enter", "left_square_bracket", "3", "p", "p", "escape")
        assert app.view.page == "overview"

    perform(act, None)


def test_enter_opens_why_and_escape_returns() -> None:
    """Enter shows the evidence of the chosen risk; escape comes back."""

    async def act(pilot: Pilot[None], app: ChimeraApp) -> None:
        await pilot.press("down", "enter")
        assert "GPU 1 runs at 1155 MHz" in screen(app)
        await pilot.press("escape")
        assert "RISKS" in screen(app)

    perform(act, canned.overloaded())


def test_below_the_last_risk_is_what_does_not_hold() -> None:
    """Down leads past the last risk to the line of all others, enter opens them; with no risk they come first."""

    async def act(pilot: Pilot[None], app: ChimeraApp) -> None:
        await pilot.press("down", "down", "down", "down")
        assert "▸9 more not observed" in screen(app)
        assert "enter watched" in screen(app)
        await pilot.press("enter")
        assert "NOT VISIBLE  2" in screen(app)
        await pilot.press("escape", "up", "enter")
        assert "cache saturation" in screen(app)
        assert "EVIDENCE" in screen(app)
        await pilot.press("escape")
        app.publish(canned.healthy())
        await pilot.pause()
        await pilot.press("enter")
        assert "NOT OBSERVED  9" in screen(app)
        await pilot.press("escape")
        app.publish(canned.connecting())
        await pilot.pause()
        assert "watched" not in screen(app)

    perform(act, canned.overloaded())


def test_page_keeps_its_risk() -> None:
    """The open page stays with its risk when a worse one begins, and says that it is over when it has ended."""

    async def act(pilot: Pilot[None], app: ChimeraApp) -> None:
        moment = canned.overloaded()
        pinned = canned.throttling()
        app.publish(msgspec.structs.replace(moment, risks=(pinned, *canned.quiet_risks())))
        await pilot.pause()
        await pilot.press("enter")
        app.publish(moment)
        await pilot.pause()
        assert "GPU 1 runs at 1155 MHz" in screen(app)
        ended = msgspec.structs.replace(pinned, state=RiskState.NOT_OBSERVED, target=None, since=None, description="")
        app.publish(msgspec.structs.replace(moment, risks=(canned.overloading(), ended)))
        await pilot.pause()
        assert " OVER   thermal throttle" in screen(app)
        assert "1155" not in screen(app)
        app.publish(msgspec.structs.replace(moment, risks=()))
        await pilot.pause()
        assert " OVER   thermal throttle" in screen(app)
        await pilot.press("escape", "enter")
        assert "OVER" not in screen(app)

    perform(act, canned.overloaded())


def test_escape_and_q_sent_as_one_key_quit() -> None:
    """Escape and q in quick succession reach the program as alt+q, which quits."""

    async def act(pilot: Pilot[None], app: ChimeraApp) -> None:
        await pilot.press("alt+q")
        assert app.return_code == 0

    perform(act, canned.overloaded())


def test_choice_stays_on_its_risk() -> None:
    """When the order of the risks changes, the mark stays on the risk that was chosen."""

    async def act(pilot: Pilot[None], app: ChimeraApp) -> None:
        await pilot.press("down")
        moment = canned.overloaded()
        app.publish(msgspec.structs.replace(moment, risks=tuple(reversed(moment.risks))))
        await pilot.pause()
        assert "▸WARNING   thermal throttle" in screen(app)

    perform(act, canned.overloaded())


def test_tab_goes_to_gpus_and_numbers() -> None:
    """Tab chooses what enter opens: risks, GPUs, numbers."""

    async def act(pilot: Pilot[None], app: ChimeraApp) -> None:
        await pilot.press("tab", "enter")
        assert "PROCESSES" in screen(app)
        await pilot.press("escape", "tab", "enter")
        assert "time between two tokens of one request" in screen(app)
        await pilot.press("escape", "shift+tab", "shift+tab")
        assert app.view.focus == "risks"

    perform(act, canned.overloaded())


def test_pages_scroll() -> None:
    """On a page, down scrolls, and the footer says how much is below."""

    async def act(pilot: Pilot[None], app: ChimeraApp) -> None:
        await pilot.press("question_mark")
        assert "KEYS" in screen(app)
        assert "lines below" in screen(app)
        await pilot.press("pagedown", "pagedown", "pagedown")
        assert "KEYS" not in screen(app)
        await pilot.press("question_mark")
        assert "RISKS" in screen(app)

    perform(act, canned.overloaded())


def test_pause_holds_the_picture() -> None:
    """While paused the picture stands and says so; afterwards the newest moment is shown."""

    async def act(pilot: Pilot[None], app: ChimeraApp) -> None:
        await pilot.press("p")
        app.publish(canned.overloaded(wall=canned.WALL + 9))
        await pilot.pause()
        assert app.snapshot is not None
        assert app.snapshot.generated_wall == canned.WALL
        app._tick()
        assert "PAUSED 1 s" in screen(app)
        await pilot.press("space")
        assert app.snapshot.generated_wall == canned.WALL + 9
        assert "PAUSED" not in screen(app)

    perform(act, canned.overloaded())


def test_silence_is_named() -> None:
    """When no snapshot comes for 10 s, the screen says so, and takes it back when one comes."""

    async def act(pilot: Pilot[None], app: ChimeraApp) -> None:
        for _ in range(10):
            app._tick()
        assert "NO NEWS 10 s" in screen(app)
        app.publish(canned.overloaded())
        await pilot.pause()
        assert "NO NEWS" not in screen(app)

    perform(act, canned.overloaded())


def test_window_keys() -> None:
    """Plus and minus step through the windows and tell the collecting side."""

    async def act(pilot: Pilot[None], _: ChimeraApp) -> None:
        await pilot.press("plus", "plus", "minus", "minus", "minus", "minus")

    assert perform(act, canned.overloaded()).windows == [900.0, 3600.0, 900.0, 300.0, 60.0]


def test_export_shows_its_path() -> None:
    """Export hands over the moment that is shown, and the footer says where it went, for a while."""

    async def act(pilot: Pilot[None], app: ChimeraApp) -> None:
        await pilot.press("e")
        await until(pilot, lambda: "wrote ./report.md" in screen(app))
        for _ in range(8):
            app._tick()
        assert "wrote" not in screen(app)

    stage = perform(act, canned.overloaded())
    assert [snapshot.generated_wall for snapshot in stage.exported] == [canned.WALL]


def test_servers_by_number_and_bracket() -> None:
    """With several servers the worst is shown first; numbers and brackets choose another."""

    async def act(pilot: Pilot[None], app: ChimeraApp) -> None:
        assert "2 of 3" in screen(app)
        await pilot.press("3")
        assert "3 of 3" in screen(app)
        await pilot.press("right_square_bracket")
        assert "1 of 3" in screen(app)

    perform(act, canned.fleet())


def test_only_the_newest_snapshot_is_drawn() -> None:
    """A backlog of snapshots from another thread collapses to the newest."""

    async def act(pilot: Pilot[None], app: ChimeraApp) -> None:
        def flood() -> None:
            for second in range(50):
                app.publish(canned.overloaded(wall=canned.WALL + second))

        thread = threading.Thread(target=flood)
        thread.start()
        thread.join()
        await pilot.pause()
        assert app.snapshot is not None
        assert app.snapshot.generated_wall == canned.WALL + 49

    perform(act, canned.overloaded())


def test_unchanged_rows_are_not_sent_again() -> None:
    """Showing the same rows again touches nothing; one changed row touches one."""

    async def act(_: Pilot[None], app: ChimeraApp) -> None:
        strips = app.query_one(Strips)
        rows = list(strips._rows)
        assert strips.show(rows) == 0
        rows[5] = (("changed", "plain"),)
        assert strips.show(rows) == 1
        assert strips.show(rows[:-1]) == 1

    perform(act, canned.overloaded())


def test_charset_of_terminals() -> None:
    """The Linux console, dumb terminals and --ascii get no braille."""
    assert choose_charset("xterm-256color", ascii_only=False) == "braille"
    assert choose_charset("linux", ascii_only=False) == "ascii"
    assert choose_charset("dumb", ascii_only=False) == "ascii"
    assert choose_charset("tmux-256color", ascii_only=True) == "ascii"
