"""The canonical quantities: one name, one kind, one unit for everything that is measured.

Names are snake_case, values are in SI base units; only formatters turn them into ms, GiB or percent. A dialect under
`collectors/engines/` says which series of a server is which quantity; everything after the collectors speaks only of
the names below.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(StrEnum):
    """How a quantity behaves over time, and so what may be asked of it."""

    COUNTER = "counter"
    """Only grows, except when its process restarts. Asked for: increase and rate over a window."""
    GAUGE = "gauge"
    """Goes up and down. Asked for: newest value, mean and maximum over a window."""
    HISTOGRAM = "histogram"
    """Counts of observations per bucket. Asked for: count, mean and quantiles of what a window observed."""


class Quantity(Struct, frozen=True):
    """One thing that is measured."""

    name: str
    kind: Kind
    unit: str
    """`s`, `1`, `tokens`, `ratio`, `bytes`, `W`, `J`, `Hz`, `celsius`, `bytes/s`, `FLOP`."""
    meaning: str


def _catalogue() -> Mapping[str, Quantity]:
    counter, gauge, histogram = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
    rows = [
        # --- an inference server, as the server itself counts
        ("ttft_seconds", histogram, "s", "arrival of a request to its first token, by the engine's clock"),
        ("itl_seconds", histogram, "s", "time between two tokens of one request"),
        ("tpot_seconds", histogram, "s", "per finished request: (last token - first token) / (tokens - 1)"),
        ("e2e_seconds", histogram, "s", "arrival of a request to its end"),
        ("queue_seconds", histogram, "s", "arrival of a request to its first scheduling"),
        ("prefill_seconds", histogram, "s", "first scheduling of a request to its first token"),
        ("decode_seconds", histogram, "s", "first token of a request to its last"),
        ("prompt_tokens", histogram, "tokens", "prompt length of a request"),
        ("output_tokens", histogram, "tokens", "output length of a request"),
        ("tokens_per_step", histogram, "tokens", "tokens worked on in one step of the engine"),
        ("requests_finished", counter, "1", "requests that ended, by reason"),
        ("requests_failed", counter, "1", "requests that ended in an error of the engine"),
        ("requests_rejected", counter, "1", "requests refused at admission, by reason"),
        ("http_requests", counter, "1", "HTTP requests answered, by status class"),
        ("prompt_tokens_total", counter, "tokens", "prompt tokens of all requests, cached ones included"),
        ("prompt_tokens_cached", counter, "tokens", "prompt tokens taken from a prefix cache"),
        ("prompt_tokens_computed", counter, "tokens", "prompt tokens that the engine really worked on"),
        ("prompt_tokens_prefilled", counter, "tokens", "prompt tokens worked on, counted when their request ends"),
        ("prompt_tokens_recomputed", counter, "tokens", "prompt tokens worked on again after a preemption"),
        ("output_tokens_total", counter, "tokens", "tokens generated"),
        ("preemptions", counter, "1", "running requests pushed back to the queue for want of KV cache"),
        ("kv_transfers", counter, "1", "transfers of KV cache between servers that ended"),
        ("kv_transfers_failed", counter, "1", "transfers of KV cache between servers that failed"),
        ("engine_steps", counter, "1", "steps of the engine"),
        ("prompt_seconds_total", counter, "s", "time spent working on prompts"),
        ("output_seconds_total", counter, "s", "time spent generating tokens, summed over requests"),
        ("spec_drafts", counter, "1", "speculative drafts made"),
        ("spec_draft_tokens", counter, "tokens", "tokens drafted by speculation"),
        ("spec_accepted_tokens", counter, "tokens", "drafted tokens that were accepted"),
        # what the engine reckons from its model and its batches, for each GPU; `insight.estimators.roofline`
        ("estimated_flops", counter, "FLOP", "arithmetic done on each GPU, as the engine reckons it"),
        ("estimated_dram_bytes", counter, "bytes", "device memory read and written on each GPU, as the engine reckons"),
        # told by servers that count neither hits nor drafts, over a time of their own choosing: never to be averaged
        ("prefix_cache_hit_rate", gauge, "ratio", "share of prompt tokens from the prefix cache, as the server has it"),
        ("spec_acceptance_rate", gauge, "ratio", "share of drafted tokens that were accepted, as the server has it"),
        ("spec_acceptance_length", gauge, "tokens", "tokens that a step of speculation gave, as the server has it"),
        ("requests_running", gauge, "1", "requests in the running batch"),
        ("requests_waiting", gauge, "1", "requests in the queue"),
        ("kv_cache_usage", gauge, "ratio", "share of the KV cache in use"),
        ("kv_cache_capacity_tokens", gauge, "tokens", "tokens that the KV cache holds"),
        ("max_running_requests", gauge, "1", "most requests that may run at once"),
        ("max_model_len", gauge, "tokens", "longest sequence that the server accepts"),
        ("sleeping", gauge, "1", "1 while the engine sleeps, else 0"),
        ("start_time_seconds", gauge, "s", "when the server process started, seconds since the epoch"),
        ("clock_offset_seconds", gauge, "s", "how far the server's clock is ahead of the one here, to half a second"),
        # --- a server as a client of ours sees it, from the moment for which a request was planned
        ("probe_ttft_seconds", histogram, "s", "a request of the probe to its first token of any channel"),
        ("probe_ttfo_seconds", histogram, "s", "a request of the probe to its first token that is not reasoning"),
        ("probe_first_byte_seconds", histogram, "s", "a request of the probe to the head of its response"),
        ("probe_itl_seconds", histogram, "s", "between two chunks of a stream whose chunks are one token each"),
        ("probe_tpot_seconds", histogram, "s", "per request of the probe: (last token - first token) / (tokens - 1)"),
        ("probe_e2e_seconds", histogram, "s", "a request of the probe to its last token"),
        ("probe_ttft_censored_seconds", histogram, "s", "how long a TTFT certainly was that never ended"),
        ("probe_e2e_censored_seconds", histogram, "s", "how long an E2E certainly was that never ended"),
        ("probe_requests", counter, "1", "requests of the probe, by outcome"),
        ("probe_skipped", counter, "1", "requests that the probe planned and did not send, by reason"),
        ("probe_left_out", counter, "1", "requests of the probe that are left out of its latencies, by reason"),
        ("probe_tokens", counter, "tokens", "tokens that the probe cost, by kind"),
        ("probe_uncounted", counter, "1", "requests of the probe whose tokens nobody told"),
        ("output_tokens_without_probe", counter, "tokens", "tokens generated for others than the probe"),
        ("prompt_tokens_without_probe", counter, "tokens", "prompt tokens of others than the probe"),
        # --- one GPU
        ("utilisation", gauge, "ratio", "share of time in which any kernel ran (not how busy the GPU was)"),
        ("memory_utilisation", gauge, "ratio", "share of time in which device memory was read or written"),
        ("sm_utilisation", gauge, "ratio", "share of the multiprocessors that were busy, over time (GPM)"),
        ("tensor_utilisation", gauge, "ratio", "share of time in which the tensor cores worked (GPM)"),
        ("dram_utilisation", gauge, "ratio", "share of the bandwidth of the device memory that was used (GPM)"),
        ("memory_used_bytes", gauge, "bytes", "device memory in use"),
        ("memory_total_bytes", gauge, "bytes", "device memory"),
        ("power_watts", gauge, "W", "power drawn by the board"),
        ("power_limit_watts", gauge, "W", "power limit in force"),
        ("energy_joules", counter, "J", "energy drawn by the board since the driver was loaded"),
        ("temperature_celsius", gauge, "celsius", "temperature of the GPU"),
        ("memory_temperature_celsius", gauge, "celsius", "temperature of the device memory"),
        ("slowdown_temperature_celsius", gauge, "celsius", "temperature at which the hardware slows down"),
        ("sm_clock_hertz", gauge, "Hz", "clock of the multiprocessors"),
        ("sm_clock_max_hertz", gauge, "Hz", "highest clock of the multiprocessors"),
        ("memory_clock_hertz", gauge, "Hz", "clock of the device memory"),
        ("fan_speed", gauge, "ratio", "fan speed as a share of its maximum"),
        ("throttle", gauge, "1", "1 while the clocks are held down, by reason"),
        ("pcie_rx_bytes_per_second", gauge, "bytes/s", "read from the PCIe bus"),
        ("pcie_tx_bytes_per_second", gauge, "bytes/s", "written to the PCIe bus"),
        ("pcie_generation", gauge, "1", "PCIe generation of the link now"),
        ("pcie_width", gauge, "1", "PCIe lanes of the link now"),
        ("pcie_generation_max", gauge, "1", "PCIe generation that the link could have"),
        ("pcie_width_max", gauge, "1", "PCIe lanes that the link could have"),
        ("pcie_replays", counter, "1", "PCIe packets sent again"),
        ("nvlink_links_active", gauge, "1", "NVLink links that are up"),
        ("nvlink_errors", counter, "1", "NVLink errors, by kind"),
        ("ecc_uncorrected", counter, "1", "uncorrectable memory errors since the driver was loaded"),
        ("ecc_corrected", counter, "1", "corrected memory errors since the driver was loaded"),
        ("remapped_rows_uncorrectable", gauge, "1", "memory rows remapped for uncorrectable errors"),
        ("remapped_rows_pending", gauge, "1", "1 while a row remapping waits for a reset"),
        ("remapped_rows_failed", gauge, "1", "1 when a row remapping failed"),
        # --- the NVML driver itself
        ("gpu_count", gauge, "1", "GPUs that the driver reports"),
        # --- the host
        ("cpu_usage", gauge, "ratio", "share of CPU time in use over all cores"),
        ("cpu_steal", gauge, "ratio", "share of CPU time taken by the hypervisor"),
        ("cpu_iowait", gauge, "ratio", "share of CPU time waiting for disks"),
        ("cpu_periods", counter, "1", "periods of the CPU limit of this program's own group (cgroup v2) that ended"),
        ("cpu_periods_throttled", counter, "1", "of those, in which the group had used up its limit"),
        ("cpu_count", gauge, "1", "logical CPUs"),
        ("load1", gauge, "1", "load average over one minute"),
        ("host_memory_used_bytes", gauge, "bytes", "memory in use"),
        ("host_memory_total_bytes", gauge, "bytes", "memory"),
        ("host_memory_available_bytes", gauge, "bytes", "memory that can be had without swapping"),
        ("swap_used_bytes", gauge, "bytes", "swap in use"),
        ("swap_total_bytes", gauge, "bytes", "swap"),
        ("swap_in_bytes", counter, "bytes", "read back from swap since boot"),
        ("oom_kills", counter, "1", "processes killed for want of memory since boot"),
        ("pressure_cpu", gauge, "ratio", "share of the last 10 s in which some task waited for a CPU (PSI)"),
        ("pressure_memory", gauge, "ratio", "share of the last 10 s in which some task waited for memory (PSI)"),
        ("pressure_memory_full", gauge, "ratio", "share of the last 10 s in which all tasks waited for memory (PSI)"),
        ("pressure_io", gauge, "ratio", "share of the last 10 s in which some task waited for a disk (PSI)"),
        ("disk_used_bytes", gauge, "bytes", "file system in use, by mount point"),
        ("disk_total_bytes", gauge, "bytes", "size of the file system, by mount point"),
        ("disk_read_bytes", counter, "bytes", "read from disks since boot"),
        ("disk_write_bytes", counter, "bytes", "written to disks since boot"),
        ("network_rx_bytes", counter, "bytes", "received from the network since boot, loopback left out"),
        ("network_tx_bytes", counter, "bytes", "sent to the network since boot, loopback left out"),
        # --- questions with known answers, asked by this program
        ("quality_items", counter, "1", "questions asked, by family and outcome"),
        ("quality_prompt_tokens", counter, "tokens", "prompt tokens that asking them took"),
        ("quality_output_tokens", counter, "tokens", "output tokens that asking them took"),
        # --- the monitor itself
        ("polls_missed", counter, "1", "ticks on which a poll was still under way, so that none was started"),
        ("polls_overrun", counter, "1", "polls that passed their deadline and were dropped"),
        ("loop_lag_seconds", gauge, "s", "how late the polls of a tick began, the latest of them"),
    ]
    return {name: Quantity(name, kind, unit, meaning) for name, kind, unit, meaning in rows}


QUANTITIES: Mapping[str, Quantity] = _catalogue()
"""Every quantity by its name. A collector may not invent one."""
MOST = 1e24
"""Nothing that is measured is larger: the arithmetic of a GPU at full load comes to it in thirty years, a million
tokens a second never. What claims to be is damage, and added up or multiplied it would leave the range of a float."""
SIGNED = frozenset(
    ("temperature_celsius", "memory_temperature_celsius", "slowdown_temperature_celsius", "clock_offset_seconds")
)
"""All others count things, or measure what begins at 0."""
_NEVER_0 = frozenset(("kv_cache_capacity_tokens", "max_running_requests", "max_model_len", "start_time_seconds"))
"""What a server gives as 0 that has not laid out its cache, sets no limit, or does not know it."""


def impossibility(quantity: str, value: float) -> str:
    """Say why a quantity cannot have this value; `""` where it can."""
    if not math.isfinite(value):
        return "is not a finite number"
    if value < 0 and quantity not in SIGNED:
        return "is below 0, which cannot be"
    if value == 0 and quantity in _NEVER_0:
        return "is 0, which cannot be"
    return "is larger than anything that is measured" if abs(value) > MOST else ""
