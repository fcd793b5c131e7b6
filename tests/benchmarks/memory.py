"""What a target costs after 48 hours: the rings of one busy vLLM and of one GPU, filled in simulated time."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

from collectors.engines import identify
from collectors.engines.dialect import read
from collectors.exposition import Parser
from metrics.sample import Sample, Source
from metrics.store import Store

PAGE = Path(__file__).parents[1] / "fixtures" / "pages" / "vllm-overload.prom.gz"
HOURS = 49
STEP = 10
"""Seconds between polls here: the coarse rings fill in simulated time all the same, the fine one by its rows."""


def measure() -> list[tuple[str, str, str]]:
    """Measure; each row says what, how much it was, and how much it should be."""
    page = Parser().parse(gzip.decompress(PAGE.read_bytes()))
    dialect = identify(page)
    assert dialect is not None
    reading = read(dialect, page)
    tracemalloc.start()
    store = Store()
    marks: dict[int, tuple[int, int]] = {}
    for second in range(0, 2 * HOURS * 3600, STEP):
        moved = {name: value + second for name, value in reading.counters.items()}
        store.add(
            Sample(
                "http://127.0.0.1:8000",
                Source.SERVER,
                1.8e9 + second,
                float(second),
                counters=moved,
                gauges=reading.gauges,
                histograms=reading.histograms,
            )
        )
        if second in (HOURS * 3600, 2 * HOURS * 3600 - STEP):
            marks[second] = (sum(store.nbytes().values()), tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    (rings, traced), (rings_later, traced_later) = marks.values()
    return [
        ("a vLLM target after 48 h: its rings", f"{rings / 2**20:.1f} MiB", ""),
        ("a vLLM target after 48 h: all of the Store", f"{traced / 2**20:.1f} MiB", ""),
        ("the same after 97 h: growth of the rings", f"{(rings_later - rings) / 1024:.0f} KiB", "0"),
        ("the same after 97 h: growth of all of the Store", f"{(traced_later - traced) / 1024:.0f} KiB", "flat"),
    ]
