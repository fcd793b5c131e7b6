"""The key that marks a moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.tui import canned
from tests.tui.reading import text_of
from tui.app import ChimeraApp
from tui.strips import Strips

if TYPE_CHECKING:
    from collections.abc import Callable

    from metrics.snapshot import Snapshot


def test_m_marks_the_moment_and_says_so() -> None:
    """Each press sets one mark, and the footer tells what became of it."""
    pressed: list[str] = []

    def mark() -> str:
        pressed.append("m")
        return f"mark {len(pressed)} set"

    def begin(publish: Callable[[Snapshot], None]) -> Callable[[], None]:
        publish(canned.overloaded())
        return lambda: None

    app = ChimeraApp(
        begin,
        window_seconds=300.0,
        charset="braille",
        export=lambda _: "",
        set_window=lambda _: None,
        mark=mark,
    )

    async def press() -> None:
        async with asyncio.timeout(20), app.run_test(size=(80, 24)) as pilot:
            await pilot.press("m")
            await pilot.press("m")
            while app.view.message != "mark 2 set":
                await pilot.pause(0.01)
            assert "mark 2 set" in text_of(app.query_one(Strips)._rows)

    asyncio.run(press())
    assert pressed == ["m", "m"]
