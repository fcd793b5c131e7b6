"""Which numbers NVML gives of one GPU, under which call or field id, in which unit, and within which bounds.

Data only. Units and ids after nvml.h; what lies outside the bounds is not possible and so not known: NVML writes
all-ones for "not available", some boards give 0 W or 0 degrees Celsius for what they do not measure.
"""

from __future__ import annotations

from typing import NamedTuple

from metrics.series import series


class Getter(NamedTuple):
    """One number that one function returns."""

    quantity: str
    function: str
    arguments: tuple[int, ...]
    scale: float
    """To SI base units."""
    least: float
    most: float


class Field(NamedTuple):
    """One number of `nvmlDeviceGetFieldValues`, which reads many in one call."""

    quantity: str
    id: int
    scale: float
    least: float
    most: float


_MOST_COUNT = 2.0**63
_MW, _MHZ = 1e-3, 1e6

FAST = (
    Getter("power_watts", "nvmlDeviceGetPowerUsage", (), _MW, 1, 10_000_000),
    Getter("sm_clock_hertz", "nvmlDeviceGetClockInfo", (1,), _MHZ, 0, 100_000),
    Getter("memory_clock_hertz", "nvmlDeviceGetClockInfo", (2,), _MHZ, 0, 100_000),
)
FAST_FIELDS = (
    Field("memory_temperature_celsius", 82, 1, 1, 200),
    Field("energy_joules", 83, 1e-3, 0, _MOST_COUNT),
    # Byte counters, made into rates. nvmlDeviceGetPcieThroughput would count for 20 ms a direction: 320 ms for 8 GPUs.
    Field("pcie_tx_bytes_per_second", 197, 1, 0, _MOST_COUNT),
    Field("pcie_rx_bytes_per_second", 198, 1, 0, _MOST_COUNT),
)
ACTIVITY = (
    # Metrics of GPM, in percent. They are quotients of two counters: a hair above 100 is rounding.
    Field("sm_utilisation", 2, 0.01, 0, 101),
    Field("tensor_utilisation", 5, 0.01, 0, 101),
    Field("dram_utilisation", 10, 0.01, 0, 101),
)
SLOW = (
    Getter("power_limit_watts", "nvmlDeviceGetEnforcedPowerLimit", (), _MW, 1, 10_000_000),
    Getter("slowdown_temperature_celsius", "nvmlDeviceGetTemperatureThreshold", (1,), 1, 1, 200),
    Getter("sm_clock_max_hertz", "nvmlDeviceGetMaxClockInfo", (1,), _MHZ, 1, 100_000),
    Getter("fan_speed", "nvmlDeviceGetFanSpeed", (), 0.01, 0, 200),
    Getter("pcie_generation", "nvmlDeviceGetCurrPcieLinkGeneration", (), 1, 1, 20),
    Getter("pcie_width", "nvmlDeviceGetCurrPcieLinkWidth", (), 1, 1, 64),
    Getter("pcie_generation_max", "nvmlDeviceGetMaxPcieLinkGeneration", (), 1, 1, 20),
    Getter("pcie_width_max", "nvmlDeviceGetMaxPcieLinkWidth", (), 1, 1, 64),
)
SLOW_FIELDS = (
    Field("ecc_corrected", 3, 1, 0, _MOST_COUNT),
    Field("ecc_uncorrected", 4, 1, 0, _MOST_COUNT),
    Field("pcie_replays", 94, 1, 0, _MOST_COUNT),
    Field("remapped_rows_uncorrectable", 143, 1, 0, 1e6),
    Field("remapped_rows_pending", 144, 1, 0, 1e6),
    Field("remapped_rows_failed", 145, 1, 0, 1e6),
)
COUNTERS = frozenset({"energy_joules", "ecc_corrected", "ecc_uncorrected", "pcie_replays"})
RATES = ("pcie_tx_bytes_per_second", "pcie_rx_bytes_per_second")
"""In the order of `nvmlPcieUtilCounter_t`."""

RECOVERY_ACTION = 230
RECOVERY = {1: "reset the GPU", 2: "reboot the node", 3: "drain peer-to-peer", 4: "drain and reset the GPU"}
"""What the driver asks for (`nvmlDeviceGpuRecoveryAction_t`)."""

THROTTLE = tuple(
    (1 << bit, series("throttle", reason=reason))
    for bit, reason in enumerate(
        (
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
    )
)
"""Why clocks are held down (`nvmlClocksEventReason*`), from bit 0 on."""

CONSEQUENCES = {
    "utilisation": "whether any kernel runs cannot be said; power tells more",
    "dram_utilisation": "whether decoding is bound by memory bandwidth, or prefill by arithmetic, cannot be told",
    "memory_used_bytes": "how full the GPU is cannot be said; with unified memory, the host's memory tells it",
    "power_watts": "power capping and energy cannot be judged",
    "energy_joules": "energy per token rests on sampled power",
    "temperature_celsius": "heat cannot be judged",
    "throttle": "why the clocks are held down cannot be said",
    "ecc_uncorrected": "uncorrectable memory errors cannot be ruled out",
    "remapped_rows_failed": "failing memory rows cannot be ruled out",
    "processes": "who uses this GPU cannot be said",
    "xid": "XID errors of this GPU are not seen: look for Xid in dmesg",
}
"""What cannot be said where a quantity is not known."""
