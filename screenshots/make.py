"""Make the pictures of the README: the real program on fixed recordings.

    python -m screenshots.make             draw the pictures from the recordings beside this file
    python -m screenshots.make --record    make the recordings anew, from the simulator's scenarios, first

The recordings go the road that every recording goes (Store, Assessor, Snapshot), and what is drawn is the frame that
the screen shows of that Snapshot. The same recording gives the same picture to the byte.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.engines import identify
from collectors.engines.dialect import read
from collectors.exposition import Parser
from collectors.replay import Recording
from insight.assess import Assessor
from insight.settings import Settings
from metrics.recording import Packer
from metrics.sample import Sample, Source
from metrics.store import Store
from metrics.view import View as Moment
from screenshots.picture import svg
from simulator.nvml import GpuCollector
from simulator.page import render
from simulator.scenario import load
from simulator.simulation import Simulation
from tui.frame import frame
from tui.view import View

if TYPE_CHECKING:
    from metrics.snapshot import Snapshot

HERE = Path(__file__).parent
URL = "http://127.0.0.1:8000"
EPOCH = 1_790_000_000.0  # 2026-09-21T13:33:20Z
SEED = 1
RECORDINGS = {"overload": 75, "thermal_throttle": 75, "healthy": 120}
"""Scenarios, and how many seconds of each are recorded."""
PICTURES = {
    "overview-80x24": ("overload", View(), 80, 24),
    "overview-120x40": ("overload", View(), 120, 40),
    "why-80x24": ("thermal_throttle", View(page="why"), 80, 24),
    "thermal-120x40": ("thermal_throttle", View(), 120, 40),
    "healthy-200x50": ("healthy", View(), 200, 50),
}
IN_README = ("overview-120x40", "why-80x24")
"""What a reader may see where SVG is not drawn."""


def record(name: str, seconds: int) -> None:
    """Let a scenario run in simulated time and record what a monitor would see of it, once a second."""
    scenario = load(name)
    simulation = Simulation(scenario, SEED)
    gpus = GpuCollector(simulation.gpus, scenario.gpus.memory_used_gib, EPOCH, 0.0)
    parser = Parser()
    with (HERE / f"{name}.rec").open("wb") as file:
        packer = Packer()
        for second in range(seconds + 1):
            simulation.advance(float(second))
            page = parser.parse(render(simulation, EPOCH).encode())
            dialect = identify(page)
            if dialect is None:
                raise SystemExit(f"the page of {name} is of no server that is known")
            seen = read(dialect, page)
            sample = Sample(
                URL,
                Source.SERVER,
                EPOCH + second,
                float(second),
                0.003,
                counters=seen.counters,
                gauges=seen.gauges,
                histograms=seen.histograms,
                facts={**seen.facts, "engine_version": "0.32.0"},
                missing=seen.missing,
            )
            for each in (sample, *asyncio.run(gpus.collect())):
                file.write(packer.pack(each))


def last_moment(name: str) -> Snapshot:
    """Live a recording through to its end."""
    store, assessor = Store(), Assessor(Settings(window=60.0, mode="demo", tool_version="0.1.0"))
    now: Moment | None = None
    for sample in Recording(HERE / f"{name}.rec"):
        if now is not None and sample.mono > now.mono:
            assessor.observe(now)
        store.add(sample)
        now = Moment(store, sample.mono, sample.wall)
    if now is None:
        raise SystemExit(f"{name}.rec is empty: make it with --record")
    return assessor.snapshot(now)


def main() -> None:
    """Draw every picture."""
    import cairosvg  # noqa: PLC0415 the benchmarks live through the recordings without it

    if "--record" in sys.argv[1:]:
        for name, seconds in RECORDINGS.items():
            record(name, seconds)
    for name, (recording, view, width, height) in PICTURES.items():
        document = svg(frame(last_moment(recording), view, width, height))
        (HERE / f"{name}.svg").write_text(document, "utf-8")
        if name in IN_README:
            cairosvg.svg2png(bytestring=document.encode(), write_to=str(HERE / f"{name}.png"), scale=1.2)
        print(f"{name}: {width}x{height}, from {recording}.rec")


if __name__ == "__main__":
    main()
