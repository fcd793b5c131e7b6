"""The simulated machine under the simulated server: shaped as the collector of a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.sample import Sample, Source
from metrics.series import series
from simulator.faults import HostPressure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.simulation import Simulation

CPUS = 128
MEMORY_BYTES = 2048.0 * 1024**3
DISK_BYTES = 3500.0 * 1024**3
FREE_MEMORY, FREE_DISK = 0.7, 0.6
"""Shares that are free while nothing is wrong."""
PRESSURE = 0.01
"""Share of the time in which some task waits, of each resource, while nothing is wrong."""
CPU_USAGE = 0.12


class HostCollector:
    """Tells what /proc would."""

    name = "host"
    kind = Source.HOST
    interval: float | None = None

    def __init__(self, simulation: Simulation, wall: float, mono: float) -> None:
        self._simulation = simulation
        self._faults = [f for f in simulation.scenario.faults if isinstance(f, HostPressure)]
        self._wall = wall
        """Of second 0 of the simulation, as is `_mono`."""
        self._mono = mono
        self._last = 0.0
        self._swapped_in = 0.0

    async def collect(self) -> Sequence[Sample]:
        """Make the Sample of this moment."""
        now = self._simulation.now
        cpu = self._short("cpu", now, PRESSURE)
        memory = self._short("memory", now, FREE_MEMORY)
        disk = self._short("disk", now, FREE_DISK)
        tight = max(0.0, 0.1 - memory) / 0.1
        self._swapped_in += tight * 50e6 * max(0.0, now - self._last)
        self._last = now
        root = {"mount": "/"}
        gauges = {
            "cpu_count": float(CPUS),
            "cpu_usage": min(1.0, CPU_USAGE + cpu),
            "cpu_steal": 0.0,
            "cpu_iowait": 0.0,
            "load1": CPUS * min(2.0, CPU_USAGE + cpu),
            "host_memory_total_bytes": MEMORY_BYTES,
            "host_memory_available_bytes": MEMORY_BYTES * memory,
            "host_memory_used_bytes": MEMORY_BYTES * (1.0 - memory),
            "swap_total_bytes": 8.0 * 1024**3,
            "swap_used_bytes": 8.0 * 1024**3 * tight,
            "pressure_cpu": cpu,
            "pressure_memory": 0.5 * tight,
            "pressure_memory_full": 0.3 * tight,
            "pressure_io": 0.0,
            series("disk_total_bytes", **root): DISK_BYTES,
            series("disk_used_bytes", **root): DISK_BYTES * (1.0 - disk),
        }
        return [
            Sample(
                source=self.name,
                kind=self.kind,
                wall=self._wall + now,
                mono=self._mono + now,
                counters={"swap_in_bytes": self._swapped_in, "oom_kills": 0.0},
                gauges=gauges,
                facts={"name": "simulated", "simulated": "true"},
            )
        ]

    async def close(self) -> None:
        """Nothing is held open."""

    def _short(self, resource: str, now: float, usual: float) -> float:
        return next((f.share for f in self._faults if f.resource == resource and f.there(now)), usual)
