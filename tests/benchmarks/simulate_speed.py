"""How fast the simulator runs: `python -m tests.benchmarks.simulate_speed`."""

from __future__ import annotations

from time import perf_counter

from simulator.page import render
from simulator.scenario import load
from simulator.simulation import Simulation

SECONDS = 300.0
PAGES = 50


def measure() -> list[tuple[str, str, str]]:
    """Tell what was measured, the measurement, and what is to be reached."""
    rows = []
    for name in ("healthy", "overload", "cache_pressure"):
        simulation = Simulation(load(name), seed=1)
        begin = perf_counter()
        simulation.advance(SECONDS)
        rows.append((f"simulate {name}", f"{SECONDS / (perf_counter() - begin):.0f} x real time", ">= 50 x"))
    simulation = Simulation(load("healthy"), seed=1)
    page = render(simulation, 0.0)
    begin = perf_counter()
    for second in range(1, PAGES + 1):
        simulation.advance(float(second))
        page = render(simulation, 0.0)
    milliseconds = (perf_counter() - begin) / PAGES * 1000
    rows.append(("1 s of simulation and one page", f"{milliseconds:.2f} ms for {len(page)} bytes", "<= 5 ms"))
    begin = perf_counter()
    Simulation(load("healthy"), seed=1)
    rows.append(("start with its warm-up", f"{perf_counter() - begin:.2f} s", "<= 0.5 s"))
    return rows


if __name__ == "__main__":
    for row in measure():
        print("  ".join(row))
