"""The whole screen as text: what stands where, at every size, for every situation."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tui import canned
from tests.tui.reading import text_of
from tui.frame import frame
from tui.rows import row_width
from tui.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tui.view import Page

GOLDENS = Path(__file__).parent / "goldens"
SIZES = ((40, 12), (60, 24), (80, 24), (120, 40), (200, 50))
UPDATE = os.environ.get("UPDATE_GOLDENS") == "1"


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def compare(name: str, text: str) -> None:
    golden = GOLDENS / f"{name}.txt"
    if UPDATE:
        golden.write_text(text + "\n", encoding="utf-8")
    assert text + "\n" == golden.read_text(encoding="utf-8"), f"UPDATE_GOLDENS=1 rewrites {golden.name}; then review it"


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", canned.ALL)
def test_overview(name: str, size: tuple[int, int]) -> None:
    """The overview of each situation at each size is the reviewed picture."""
    width, height = size
    compare(f"{name}-{width}x{height}", text_of(frame(canned.ALL[name](), View(), width, height)))


@pytest.mark.parametrize("page", ["why", "watched", "gpu", "numbers", "help"])
def test_page(page: Page) -> None:
    """Each deeper page at 80x24 is the reviewed picture."""
    compare(f"page-{page}-80x24", text_of(frame(canned.overloaded(), View(page=page), 80, 24)))


@pytest.mark.parametrize("charset", ["block", "ascii"])
def test_charset(charset: str) -> None:
    """Half blocks and ASCII show the same screen without braille."""
    view = View(charset="ascii" if charset == "ascii" else "block")
    text = text_of(frame(canned.overloaded(), view, 80, 24))
    compare(f"charset-{charset}-80x24", text)
    assert not any("\u2800" <= glyph <= "\u28ff" for glyph in text)
    assert charset != "ascii" or text.isascii()


def test_first_paint() -> None:
    """Before the first snapshot the screen says what it waits for, and how to quit."""
    text = text_of(frame(None, View(), 80, 24, "connecting to http://127.0.0.1:8000"))
    assert "connecting to http://127.0.0.1:8000" in text
    assert "q quit" in text


def test_connecting_says_where() -> None:
    """A server from which nothing was heard yet is named, with what is being done."""
    assert "connecting to http://127.0.0.1:8000" in text_of(frame(canned.connecting(), View(), 80, 24))


def test_no_gpu_says_why_and_what_to_do() -> None:
    """Without a GPU the reason and its remedy stand where the GPUs would."""
    text = " ".join(text_of(frame(canned.connecting(), View(), 80, 24)).split())
    assert "libnvidia-ml.so.1 was not found: no NVIDIA driver is installed here; install it, or use --no-gpu" in text


def test_down_server_says_why() -> None:
    """A server that cannot be reached has a badge, its reason and its remedy."""
    text = " ".join(text_of(frame(canned.down(), View(), 80, 24)).split())
    assert " DOWN " in text
    assert "connection refused: nothing listens on port 8000; start the server, or name the right address" in text


def test_stale_numbers_are_dim_and_aged() -> None:
    """Old numbers of a server are dim, and their age stands in the header."""
    rows = frame(canned.stale(), View(), 80, 24)
    assert "STALE 12 s" in text_of(rows)
    waiting = next(row for row in rows if text_of([row]).startswith(" waiting"))
    assert {style for text, style in waiting if "54" in text} == {"dim"}


def test_badges() -> None:
    """Simulated data, a pause with its age, and silence are named in the header."""
    rows = frame(canned.demo(), View(paused_seconds=12.0), 120, 40)
    assert "PAUSED 12 s" in text_of(rows[:1])
    assert "SIMULATED" in text_of(rows[:1])
    assert "NO NEWS 12 s" in text_of(frame(canned.overloaded(), View(silent_seconds=12.0), 120, 40)[:1])


def test_gpu_in_trouble_is_shown_first_when_not_all_fit() -> None:
    """With eight GPUs at 80x24 the throttled one has its line, and the others are counted."""
    text = text_of(frame(canned.demo(), View(), 80, 24))
    assert "THERMAL since 14:01:50" in text
    assert "+ 7 more  all ok" in text


def test_hidden_panes_are_named() -> None:
    """What there is no room for is named in the footer."""
    footer = text_of(frame(canned.overloaded(), View(), 60, 16)[-1:])
    assert "+ graphs" in footer


def test_smallest_screen_has_the_verdict() -> None:
    """A single line is the verdict."""
    assert "model overloading" in text_of(frame(canned.overloaded(), View(), 40, 1))


def test_scrolling_ends_at_the_last_line() -> None:
    """A page cannot be scrolled past its end."""
    far = text_of(frame(canned.overloaded(), View(page="numbers", scroll=10_000), 80, 24))
    assert "max num seqs" in far
    assert all(row_width(row) == 80 for row in frame(canned.overloaded(), View(page="numbers", scroll=10_000), 80, 24))
