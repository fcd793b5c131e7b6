"""A real pseudo-terminal with a program in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).parents[1]
DEADLINE = 20.0
"""Seconds; generous, because other work may share the machine. Nothing here measures speed."""
LEFT = b"\x1b[?1049l"


class Terminal:
    """A pseudo-terminal with a program in it, which sees only the environment that a plain ssh session has."""

    def __init__(self, command: Sequence[str], *, size: tuple[int, int] = (80, 24), **environment: str) -> None:
        self.master, slave = pty.openpty()
        self.slave = slave
        self.resize(*size)
        self.before = termios.tcgetattr(slave)
        clean = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "COLUMNS", "LINES"}}
        self.process = subprocess.Popen(
            command,
            stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, close_fds=True, start_new_session=True,
            env={**clean, "TERM": "xterm-256color", "TZ": "UTC", "PYTHONPATH": str(ROOT), **environment},
        )  # fmt: skip
        self.output = b""

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read(self, seconds: float) -> bytes:
        """Read what comes within some seconds, at most until it falls silent for as long."""
        begin = len(self.output)
        while select.select([self.master], [], [], seconds)[0]:
            try:
                chunk = os.read(self.master, 65_536)
            except OSError:
                break
            if not chunk:
                break
            self.output += chunk
            if seconds <= 0:
                break
        return self.output[begin:]

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE
        while not holds():
            assert time.monotonic() < end, self.output[-2000:]
            self.read_some()

    def read_some(self) -> None:
        if select.select([self.master], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):
                self.output += os.read(self.master, 65_536)

    def until_shown(self, text: str = "model overloading") -> None:
        self.until(lambda: text.encode() in self.output)

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait(self) -> int:
        self.until(lambda: self.process.poll() is not None)
        self.read_some()
        assert self.process.returncode is not None
        return self.process.returncode

    def assert_restored(self) -> None:
        assert LEFT in self.output
        assert b"\x1b[?25h" in self.output
        now = termios.tcgetattr(self.slave)
        assert now[3] & termios.ECHO
        assert now[3] & termios.ICANON
        assert now == self.before

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for descriptor in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)
