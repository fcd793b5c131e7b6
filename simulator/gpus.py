"""Simulated GPUs: what an engine's work does to power, temperature, clocks and energy, and what NVML would tell of it.

The numbers are those of an H100 SXM in a server with good airflow; the shapes are simple on purpose: power follows the
work, temperature follows power through one time constant, and a governor takes clocks away above the slowdown
temperature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from metrics.sample import Process, Sample, Source
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulator.engine import Engine
    from simulator.scenario import CoolingLoss, GpuConfig

NAME = "NVIDIA H100 80GB HBM3 (simulated)"
TICK = 0.25
"""Seconds in which power and clocks are held constant; a power of two, so that their sum is exact."""
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
IDLE_WATTS, LIMIT_WATTS = 72.0, 700.0
IDLE_MHZ, LEAST_MHZ, MOST_MHZ, MEMORY_MHZ = 345.0, 1155.0, 1980.0, 2619.0
SURROUNDINGS = 32.0
CELSIUS_PER_WATT = 0.062
"""Steady state: 57 °C at 400 W."""
HEATING_SECONDS = 15.0
SLOWDOWN_CELSIUS = 87.0
RELEASE_CELSIUS = 84.0
CLOCK_DOWN_MHZ, CLOCK_UP_MHZ = 165.0, 15.0
"""The governor takes clocks away fast and gives them back slowly, each tick."""


class Reading(Struct, frozen=True):
    """One GPU at the end of one tick."""

    at: float
    """Seconds of the engine's clock."""
    index: int
    serving: bool
    utilisation: float
    watts: float
    joules: float
    celsius: float
    mhz: float
    throttled: bool


class Gpu:
    """One GPU."""

    def __init__(self, index: int, serving: bool, losses: Sequence[CoolingLoss]) -> None:
        self.index = index
        self.serving = serving
        self._losses = [loss for loss in losses if loss.gpu == index]
        # Neighbours in one chassis never read the same: the air is warmer behind every other one.
        self._resistance = CELSIUS_PER_WATT * (1.0 + 0.03 * (index % 4) - 0.04 * (index % 2))
        self.celsius = SURROUNDINGS + self._resistance * IDLE_WATTS
        self.joules = 0.0
        self.watts = IDLE_WATTS
        self.mhz = MOST_MHZ
        """Clock that the governor allows; an idle GPU reads less."""

    @property
    def throttled(self) -> bool:
        """The governor holds the clock down."""
        return self.mhz < MOST_MHZ

    def advance(self, now: float, busy: float, intensity: float, slowest_mhz: float) -> None:
        """Live through one tick that ends at `now`, busy for a share of it, with work of an intensity from 0 to 1."""
        resistance = self._resistance
        for loss in self._losses:
            resistance *= loss.factor if loss.at < now else 1.0
        # Ranks of one tensor-parallel group wait for the slowest: waiting spins, and spinning draws a quarter.
        working = slowest_mhz / self.mhz
        load = busy * (0.25 + working * (0.05 + 0.7 * intensity))
        self.watts = IDLE_WATTS + (LIMIT_WATTS - IDLE_WATTS) * load * (self.mhz / MOST_MHZ) ** 1.7
        self.joules += self.watts * TICK
        steady = SURROUNDINGS + resistance * self.watts
        self.celsius += (steady - self.celsius) * TICK / HEATING_SECONDS
        if self.celsius >= SLOWDOWN_CELSIUS:
            self.mhz = max(LEAST_MHZ, self.mhz - CLOCK_DOWN_MHZ)
        elif self.celsius < RELEASE_CELSIUS:
            self.mhz = min(MOST_MHZ, self.mhz + CLOCK_UP_MHZ)


