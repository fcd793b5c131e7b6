"""The machine that this program runs on: CPU, memory, pressure, disks, network. Every file is guarded on its own."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from collectors import procfs
from collectors.clean import clean
from collectors.file_systems import FileSystems
from metrics.sample import Missing, Sample, Source
from metrics.units import rfc3339, value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collectors.clock import Clock

SOURCE = "host"
_FILE_SYSTEMS_EVERY = 30
"""Polls."""
_CONSEQUENCES = {
    "pressure_cpu": "whether tasks wait for a CPU cannot be said",
    "pressure_memory": "whether tasks wait for memory cannot be said",
    "pressure_io": "whether tasks wait for disks cannot be said",
    "oom_kills": "whether the kernel killed processes for want of memory cannot be said",
    "cpu_usage": "CPU load cannot be judged",
    "host_memory_used_bytes": "memory cannot be judged",
}
_NO_PRESSURE = "kernel without PSI: start it with psi=1"


class Host:
    """The collector of this machine. `root` is where /proc and /sys are found."""

    def __init__(self, clock: Clock, root: Path = Path("/"), file_systems: FileSystems | None = None) -> None:
        self.name = SOURCE
        self.kind = Source.HOST
        self.interval: float | None = None
        self._clock = clock
        self._root = root
        self._file_systems = file_systems or FileSystems()
        self._cpu: procfs.CpuTimes | None = None
        self._facts: dict[str, str] | None = None
        self._polls = 0

    async def collect(self) -> Sequence[Sample]:
        """Read /proc once, which takes well below a millisecond."""
        begin = self._clock.mono()
        gauges: dict[str, float] = {}
        counters: dict[str, float] = {}
        missing: list[Missing] = []

        def guard(what: str, read: Callable[[], None], absent: str = "") -> None:
            try:
                read()
            except Exception as error:  # noqa: BLE001 - whatever one file runs into must not cost the others
                # PSI that is compiled in but switched off has its files, and they answer EOPNOTSUPP
                is_absent = isinstance(error, OSError) and error.errno in {errno.ENOENT, errno.EOPNOTSUPP}
                why = absent if absent and is_absent else f"{type(error).__name__}: {clean(str(error))}"
                missing.append(Missing(what, why, _CONSEQUENCES.get(what, "")))

        if self._facts is None:
            self._facts = self._read_facts()
        guard("cpu_usage", lambda: self._processors(gauges, missing))
        guard("load1", lambda: gauges.update(load1=os.getloadavg()[0]))
        guard("host_memory_used_bytes", lambda: gauges.update(procfs.memory(self._read("proc/meminfo"))))
        guard("swap_in_bytes", lambda: self._paging(counters, missing))
        for resource in ("cpu", "io", "memory"):
            guard(f"pressure_{resource}", partial(self._pressure, resource, gauges), _NO_PRESSURE)
        if "cpu_limit" in self._facts:
            guard("cpu_periods", lambda: counters.update(procfs.throttling(self._read("sys/fs/cgroup/cpu.stat"))))
        guard("network_rx_bytes", lambda: counters.update(procfs.network(self._read("proc/net/dev"))))
        guard("disk_read_bytes", lambda: counters.update(self._disks()))
        if self._polls % _FILE_SYSTEMS_EVERY == 0:
            self._file_systems.ask()
        sizes, unanswered = self._file_systems.answer()
        self._polls += 1
        end = self._clock.mono()
        sample = Sample(
            source=SOURCE,
            kind=Source.HOST,
            wall=self._clock.wall() - (end - begin) / 2,
            mono=(begin + end) / 2,
            duration=end - begin,
            counters=counters,
            gauges=gauges | sizes,
            facts=dict(self._facts),
            missing=(*missing, *unanswered),
        )
        return (sample,)

    async def close(self) -> None:
        """Nothing is held open."""

    def _read(self, path: str) -> str:
        return (self._root / path).read_text("utf-8", "replace")

    def _processors(self, gauges: dict[str, float], missing: list[Missing]) -> None:
        gauges["cpu_count"] = float(os.cpu_count() or 1)
        before, self._cpu = self._cpu, procfs.cpu_times(self._read("proc/stat"))
        if before is None:
            missing.append(Missing("cpu_usage", "needs two polls"))
        else:
            gauges.update(procfs.cpu_shares(before, self._cpu))

    def _paging(self, counters: dict[str, float], missing: list[Missing]) -> None:
        counters.update(procfs.paging(self._read("proc/vmstat"), os.sysconf("SC_PAGE_SIZE")))
        if "oom_kills" not in counters:
            why = "this kernel does not count them: Linux 4.13 and later do"
            missing.append(Missing("oom_kills", why, _CONSEQUENCES["oom_kills"]))

    def _pressure(self, resource: str, gauges: dict[str, float]) -> None:
        shares = procfs.pressure(self._read(f"proc/pressure/{resource}"))
        gauges[f"pressure_{resource}"] = shares["some"]
        if resource == "memory":
            gauges["pressure_memory_full"] = shares["full"]

    def _disks(self) -> dict[str, float]:
        return procfs.disks(self._read("proc/diskstats"), set(os.listdir(self._root / "sys/block")))  # noqa: PTH208 - names, not paths, ten times as fast

    def _read_facts(self) -> dict[str, str]:
        """Read what does not change while the host is up; what cannot be read is left out."""
        system = os.uname()
        facts = {"name": clean(system.nodename), "kernel": clean(system.release), "architecture": clean(system.machine)}

        def fact(name: str, path: str, write: Callable[[str], str | None]) -> None:
            try:
                written = write(self._read(path))
            except (OSError, ValueError):
                return
            if written:
                facts[name] = clean(written)

        fact("cpu_model", "proc/cpuinfo", procfs.cpu_model)
        fact("boot_time", "proc/stat", lambda text: _written(procfs.boot_time(text), rfc3339))
        # the limits of this program's own group: inside a container, those of the container
        fact("cpu_limit", "sys/fs/cgroup/cpu.max", lambda text: _written(procfs.cpu_limit(text), lambda n: f"{n:g}"))
        fact(
            "memory_limit",
            "sys/fs/cgroup/memory.max",
            lambda text: _written(procfs.memory_limit(text), lambda number: value(number, "bytes")),
        )
        container = self._container()
        if container:
            facts["container"] = container
        return facts

    def _container(self) -> str | None:
        """Name the kind of container that this program runs in, as far as it leaves a trace."""
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            return "kubernetes"
        traces = {".dockerenv": "docker", "run/.containerenv": "podman"}
        return next((kind for path, kind in traces.items() if (self._root / path).exists()), None)


def _written(number: float | None, write: Callable[[float], str]) -> str | None:
    return None if number is None else write(number)
