"""What NVML would tell of the simulated GPUs: shaped as a collector, over the newest readings of the simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.sample import Event, Process, Sample, Source, State
from metrics.series import series
from simulator.gpus import MEMORY_MHZ, MOST_MHZ, SLOWDOWN_CELSIUS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.gpus import Gpus, Reading

NAME = "NVIDIA H100 80GB HBM3 (simulated)"
THROTTLE_REASONS = (
    "gpu_idle",
    "applications_clocks",
    "sw_power_cap",
    "hw_slowdown",
    "sync_boost",
    "sw_thermal",
    "hw_thermal",
    "hw_power_brake",
    "display_clocks",
)
GIB = 1024.0**3
MEMORY_BYTES = 79.65 * GIB
IDLE_BYTES = 0.5 * GIB
PCIE_REPLAYS_PER_SECOND = 2.0
NVLINKS = 18.0
FELL_OFF_THE_BUS = 79
"""XID of a GPU that is lost."""
FIRST_PID = 100_000
NEIGHBOUR_PID = 4242


class GpuCollector:
    """Tells what NVML would."""

    name = "nvml"
    kind = Source.DRIVER
    interval: float | None = None

    def __init__(self, gpus: Gpus, memory_used_gib: float, wall: float, mono: float) -> None:
        self._gpus = gpus
        self._memory_used_bytes = memory_used_gib * GIB
        self._wall = wall
        """Of second 0 of the engine's clock, as is `_mono`."""
        self._mono = mono
        self._told: set[tuple[int, float]] = set()
        """XID errors that were told, by GPU and moment: the driver tells each once."""

    async def collect(self) -> Sequence[Sample]:
        """Make one Sample of each GPU, and one of the driver; none of a GPU while the driver hangs."""
        readings = self._gpus.readings
        now = readings[0].at
        hangs = self._gpus.driver_hangs
        driver = Sample(
            source=self.name,
            kind=Source.DRIVER,
            wall=self._wall + now,
            mono=self._mono + now,
            state=State.DOWN if hangs else State.OK,
            reason="NVML does not answer" if hangs else "",
            gauges={} if hangs else {"gpu_count": float(sum(not reading.lost for reading in readings))},
            facts={"driver_version": "simulated", "simulated": "true"},
        )
        return [driver] if hangs else [driver, *map(self._sample, readings)]

    async def close(self) -> None:
        """Nothing is held open."""

    def _sample(self, reading: Reading) -> Sample:
        uuid = f"SIM-{reading.index:08d}"
        wall, mono = self._wall + reading.at, self._mono + reading.at
        facts = {"name": NAME, "uuid": uuid, "index": str(reading.index), "simulated": "true"}
        events = tuple(self._xids(reading))
        if reading.lost:
            return Sample(
                f"gpu:{uuid}",
                Source.GPU,
                wall,
                mono,
                state=State.DOWN,
                reason="GPU is lost",
                facts=facts,
                events=events,
            )
        used = self._memory_used_bytes if reading.serving else IDLE_BYTES
        return Sample(
            source=f"gpu:{uuid}",
            kind=Source.GPU,
            wall=wall,
            mono=mono,
            counters=_counters(reading),
            gauges=_gauges(reading, used + reading.neighbour_gib * GIB),
            facts=facts,
            processes=tuple(_processes(reading, used - IDLE_BYTES)),
            events=events,
        )

    def _xids(self, reading: Reading) -> Sequence[Event]:
        new = [
            error
            for error in reading.errors
            if error.what in {"xid", "lost"} and (reading.index, error.at) not in self._told
        ]
        self._told |= {(reading.index, error.at) for error in new}
        codes = [(error, 79 if error.what == "lost" else error.code) for error in new]
        return [
            Event(self._wall + error.at, "xid", f"XID {code} on GPU {reading.index}", code) for error, code in codes
        ]


def _counters(reading: Reading) -> dict[str, float]:
    replays = sum(reading.at - error.at for error in reading.errors if error.what == "pcie_replays")
    return {
        "energy_joules": reading.joules,
        "ecc_uncorrected": float(_count(reading, "ecc")),
        "ecc_corrected": 0.0,
        "pcie_replays": replays * PCIE_REPLAYS_PER_SECOND,
    }


def _gauges(reading: Reading, used: float) -> dict[str, float]:
    remapped = float(_count(reading, "row_remap"))
    gauges = {
        "utilisation": reading.utilisation,
        "sm_utilisation": reading.utilisation,
        "tensor_utilisation": reading.tensor,
        "dram_utilisation": reading.dram,
        "memory_used_bytes": used,
        "memory_total_bytes": MEMORY_BYTES,
        "power_watts": reading.watts,
        "power_limit_watts": reading.limit_watts,
        "temperature_celsius": float(round(reading.celsius)),
        "memory_temperature_celsius": float(round(reading.celsius + 6 + reading.watts / 100)),
        "slowdown_temperature_celsius": SLOWDOWN_CELSIUS,
        "sm_clock_hertz": reading.mhz * 1e6,
        "sm_clock_max_hertz": MOST_MHZ * 1e6,
        "memory_clock_hertz": MEMORY_MHZ * 1e6,
        "pcie_generation": 5.0,
        "pcie_generation_max": 5.0,
        "pcie_width": 4.0 if _count(reading, "pcie_width") else 16.0,
        "pcie_width_max": 16.0,
        "nvlink_links_active": NVLINKS - _count(reading, "nvlink"),
        "remapped_rows_uncorrectable": remapped,
        "remapped_rows_pending": min(1.0, remapped),
        "remapped_rows_failed": 0.0,
    }
    reasons = reading.reasons | ({"gpu_idle"} if reading.utilisation == 0 else set())
    return gauges | {series("throttle", reason=each): float(each in reasons) for each in THROTTLE_REASONS}


def _processes(reading: Reading, used: float) -> Sequence[Process]:
    found: list[Process] = []
    if reading.serving:
        pid = FIRST_PID + reading.index
        found.append(Process(pid, f"VLLM::Worker_TP{reading.index}", "simulated", used))
    if reading.neighbour_gib:
        found.append(Process(NEIGHBOUR_PID, "python train.py", "somebody", reading.neighbour_gib * GIB))
    return found


def _count(reading: Reading, what: str) -> int:
    return sum(error.what == what for error in reading.errors)