class Gpus:
    """The GPUs of the host, and how they slow the engine that runs on them."""

    def __init__(self, config: GpuConfig, losses: Sequence[CoolingLoss]) -> None:
        self.config = config
        self._gpus = [Gpu(index, index < config.tensor_parallel, losses) for index in range(config.count)]
        self._busy_seconds = self._sequence_seconds = self._prompt_seconds = 0.0
        self.readings: tuple[Reading, ...] = ()

    @property
    def slowdown(self) -> float:
        """How many times as long a step takes, because of the slowest GPU that serves."""
        return MOST_MHZ / self._slowest

    @property
    def _slowest(self) -> float:
        return min(gpu.mhz for gpu in self._gpus if gpu.serving)

    def advance(self, now: float, engine: Engine) -> None:
        """Live through one tick that ends at `now`, up to which the engine has advanced."""
        work = engine.work
        begin = engine.busy_since
        busy_seconds = work.busy_seconds + (max(0.0, now - begin) if begin is not None else 0.0)
        busy = min(1.0, max(0.0, busy_seconds - self._busy_seconds) / TICK)
        batch = (work.sequence_seconds - self._sequence_seconds) / TICK / engine.config.max_num_seqs
        prompts = (work.prompt_seconds - self._prompt_seconds) / TICK
        self._busy_seconds, self._sequence_seconds = busy_seconds, work.sequence_seconds
        self._prompt_seconds = work.prompt_seconds
        intensity = 0.5 * min(1.0, batch) + 0.5 * min(1.0, prompts)
        slowest = self._slowest
        for gpu in self._gpus:
            if gpu.serving:
                gpu.advance(now, busy, intensity, slowest)
            else:
                gpu.advance(now, 0.0, 0.0, gpu.mhz)
        up = now >= engine.up_at
        self.readings = tuple(
            Reading(
                at=now,
                index=gpu.index,
                serving=gpu.serving and up,
                utilisation=busy if gpu.serving else 0.0,
                watts=gpu.watts,
                joules=gpu.joules,
                celsius=gpu.celsius,
                mhz=gpu.mhz if gpu.serving and busy > 0 else IDLE_MHZ,
                throttled=gpu.throttled,
            )
            for gpu in self._gpus
        )


class GpuCollector:
    """Tells what NVML would: shaped as a collector, over the newest readings of the simulation."""

    name = "nvml"
    kind = Source.DRIVER
    interval: float | None = None

    def __init__(
        self, readings: Callable[[], tuple[Reading, ...]], memory_used_gib: float, wall: float, mono: float
    ) -> None:
        self._readings = readings
        self._memory_used_bytes = memory_used_gib * GIB
        self._wall = wall
        """Of second 0 of the engine's clock, as is `_mono`."""
        self._mono = mono

    async def collect(self) -> Sequence[Sample]:
        """Make one Sample of each GPU, and one of the driver."""
        readings = self._readings()
        now = readings[0].at
        driver = Sample(
            source=self.name,
            kind=Source.DRIVER,
            wall=self._wall + now,
            mono=self._mono + now,
            gauges={"gpu_count": float(len(readings))},
            facts={"driver_version": "simulated", "simulated": "true"},
        )
        return [driver, *map(self._sample, readings)]

    async def close(self) -> None:
        """Nothing is held open."""

    def _sample(self, reading: Reading) -> Sample:
        idle = reading.utilisation == 0
        reasons = {"gpu_idle": idle, "hw_slowdown": reading.throttled, "hw_thermal": reading.throttled}
        uuid = f"SIM-{reading.index:08d}"
        used = self._memory_used_bytes if reading.serving else IDLE_BYTES
        gauges = {
            "utilisation": reading.utilisation,
            "memory_used_bytes": used,
            "memory_total_bytes": MEMORY_BYTES,
            "power_watts": reading.watts,
            "power_limit_watts": LIMIT_WATTS,
            "temperature_celsius": float(round(reading.celsius)),
            "memory_temperature_celsius": float(round(reading.celsius + 6 + reading.watts / 100)),
            "slowdown_temperature_celsius": SLOWDOWN_CELSIUS,
            "sm_clock_hertz": reading.mhz * 1e6,
            "sm_clock_max_hertz": MOST_MHZ * 1e6,
            "memory_clock_hertz": MEMORY_MHZ * 1e6,
            "pcie_generation": 5.0,
            "pcie_generation_max": 5.0,
            "pcie_width": 16.0,
            "pcie_width_max": 16.0,
            "nvlink_links_active": 18.0,
            "remapped_rows_uncorrectable": 0.0,
            "remapped_rows_pending": 0.0,
            "remapped_rows_failed": 0.0,
        }
        gauges |= {series("throttle", reason=each): float(reasons.get(each, False)) for each in THROTTLE_REASONS}
        process = Process(100_000 + reading.index, f"VLLM::Worker_TP{reading.index}", "simulated", used - IDLE_BYTES)
        return Sample(
            source=f"gpu:{uuid}",
            kind=Source.GPU,
            wall=self._wall + reading.at,
            mono=self._mono + reading.at,
            counters={
                "energy_joules": reading.joules,
                "ecc_uncorrected": 0.0,
                "ecc_corrected": 0.0,
                "pcie_replays": 0.0,
            },
            gauges=gauges,
            facts={"name": NAME, "uuid": uuid, "index": str(reading.index), "simulated": "true"},
            processes=(process,) if reading.serving else (),
        )
