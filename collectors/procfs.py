"""What the files under /proc and /sys say: pure functions from their text to numbers.

Formats after proc(5) and Documentation/accounting/psi.rst of the kernel. A number that a file does not have is left
out; a text that is no such file at all raises ValueError.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection

SECTOR = 512
"""Bytes of a sector in /proc/diskstats, whatever the disk's own are."""


class CpuTimes(Struct, frozen=True):
    """Where the CPU time of all cores went since boot, in clock ticks."""

    busy: float
    """User, nice, system and interrupts; guests are inside user and nice."""
    idle: float
    iowait: float
    steal: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.busy + self.idle + self.iowait + self.steal


def cpu_times(stat: str) -> CpuTimes:
    """Read /proc/stat."""
    name, *numbers = stat.split("\n", 1)[0].split()
    if name != "cpu" or len(numbers) < 8:
        message = "no line of CPU times"
        raise ValueError(message)
    user, nice, system, idle, iowait, irq, softirq, steal = map(float, numbers[:8])
    return CpuTimes(user + nice + system + irq + softirq, idle, iowait, steal)


def cpu_shares(before: CpuTimes, after: CpuTimes) -> dict[str, float]:
    """Share of the time between two readings by quantity; empty where no time went by or the counters went back."""
    total = after.total - before.total
    if total <= 0:
        return {}
    # iowait may go back by itself (proc(5)): then its share is none
    return {
        "cpu_usage": min(1.0, max(0.0, (after.busy - before.busy) / total)),
        "cpu_iowait": min(1.0, max(0.0, (after.iowait - before.iowait) / total)),
        "cpu_steal": min(1.0, max(0.0, (after.steal - before.steal) / total)),
    }


def boot_time(stat: str) -> float | None:
    """Read from /proc/stat when the host started, seconds since the epoch."""
    found = re.search(r"^btime (\d+)$", stat, re.MULTILINE)
    return float(found[1]) if found else None


def memory(meminfo: str) -> dict[str, float]:
    """Read /proc/meminfo: bytes by quantity. In use is what cannot be had without swapping."""
    kib = {name: float(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB$", meminfo, re.MULTILINE)}
    found = {}
    if "MemTotal" in kib:
        found["host_memory_total_bytes"] = kib["MemTotal"] * 1024
    if "MemAvailable" in kib:
        found["host_memory_available_bytes"] = kib["MemAvailable"] * 1024
    if "MemTotal" in kib and "MemAvailable" in kib:
        found["host_memory_used_bytes"] = (kib["MemTotal"] - kib["MemAvailable"]) * 1024
    if "SwapTotal" in kib and "SwapFree" in kib:
        found["swap_total_bytes"] = kib["SwapTotal"] * 1024
        found["swap_used_bytes"] = (kib["SwapTotal"] - kib["SwapFree"]) * 1024
    if not found:
        message = "no line of memory"
        raise ValueError(message)
    return found


def paging(vmstat: str, page_size: int) -> dict[str, float]:
    """Read /proc/vmstat: bytes swapped in and OOM kills since boot, by quantity; old kernels count no OOM kills."""
    found = {}
    for line in vmstat.splitlines():
        name, _, value = line.partition(" ")
        if name == "pswpin":
            found["swap_in_bytes"] = float(value) * page_size
        elif name == "oom_kill":
            found["oom_kills"] = float(value)
    return found


def throttling(stat: str) -> dict[str, float]:
    """Read /sys/fs/cgroup/cpu.stat of a group with a CPU limit: its periods and those that it was throttled in."""
    found = dict(re.findall(r"^(nr_periods|nr_throttled) (\d{1,20})$", stat, re.MULTILINE | re.ASCII))
    if len(found) < 2:
        message = "no periods of a CPU limit"
        raise ValueError(message)
    return {"cpu_periods": float(found["nr_periods"]), "cpu_periods_throttled": float(found["nr_throttled"])}


def pressure(text: str) -> dict[str, float]:
    """Read a file of /proc/pressure: share (0 to 1) of the last 10 s that `some` and `full` tasks waited."""
    found = {kind: float(share) / 100 for kind, share in re.findall(r"^(some|full) avg10=([\d.]+)", text, re.MULTILINE)}
    if not found:
        message = "no line of pressure"
        raise ValueError(message)
    return found


def network(dev: str) -> dict[str, float]:
    """Read /proc/net/dev: bytes since boot by quantity, over all interfaces but loopback."""
    received = sent = 0.0
    for line in dev.splitlines()[2:]:
        name, colon, numbers = line.partition(":")
        columns = numbers.split()
        if colon and name.strip() != "lo" and len(columns) >= 9:
            received += float(columns[0])
            sent += float(columns[8])
    return {"network_rx_bytes": received, "network_tx_bytes": sent}


# What is made of other disks (device mapper, RAID, loop, the paths of one NVMe disk) would be counted twice.
_NOT_A_DISK = re.compile(r"(?:loop|ram|zram|dm-|md|sr|fd)\d+|nvme\d+c\d+n\d+")


def disks(diskstats: str, blocks: Collection[str]) -> dict[str, float]:
    """Read /proc/diskstats: bytes since boot by quantity, over the whole disks among `blocks` (names in /sys/block)."""
    read = written = 0.0
    for line in diskstats.splitlines():
        columns = line.split()
        if len(columns) >= 10 and columns[2] in blocks and not _NOT_A_DISK.fullmatch(columns[2]):
            read += float(columns[5])
            written += float(columns[9])
    return {"disk_read_bytes": read * SECTOR, "disk_write_bytes": written * SECTOR}


def cpu_model(cpuinfo: str) -> str | None:
    """Read the name of the processor from /proc/cpuinfo; ARM has none there."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else None


def cpu_limit(cpu_max: str) -> float | None:
    """Read cpu.max of a control group: the CPUs that it may use, None without a limit."""
    quota, period = cpu_max.split()
    return None if quota == "max" else int(quota) / max(1, int(period))


def memory_limit(memory_max: str) -> float | None:
    """Read memory.max of a control group: bytes, None without a limit."""
    text = memory_max.strip()
    return None if text == "max" else float(int(text))
