"""Simulated GPUs: what an engine's work does to power, temperature, clocks and energy.

The numbers are those of an H100 SXM in a server with good airflow; the shapes are simple on purpose: power follows the
work, temperature follows power through one time constant, and a governor takes clocks away above the slowdown
temperature, and where the power limit would be passed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from simulator.faults import Clock, CoolingLoss, DriverHang, GpuError, Neighbour, PowerCap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.engine import Engine
    from simulator.faults import Fault
    from simulator.scenario import GpuConfig

TICK = 0.25
"""Seconds in which power and clocks are held constant; a power of two, so that their sum is exact."""
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
DECODE_BANDWIDTH, PREFILL_BANDWIDTH = 0.85, 0.2
"""Share of the bandwidth of its memory that a GPU at full clock uses for decoding, and for prompts, ..."""
DECODE_TENSOR, PREFILL_TENSOR = 0.1, 0.65
"""... and of the time in which its tensor cores work."""
_CLOCK_POWER = 1.7
"""Power goes with this power of the clock: voltage falls with it."""


class Reading(Struct, frozen=True):
    """One GPU at the end of one tick."""

    at: float
    """Seconds of the engine's clock."""
    index: int
    serving: bool
    utilisation: float
    watts: float
    limit_watts: float
    joules: float
    celsius: float
    mhz: float
    reasons: frozenset[str]
    """Why the clock is held down, as NVML calls it."""
    dram: float = 0.0
    """Share of the bandwidth of its memory that is used."""
    tensor: float = 0.0
    """Share of the time in which its tensor cores work."""
    neighbour_gib: float = 0.0
    """Memory of a process of somebody else's; 0: there is none."""
    neighbour_share: float = 0.0
    errors: tuple[GpuError, ...] = ()
    """Faults of its hardware so far."""

    @property
    def lost(self) -> bool:
        """The GPU has fallen off the bus."""
        return any(error.what == "lost" for error in self.errors)


class Gpu:
    """One GPU."""

    def __init__(self, index: int, serving: bool, faults: Sequence[Fault]) -> None:
        self.index = index
        self.serving = serving
        self._losses = [f for f in faults if isinstance(f, CoolingLoss) and f.gpu == index]
        self._clocks = [f for f in faults if isinstance(f, Clock) and f.gpu == index]
        self._neighbours = [f for f in faults if isinstance(f, Neighbour) and f.gpu == index]
        self._errors = tuple(f for f in faults if isinstance(f, GpuError) and f.gpu == index)
        self._caps = [f for f in faults if isinstance(f, PowerCap)]
        # Neighbours in one chassis never read the same: the air is warmer behind every other one.
        self._resistance = CELSIUS_PER_WATT * (1.0 + 0.03 * (index % 4) - 0.04 * (index % 2))
        self.celsius = SURROUNDINGS + self._resistance * IDLE_WATTS
        self.joules = 0.0
        self.watts = IDLE_WATTS
        self.limit_watts = LIMIT_WATTS
        self.reasons: frozenset[str] = frozenset()
        self.mhz = MOST_MHZ
        """Clock that the governor allows; an idle GPU reads less."""
        self._cool_mhz = MOST_MHZ
        """Clock that heat allows."""
        self.share = 1.0
        """Of its time, for the engine."""
        self._utilisation = self._dram = self._tensor = 0.0

    def advance(self, now: float, busy: float, prompts: float, intensity: float, slowest: float) -> None:
        """Live through one tick that ends at `now`, busy for a share of it, with work of an intensity from 0 to 1.

        `prompts` is the share of it that went into prompts; the rest of `busy` is decoding.
        `slowest` is the pace of the slowest GPU of its group, 1 being that of one at full clock and undisturbed.
        """
        resistance = self._resistance
        for loss in self._losses:
            resistance *= loss.factor if loss.at < now else 1.0
        self.limit_watts = min([LIMIT_WATTS, *(cap.watts for cap in self._caps if cap.there(now))])
        self.share = 1.0 - sum(each.share for each in self._neighbours if each.there(now))
        # Ranks of one tensor-parallel group wait for the slowest: waiting spins, and spinning draws a quarter.
        working = slowest / self.pace
        load = busy * (0.25 + working * (0.05 + 0.7 * intensity)) + (1.0 - self.share) * 0.6
        self._utilisation = min(1.0, busy + 1.0 - self.share)
        # A group that waits for its slowest reads and computes no more than that one does.
        self._dram = slowest * (DECODE_BANDWIDTH * (busy - prompts) + PREFILL_BANDWIDTH * prompts)
        self._tensor = slowest * (DECODE_TENSOR * (busy - prompts) + PREFILL_TENSOR * prompts)
        held: dict[float, str] = {clock.mhz: clock.reason for clock in self._clocks if clock.there(now)}
        allowed = min([self._cool_mhz, *held])
        capped = _clock_within(self.limit_watts, load)
        self.mhz = min(allowed, capped)
        reasons: set[str] = {held[self.mhz]} - {""} if self.mhz in held else set()
        reasons |= {"hw_slowdown", "hw_thermal"} if self._cool_mhz < MOST_MHZ else set()
        reasons |= {"sw_power_cap"} if capped < allowed else set()
        self.reasons = frozenset(reasons)
        self.watts = IDLE_WATTS + (LIMIT_WATTS - IDLE_WATTS) * load * (self.mhz / MOST_MHZ) ** _CLOCK_POWER
        self.joules += self.watts * TICK
        steady = SURROUNDINGS + resistance * self.watts
        self.celsius += (steady - self.celsius) * TICK / HEATING_SECONDS
        if self.celsius >= SLOWDOWN_CELSIUS:
            self._cool_mhz = max(LEAST_MHZ, self._cool_mhz - CLOCK_DOWN_MHZ)
        elif self.celsius < RELEASE_CELSIUS:
            self._cool_mhz = min(MOST_MHZ, self._cool_mhz + CLOCK_UP_MHZ)

    @property
    def pace(self) -> float:
        """How fast it works on the engine's steps, 1 being at full clock and undisturbed."""
        return self.mhz / MOST_MHZ * self.share

    def reading(self, now: float, *, up: bool) -> Reading:
        """Read it as it is at `now`."""
        there = [each for each in self._neighbours if each.there(now)]
        return Reading(
            at=now,
            index=self.index,
            serving=self.serving and up,
            utilisation=self._utilisation,
            watts=self.watts,
            limit_watts=self.limit_watts,
            joules=self.joules,
            celsius=self.celsius,
            mhz=self.mhz if self._utilisation > 0 else IDLE_MHZ,
            reasons=self.reasons,
            dram=self._dram,
            tensor=self._tensor,
            neighbour_gib=sum(each.memory_gib for each in there),
            neighbour_share=1.0 - self.share,
            errors=tuple(error for error in self._errors if error.at <= now),
        )


