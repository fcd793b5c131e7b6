"""One GPU, or one MIG instance, read through NVML: every value guarded on its own.

What changes from second to second is read in every poll. What changes slowly (limits, links, error counts) is read in
every tenth and stands meanwhile; the tenths of the GPUs fall on different polls, so that no poll is long.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

from collectors.gpm import Gpm
from collectors.gpu_processes import read_processes
from collectors.nvlink import read_links
from collectors.nvml import OVER, Code, NvmlError, why_not
from collectors.nvml_fields import (
    ACTIVITY,
    CONSEQUENCES,
    COUNTERS,
    FAST,
    FAST_FIELDS,
    RATES,
    RECOVERY,
    RECOVERY_ACTION,
    SLOW,
    SLOW_FIELDS,
    THROTTLE,
    Field,
    Getter,
)
from metrics.sample import Missing, Process, Sample, Source
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collectors.clock import Clock
    from collectors.gpu_processes import ProcessNames
    from collectors.nvml import Nvml
    from metrics.sample import Event

_SLOW_EVERY = 10
"""Polls."""
_PROCESSES_EVERY = 3
"""Polls: two calls that take longer the more processes there are."""
_NO_GPM = "NVML has no GPM counters for it: they begin with Hopper"
_MEMORY_V2 = 0x02000028
"""`nvmlMemory_v2`: that version of the struct keeps what the driver reserved apart from what is used."""


class Device:
    """A handle of NVML, and what was last read of it."""

    def __init__(self, nvml: Nvml, handle: Any, facts: dict[str, str], names: ProcessNames) -> None:  # noqa: ANN401 - a pointer of ctypes
        self.handle = handle
        self.facts = facts
        self.index = int(facts["index"])
        self.source = f"gpu:{facts['uuid']}"
        self._nvml = nvml
        self._names = names
        self._is_instance = "mig_parent" in facts
        self._gauges: dict[str, float] = {}
        self._counters: dict[str, float] = {}
        self._missing: dict[str, Missing] = {}
        self._processes: tuple[Process, ...] = ()
        self._polls = 0
        self._bytes: dict[str, tuple[float, float]] = {}
        self._throttle = THROTTLE
        self._gpm = Gpm(nvml, handle)
        if not self._is_instance:
            self._guard("throttle", self._supported_reasons)

    @property
    def slow_turn(self) -> bool:
        """Whether what changes slowly is due in the next poll."""
        return self._polls == 0 or self._polls % _SLOW_EVERY == self.index % _SLOW_EVERY

    def sample(self, clock: Clock, events: tuple[Event, ...] = ()) -> Sample:
        """Read the GPU; raises NvmlError where it is lost or the driver is gone, and only then."""
        self._nvml.gpu = self.index
        begin = clock.mono()
        self._guard("memory_used_bytes", self._memory)
        if self._is_instance:
            self.cannot("utilisation", "NVML gives none for a MIG instance")
        else:
            self._guard("utilisation", self._utilisation)
            self._guard("temperature_celsius", self._temperature)
            self._guard("throttle", self._reasons)
            self._get(FAST)
            self._read_fields(FAST_FIELDS, begin)
            self._activity(begin)
            if self.slow_turn:
                self._slowly()
        if self.facts.get("mig") == "on":
            self._processes = ()  # those of the instances, which list them
        elif self._polls % _PROCESSES_EVERY == 0:
            self._guard("processes", self._list_processes)
        self._polls += 1
        end = clock.mono()
        return Sample(
            source=self.source,
            kind=Source.GPU,
            wall=clock.wall() - (end - begin) / 2,
            mono=(begin + end) / 2,
            duration=end - begin,
            counters=dict(self._counters),
            gauges=dict(self._gauges),
            facts=dict(self.facts),
            processes=self._processes,
            events=events,
            missing=tuple(self._missing.values()),
        )

    def close(self) -> None:
        """Give back what is held of the driver library."""
        self._gpm.close()

    def cannot(self, what: str, why: str) -> None:
        """Note that `what` is not known, and forget what was."""
        self._gauges.pop(what, None)
        self._counters.pop(what, None)
        noted = self._missing.get(what)
        if noted is None or noted.why != why:
            self._missing[what] = Missing(what, why, CONSEQUENCES.get(what, ""))

    def _failed(self, what: str, error: NvmlError) -> None:
        if error.code in OVER:
            raise error
        self.cannot(what, why_not(error.code))

    def _guard(self, what: str, read: Callable[[], None]) -> None:
        try:
            read()
        except NvmlError as error:
            self._failed(what, error)

    def _put(self, what: str, value: float, scale: float, least: float, most: float) -> None:
        """Take a value, if it can be."""
        if least <= value <= most:
            (self._counters if what in COUNTERS else self._gauges)[what] = float(value) * scale
            self._missing.pop(what, None)
        else:
            self.cannot(what, f"the driver gave {value:.0f}, which cannot be")

    def _get(self, getters: Sequence[Getter]) -> None:
        for what, function, arguments, scale, least, most in getters:
            try:
                value = self._nvml.call(function, self.handle, *arguments)
            except NvmlError as error:
                self._failed(what, error)
            else:
                self._put(what, value, scale, least, most)

    def _read_fields(self, fields: Sequence[Field], now: float) -> None:
        try:
            values = self._nvml.fields(self.handle, [(field.id, 0) for field in fields])
        except NvmlError as error:
            values = list(repeat(error, len(fields)))
        for (what, _, scale, least, most), value in zip(fields, values, strict=True):
            if isinstance(value, NvmlError):
                self._failed(what, value)
            elif what in RATES:
                self._rate(what, value, now)
            else:
                self._put(what, value, scale, least, most)

    def _rate(self, what: str, total: float, now: float) -> None:
        """Turn a byte counter, which may wrap, into bytes per second since the poll before."""
        last, when = self._bytes.get(what, (total, now))
        self._bytes[what] = (total, now)
        if now > when and total >= last:
            self._put(what, (total - last) / (now - when), 1, 0, 1e12)
        else:
            self.cannot(what, "needs two polls")

    def _activity(self, now: float) -> None:
        """Read what GPM tells since the poll before; that it tells nothing is noted once, not for each value."""
        values: Sequence[float | NvmlError] | None = None
        why = "needs two polls"
        try:
            lacks = self._gpm.lacks
            if lacks is None:
                values = self._gpm.read([field.id for field in ACTIVITY], now)
            else:
                why = _NO_GPM if lacks == Code.NOT_SUPPORTED else why_not(lacks)
        except NvmlError as error:
            if error.code in OVER:
                raise
            why = why_not(error.code)
        if values is None:
            for field in ACTIVITY:
                self._gauges.pop(field.quantity, None)
                self._missing.pop(field.quantity, None)
            self.cannot("dram_utilisation", why)
            return
        for (what, _, scale, least, most), value in zip(ACTIVITY, values, strict=True):
            if isinstance(value, NvmlError):
                self._failed(what, value)
            else:
                self._put(what, value, scale, least, most)

    def _memory(self) -> None:
        if self._nvml.has("nvmlDeviceGetMemoryInfo_v2"):
            memory = self._nvml.call("nvmlDeviceGetMemoryInfo", self.handle, _MEMORY_V2)
        else:
            memory = self._nvml.call("nvmlDeviceGetMemoryInfo", self.handle)
        self._put("memory_total_bytes", memory.total, 1, 1, 2**50)
        self._put("memory_used_bytes", memory.used, 1, 0, memory.total)

    def _utilisation(self) -> None:
        rates = self._nvml.call("nvmlDeviceGetUtilizationRates", self.handle)
        self._put("utilisation", rates.gpu, 0.01, 0, 100)
        self._put("memory_utilisation", rates.memory, 0.01, 0, 100)

    def _temperature(self) -> None:
        newest = self._nvml.has("nvmlDeviceGetTemperatureV")
        function = "nvmlDeviceGetTemperatureV" if newest else "nvmlDeviceGetTemperature"
        self._put("temperature_celsius", self._nvml.call(function, self.handle, 0), 1, 1, 200)

    def _events_or_throttle(self, which: str) -> int:
        """Read a mask of reasons; the functions were renamed with driver 535."""
        newest = f"nvmlDeviceGet{which}ClocksEventReasons"
        older = f"nvmlDeviceGet{which}ClocksThrottleReasons"
        return int(self._nvml.call(newest if self._nvml.has(newest) else older, self.handle))

    def _supported_reasons(self) -> None:
        supported = self._events_or_throttle("Supported")
        self._throttle = tuple((bit, name) for bit, name in THROTTLE if supported & bit)

    def _reasons(self) -> None:
        for _, name in self._throttle:
            self._gauges.pop(name, None)
        mask = self._events_or_throttle("Current")
        for bit, name in self._throttle:
            self._gauges[name] = 1.0 if mask & bit else 0.0
        self._missing.pop("throttle", None)

    def _list_processes(self) -> None:
        self._processes = ()
        self._processes = read_processes(self._nvml, self.handle, self._names)
        self._missing.pop("processes", None)
        if any(process.name is None for process in self._processes):
            why = "their pids are not visible here: run as root, or in a container with --pid=host"
            self.cannot("names of processes", why)
        else:
            self._missing.pop("names of processes", None)

    def _slowly(self) -> None:
        self._get(SLOW)
        self._read_fields(SLOW_FIELDS, 0.0)
        self._links()
        if self._polls and any(rate in self._missing for rate in RATES):
            self._pcie_throughput()
        self._guard("mig", self._mig)
        self._missing.pop("mig", None)  # most GPUs have none, and nothing rests on it
        self._guard("recovery_action", self._recovery)

    def _mig(self) -> None:
        self.facts.pop("mig", None)
        self.facts["mig"] = "on" if self._nvml.call("nvmlDeviceGetMigMode", self.handle)[0] else "off"

    def _recovery(self) -> None:
        """Read what the driver wants to be done with the GPU; no fact where it wants nothing or cannot say."""
        self.facts.pop("recovery_action", None)
        (action,) = self._nvml.fields(self.handle, [(RECOVERY_ACTION, 0)])
        if not isinstance(action, NvmlError) and action in RECOVERY:
            self.facts["recovery_action"] = RECOVERY[int(action)]

    def _pcie_throughput(self) -> None:
        """Ask the older call: 20 ms a direction, so in slow turns alone."""
        for counter, what in enumerate(RATES):
            try:
                kilobytes = self._nvml.call("nvmlDeviceGetPcieThroughput", self.handle, counter)
            except NvmlError as error:
                self._failed(what, error)
            else:
                self._put(what, kilobytes, 1000, 0, 1e9)

    def _links(self) -> None:
        try:
            links = read_links(self._nvml, self.handle)
        except NvmlError as error:
            self._failed("nvlink_links_active", error)
            return
        if links is None:
            return
        self._put("nvlink_links_active", links.active, 1, 0, links.count)
        for kind, errors in links.errors.items():
            name = series("nvlink_errors", kind=kind)
            if errors is None:
                self.cannot(name, why_not(Code.NOT_SUPPORTED))
            else:
                self._counters[name] = errors
