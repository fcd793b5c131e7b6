"""What a frame costs: the whole screen from a Snapshot of one vLLM and eight GPUs, and the largest plot."""

from __future__ import annotations

import math
import time
from statistics import median

from screenshots.make import last_moment
from tui.frame import frame
from tui.plot import Grid, Series, plot
from tui.view import View

TURNS = 15


def seconds(width: int, height: int) -> float:
    snapshot = last_moment("healthy")
    taken = []
    for _ in range(TURNS):
        began = time.process_time()
        frame(snapshot, View(), width, height)
        taken.append(time.process_time() - began)
    return median(taken)


def plotted() -> float:
    lines = [Series([math.sin((each + shift) / 20) + 1 for each in range(600)], "series1") for shift in range(4)]
    taken = []
    for _ in range(TURNS):
        began = time.process_time()
        plot(lines, Grid(1.8e9, 1.0), 160, 30, "braille")
        taken.append(time.process_time() - began)
    return median(taken)


def measure() -> list[tuple[str, str, str]]:
    """Measure; each row says what, how much it was, and how much it should be."""
    rows = [
        (f"a frame of {w}x{h}, 8 GPUs", f"{seconds(w, h) * 1e3:.1f} ms", "")
        for w, h in ((80, 24), (120, 40), (200, 50))
    ]
    return [*rows, ("a plot of 160x30, 4 lines of 600 points", f"{plotted() * 1e3:.1f} ms", "<= 5 ms")]