def _clock_within(limit: float, load: float) -> float:
    """Tell the highest clock at which a load stays within a power limit."""
    if load <= 0:
        return MOST_MHZ
    share = max(0.0, limit - IDLE_WATTS) / ((LIMIT_WATTS - IDLE_WATTS) * load)
    return MOST_MHZ * min(1.0, max(IDLE_MHZ / MOST_MHZ, math.pow(share, 1.0 / _CLOCK_POWER)))


class Gpus:
    """The GPUs of the host: one group after another, each slowing the engine that runs on it."""

    def __init__(self, config: GpuConfig, faults: Sequence[Fault] = (), engines: int = 1) -> None:
        size = config.tensor_parallel
        self._gpus = [Gpu(index, index < size * engines, faults) for index in range(config.count)]
        self._groups = [_Group(self._gpus[start : start + size]) for start in range(0, size * engines, size)]
        self._idle = self._gpus[size * engines :]
        self._hangs = [f for f in faults if isinstance(f, DriverHang)]
        self.readings: tuple[Reading, ...] = ()
        self.driver_hangs = False
        """The driver does not answer."""

    @property
    def slowdowns(self) -> list[float]:
        """How many times as long a step of each engine takes, because of the slowest GPU under it."""
        return [1.0 / group.slowest for group in self._groups]

    def advance(self, now: float, engines: Sequence[Engine]) -> None:
        """Live through one tick that ends at `now`, up to which the engines have advanced."""
        for group, engine in zip(self._groups, engines, strict=True):
            group.advance(now, engine)
        for gpu in self._idle:
            gpu.advance(now, 0.0, 0.0, 0.0, gpu.pace)
        up = now >= engines[0].up_at
        self.readings = tuple(gpu.reading(now, up=up) for gpu in self._gpus)
        self.driver_hangs = any(hang.there(now) for hang in self._hangs)


class _Group:
    """The GPUs of one engine, which work in lockstep."""

    def __init__(self, gpus: Sequence[Gpu]) -> None:
        self.gpus = gpus
        self._busy_seconds = self._sequence_seconds = self._prompt_seconds = 0.0

    @property
    def slowest(self) -> float:
        return min(gpu.pace for gpu in self.gpus)

    def advance(self, now: float, engine: Engine) -> None:
        work = engine.work
        begin = engine.busy_since
        busy_seconds = work.busy_seconds + (max(0.0, now - begin) if begin is not None else 0.0)
        busy = min(1.0, max(0.0, busy_seconds - self._busy_seconds) / TICK)
        batch = (work.sequence_seconds - self._sequence_seconds) / TICK / engine.config.max_num_seqs
        prompts = (work.prompt_seconds - self._prompt_seconds) / TICK
        self._busy_seconds, self._sequence_seconds = busy_seconds, work.sequence_seconds
        self._prompt_seconds = work.prompt_seconds
        intensity = 0.5 * min(1.0, batch) + 0.5 * min(1.0, prompts)
        slowest = self.slowest
        for gpu in self.gpus:
            gpu.advance(now, busy, min(busy, prompts), intensity, slowest)
