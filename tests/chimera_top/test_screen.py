from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from chimera_top.config import Settings
from chimera_top.screen import show
from chimera_top.session import Session
from collectors.clock import Clock
from insight.assess import Assessor

if TYPE_CHECKING:
    from collections.abc import Callable

    from chimera_top.screen import Publish
    from metrics.snapshot import Snapshot
    from metrics.view import View


class Once(Assessor):
    """Of which one rule raises, once."""

    raised = False

    def observe(self, view: View) -> None:
        super().observe(view)
        if not self.raised:
            self.raised = True
            raise ZeroDivisionError("a rule")


def test_what_went_wrong_behind_the_screen_is_told_when_it_closes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule that raises once costs one picture: the next is shown, and one line on stderr says that it happened."""
    seen: list[Snapshot] = []
    shown = threading.Event()

    def screen(begin: Callable[[Publish], Callable[[], None]], **_flags: Any) -> int:
        def publish(snapshot: Snapshot) -> None:
            seen.append(snapshot)
            shown.set()

        stop = begin(publish)
        assert shown.wait(30)
        stop()
        return 0

    def make(publish: Publish) -> Session:
        return Session([], Once(), interval=0.05, clock=Clock(), publish=publish)

    monkeypatch.setattr("tui.run.run_screen", screen)
    assert show(Settings(), make, waiting_for="nobody") == 0
    assert capsys.readouterr().err == (
        "chimera-top: internal error: ZeroDivisionError: a rule; --log-file FILE keeps where it came from\n"
    )
    named = [each.why for each in seen[0].not_visible if each.what == "part of this program"]
    assert named == ["internal error: ZeroDivisionError: a rule"]


@pytest.mark.parametrize(
    ("record", "line"),
    [(None, "mark 1 set (compare needs a recording: --record FILE)"), ("a.rec", "mark 1 set")],
)
def test_a_mark_that_nothing_records_says_so(
    record: str | None, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who marks a moment to compare later is told at once that it takes a recording."""
    said: list[str] = []
    shown = threading.Event()

    def screen(begin: Callable[[Publish], Callable[[], None]], *, mark: Callable[[], str], **_flags: Any) -> int:
        said.append(mark())
        stop = begin(lambda _snapshot: shown.set())
        assert shown.wait(30)
        said.append(mark())
        stop()
        return 0

    def make(publish: Publish) -> Session:
        return Session([], Assessor(), interval=0.05, clock=Clock(), publish=publish)

    monkeypatch.setattr("tui.run.run_screen", screen)
    assert show(Settings(record=record), make, waiting_for="nobody") == 0
    assert said == ["no mark set: nothing is watched yet", line]
    assert capsys.readouterr().err == ""
