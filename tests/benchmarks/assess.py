"""What a second of thinking costs: one vLLM and eight GPUs, from a recording that is lived through poll by poll."""

from __future__ import annotations

import time
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from collectors.replay import Recording
from insight.assess import Assessor
from insight.settings import Settings
from metrics.store import Store
from metrics.view import View

if TYPE_CHECKING:
    from metrics.sample import Sample

RECORDING = Path(__file__).parents[2] / "screenshots" / "healthy.rec"


def live(*, publish: bool) -> list[float]:
    """Take in a recording second by second; returns the CPU seconds that each took."""
    store, assessor = Store(), Assessor(Settings())
    taken: list[float] = []
    seconds: list[list[Sample]] = [list(group) for _, group in groupby(Recording(RECORDING), attrgetter("mono"))]
    for samples in seconds:
        began = time.process_time()
        for sample in samples:
            store.add(sample)
        view = View(store, samples[-1].mono, samples[-1].wall)
        if publish:
            assessor.snapshot(view)
        else:
            assessor.observe(view)
        taken.append(time.process_time() - began)
    return taken[len(taken) // 2 :]


def measure() -> list[tuple[str, str, str]]:
    """Measure; each row says what, how much it was, and how much it should be."""
    what = "a second of one vLLM and 8 GPUs"
    return [
        (f"{what}: kept and judged (each poll of a recording)", f"{mean(live(publish=False)) * 1e3:.2f} ms", ""),
        (f"{what}: kept, judged and made a Snapshot of", f"{mean(live(publish=True)) * 1e3:.2f} ms", "<= 5 ms"),
    ]
