"""The real screen in a real pseudo-terminal: it starts, it leaves, and it gives the terminal back as it was."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.terminal import DEADLINE, LEFT, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DRIVER = Path(__file__).with_name("screen_driver.py")


@pytest.fixture
def terminals() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(*arguments: str, size: tuple[int, int] = (80, 24), **environment: str) -> Terminal:
        command = [sys.executable, str(DRIVER), *(arguments or ("overloaded", "0.2"))]
        opened.append(Terminal(command, size=size, **environment))
        return opened[-1]

    yield open_one
    for terminal in opened:
        terminal.close()


def test_q_quits_with_zero(terminals: Callable[..., Terminal]) -> None:
    """The screen paints, q leaves with 0 and the terminal is as it was."""
    terminal = terminals()
    terminal.until_shown()
    terminal.press(b"q")
    assert terminal.wait() == 0
    terminal.assert_restored()


def test_ctrl_c_quits(terminals: Callable[..., Terminal]) -> None:
    """Ctrl+C is a key like q."""
    terminal = terminals()
    terminal.until_shown()
    terminal.press(b"\x03")
    assert terminal.wait() == 0
    terminal.assert_restored()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_signal_restores_the_terminal(terminals: Callable[..., Terminal], number: int, code: int) -> None:
    """A signal ends the screen with 128 + n, and the terminal echoes again."""
    terminal = terminals()
    terminal.until_shown()
    terminal.process.send_signal(number)
    assert terminal.wait() == code
    terminal.assert_restored()


def test_signal_before_the_first_snapshot(terminals: Callable[..., Terminal]) -> None:
    """A signal during the start ends it as well."""
    terminal = terminals()
    terminal.until(lambda: b"\x1b[?1049h" in terminal.output)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.wait() == 143
    terminal.assert_restored()


def test_suspended_screen_comes_back(terminals: Callable[..., Terminal]) -> None:
    """Ctrl+Z stops the process and gives the terminal back; when it goes on, the whole screen is painted again."""
    terminal = terminals("overloaded", "0.2", "still")
    terminal.until_shown("quit")
    terminal.press(b"\x1a")
    terminal.until(lambda: state(terminal.process.pid) == "T")
    terminal.read_some()
    assert LEFT in terminal.output
    terminal.output = b""
    terminal.process.send_signal(signal.SIGCONT)
    terminal.until_shown("model overloading")
    terminal.until_shown("quit")
    terminal.press(b"q")
    assert terminal.wait() == 0
    terminal.assert_restored()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_closed_terminal_ends_it(terminals: Callable[..., Terminal]) -> None:
    """When the terminal goes away the process ends too, even where SIGHUP does not reach it."""
    terminal = terminals("ignore-hangup", "0.2")
    terminal.until_shown()
    os.close(terminal.master)
    os.close(terminal.slave)
    assert terminal.process.wait(DEADLINE) in {129, -signal.SIGHUP}


def test_stalled_terminal_ends_on_sigterm(terminals: Callable[..., Terminal]) -> None:
    """When nobody reads the output any more, so that the event loop waits, SIGTERM still ends it and restores."""
    terminal = terminals("demo", "0.02", size=(200, 50))
    terminal.until_shown()
    end = time.monotonic() + DEADLINE
    while not stalled(terminal.process.pid):
        assert time.monotonic() < end
        time.sleep(0.05)  # the other side fills its buffers; nothing is read here
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(DEADLINE) == 143
    now = termios.tcgetattr(terminal.slave)
    assert now[3] & termios.ECHO


def stalled(pid: int) -> bool:
    """Tell whether a thread of the process waits in a write to its terminal."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            if (task / "wchan").read_text() in {"n_tty_write", "tty_write", "wait_woken"}:
                return True
    return False


def test_no_color(terminals: Callable[..., Terminal]) -> None:
    """With NO_COLOR not one colour is sent, and what is wrong is still marked."""
    terminal = terminals(NO_COLOR="1")
    terminal.until_shown()
    terminal.press(b"q")
    assert terminal.wait() == 0
    codes = {code for code in sequences(terminal.output) if code}
    assert not codes & {str(code) for code in (*range(30, 38), *range(40, 48), *range(90, 98), "38", "48")}
    assert "7" in codes


def sequences(output: bytes) -> list[str]:
    found: list[str] = []
    for part in output.decode(errors="replace").split("\x1b[")[1:]:
        code, end, _ = part.partition("m")
        if end and all(each.isdigit() or each == ";" for each in code):
            found += code.split(";")
    return found


@pytest.mark.parametrize("term", ["linux", "dumb"])
def test_poor_terminals_get_ascii(terminals: Callable[..., Terminal], term: str) -> None:
    """The Linux console and a dumb terminal get ASCII alone."""
    terminal = terminals(TERM=term)
    terminal.until_shown()
    terminal.press(b"q")
    assert terminal.wait() == 0
    assert terminal.output.isascii()


def test_one_cell(terminals: Callable[..., Terminal]) -> None:
    """A terminal of one cell does not crash it."""
    terminal = terminals(size=(1, 1))
    terminal.until(lambda: b"\x1b[?1049h" in terminal.output)
    terminal.resize(80, 24)
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.until_shown()
    terminal.press(b"q")
    assert terminal.wait() == 0


def test_resize_storm(terminals: Callable[..., Terminal]) -> None:
    """A hundred sizes one after the other leave a living screen of the last size."""
    terminal = terminals()
    terminal.until_shown()
    for step in range(100):
        terminal.resize(1 + step * 37 % 200, 1 + step * 17 % 60)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.read_some()
    terminal.resize(100, 30)
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.output = b""
    terminal.until(lambda: b"\x1b[30;" in terminal.output or b"quit" in terminal.output)
    terminal.press(b"q")
    assert terminal.wait() == 0
    terminal.assert_restored()


def test_exported_columns_are_ignored(terminals: Callable[..., Terminal]) -> None:
    """COLUMNS and LINES of a shell do not shrink the screen: the clock stands at the right end of 120 cells."""
    terminal = terminals(size=(120, 40), COLUMNS="40", LINES="12")
    terminal.until_shown("TTFT p95 20-40 s of 0.8 s")
    terminal.press(b"q")
    assert terminal.wait() == 0
    assert b"prompt" in terminal.output


def test_nothing_is_sent_when_nothing_changes(terminals: Callable[..., Terminal]) -> None:
    """The same moment published again and again costs not one byte."""
    terminal = terminals("overloaded", "0.1", "still")
    terminal.until_shown("quit")
    terminal.read(1.5)
    assert terminal.read(1.5) == b""
    terminal.press(b"q")
    assert terminal.wait() == 0
