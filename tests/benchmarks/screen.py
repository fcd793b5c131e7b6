"""What the live screen costs: a simulated vLLM and eight GPUs of the stand-in driver, 120x40, one second, in a pty."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from statistics import median

from tests.fixtures.nvml.build import build

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "chimera_top"]
SECONDS = 30.0
SETTLE_SECONDS = 8.0
STARTS = 5
COLUMNS, LINES = 120, 40
TICKS = os.sysconf("SC_CLK_TCK")


class Screen:
    """The program on a pseudo-terminal."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self.began = time.perf_counter()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.environ.update(environment)
            os.execv(PROGRAM[0], [*PROGRAM, *arguments])  # noqa: S606 the benchmark runs the program itself
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.output = b""

    def read(self, seconds: float, until: bytes | None = None) -> int:
        """Read for so long, or until something is shown; returns how many bytes came."""
        end, came = time.perf_counter() + seconds, 0
        while (left := end - time.perf_counter()) > 0:
            if select.select([self.master], [], [], min(left, 0.05))[0]:
                data = os.read(self.master, 65_536)
                came += len(data)
                self.output += data
                if until is not None and until in self.output:
                    break
        return came

    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def quit(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self.master, b"q")
            self.read(1.0)
        os.waitpid(self.pid, 0)
        os.close(self.master)


def starts(url: str, environment: dict[str, str]) -> tuple[float, float]:
    """Time the first paint and the first real numbers, medians over several starts."""
    paints, numbers = [], []
    for _ in range(STARTS):
        screen = Screen([url], environment)
        screen.read(10, until=b"waiting for")
        paints.append(screen.seconds())
        screen.read(10, until=b"KV cache")
        numbers.append(screen.seconds())
        screen.quit()
    return median(paints), median(numbers)


def versions() -> float:
    """Time `--version` as a whole process, the median of several."""
    taken = []
    for _ in range(9):
        began = time.perf_counter()
        subprocess.run([*PROGRAM, "--version"], check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return median(taken)


def measure() -> list[tuple[str, str, str]]:
    """Measure; each row says what, how much it was, and how much it should be."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
        if build(Path(folder)) is not None:
            Path(folder, "script").write_text("count 8\n")
            environment |= {"LD_LIBRARY_PATH": folder, "NVML_STANDIN_SCRIPT": str(Path(folder, "script"))}
        server = subprocess.Popen(
            [*PROGRAM, "simulate", "--scenario", "healthy", "--port", "0"], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split(" on ")[1].split()[0]
            paint, numbers = starts(url, environment)
            screen = Screen([url], environment)
            screen.read(SETTLE_SECONDS)
            cpu = screen.cpu_seconds()
            came = screen.read(SECONDS)
            cpu = screen.cpu_seconds() - cpu
            resident = screen.resident_mib()
            screen.quit()
        finally:
            server.terminate()
            server.wait()
    what = f"screen, {COLUMNS}x{LINES}, 1 s, one vLLM and 8 GPUs"
    return [
        ("first paint", f"{paint:.2f} s", "<= 0.35 s"),
        ("first real numbers", f"{numbers:.2f} s", "<= 0.9 s"),
        (f"{what}: of one core", f"{cpu / SECONDS * 100:.1f} %", "<= 2 %"),
        (f"{what}: to the terminal", f"{came / SECONDS / 1000:.1f} kB/s", "<= 4 kB/s"),
        (f"{what}: resident", f"{resident:.0f} MiB", "<= 60 MiB"),
        ("chimera-top --version", f"{versions() * 1000:.0f} ms", "<= 60 ms"),
    ]
