"""The NVIDIA driver as a whole: opening it, finding its GPUs, noticing those that went, and one poll of all of them.

Synchronous, and any call may hang: `collectors.gpus` runs it where it can be left behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from collectors.clean import clean
from collectors.gpu_processes import ProcessNames
from collectors.nvml import GONE, Code, Nvml, NvmlError, address, why_no_driver
from collectors.nvml_device import Device
from collectors.nvml_facts import read_facts
from collectors.xid import XidEvents
from metrics.sample import Missing, Sample, Source, State

if TYPE_CHECKING:
    from collectors.clock import Clock
    from metrics.sample import Event

SOURCE = "nvml"
RETRY_SECONDS = 30.0
"""Until a driver that is missing, or a GPU that is lost, is asked again."""

_NO_GPU = (
    "the NVIDIA driver answers but reports no GPU: a container needs --gpus all, on the host see lspci and dmesg; "
    "without GPUs, say --no-gpu"
)
_BEFORE_START = Missing(
    "XID errors before this program started", "NVML keeps no history of them", "look for Xid in dmesg"
)


class Lost(Struct, frozen=True):
    """A GPU that was there and is not any more."""

    facts: dict[str, str]
    reason: str


class Driver:
    """A session with the driver."""

    def __init__(self, clock: Clock, nvml: Nvml | None = None) -> None:
        self.nvml = nvml or Nvml()
        self.is_open = False
        self._clock = clock
        self._names = ProcessNames()
        self._facts: dict[str, str] = {}
        self._devices: dict[str, Device] = {}
        self._instances: dict[str, list[Device]] = {}
        """MIG instances by the uuid of their GPU."""
        self._lost: dict[str, Lost] = {}
        self._count: int | None = None
        self._xids = XidEvents(self.nvml)
        self._find_at = self._open_at = float("-inf")
        """Not before then: look for lost GPUs, open the driver."""
        self._failure = ""

    def poll(self) -> tuple[Sample, ...]:
        """Read everything once: one Sample of the driver, then one of each GPU and MIG instance."""
        begin = self._clock.mono()
        try:
            self._open(begin)
            self.nvml.gpu = None
            count = int(self.nvml.call("nvmlDeviceGetCount"))
            if count != self._count or (self._lost and begin >= self._find_at):
                self._find(count, begin)
            events = self._xids.take(self._devices.values(), self._clock)
        except NvmlError as error:
            return (self._failed(error, begin),)
        samples = []
        self._names.begin()
        for uuid, device in list(self._devices.items()):
            try:
                samples += self._read(device, tuple(events.get(uuid, ())))
            except NvmlError as error:
                if error.code not in GONE:
                    return (self._failed(error, begin),)
                self._lose(device.facts, self._why_lost(device.facts, error.code), begin)
        samples += [self._lost_sample(uuid, lost, tuple(events.get(uuid, ()))) for uuid, lost in self._lost.items()]
        return (self._driver_sample(begin, State.OK if count else State.DOWN, "" if count else _NO_GPU), *samples)

    def close(self) -> None:
        """Let the driver go; raises NvmlError."""
        if self.is_open:
            self.is_open = False
            for device in self._devices.values():
                device.close()
            self.nvml.close()

    def _open(self, now: float) -> None:
        if self.is_open:
            return
        if now < self._open_at:
            raise NvmlError(Code.UNINITIALIZED)
        self._failure = ""
        self.nvml.open()
        self.is_open = True
        self._count, self._xids = None, XidEvents(self.nvml)
        self._devices.clear()
        self._instances.clear()
        version = self.nvml.call("nvmlSystemGetDriverVersion")
        self._facts = {"driver_version": clean(version)}
        cuda = int(self.nvml.call("nvmlSystemGetCudaDriverVersion"))
        self._facts["cuda_version"] = f"{cuda // 1000}.{cuda % 1000 // 10}"

    def _failed(self, error: NvmlError, now: float) -> Sample:
        """Close the driver, and say why until it is opened again."""
        if not self._failure:
            self._failure = why_no_driver(error.code)
            self._open_at = now + RETRY_SECONDS
            try:
                self.close()
            except NvmlError:
                self.is_open = False
        return self._driver_sample(now, State.DOWN, self._failure)

    def _find(self, count: int, now: float) -> None:
        """Go through all indices; a GPU keeps its Device as long as it keeps its handle."""
        known = {device.index: device.facts for device in self._devices.values()}
        known |= {int(lost.facts["index"]): lost.facts for lost in self._lost.values()}
        most = max(count, self._count or 0, len(self._lost) + len(self._devices))
        found: dict[str, Device] = {}
        for index in range(count):
            self.nvml.gpu = index
            try:
                handle = self.nvml.call("nvmlDeviceGetHandleByIndex", index)
                facts = read_facts(self.nvml, handle, index)
                uuid = facts["uuid"]
                device = self._devices.get(uuid)
                if device is None or address(device.handle) != address(handle) or device.index != index:
                    device = Device(self.nvml, handle, self._facts | facts, self._names)
                    self._xids.forget()
            except NvmlError as error:
                if error.code not in GONE:
                    raise
                lost = known.get(index, {"index": str(index), "uuid": f"#{index}"})
                self._lose(lost, self._why_lost(lost, error.code), now)
                continue
            found[uuid] = device
            self._lost.pop(uuid, None)
        for uuid, device in list(self._devices.items()):
            if uuid not in found and uuid not in self._lost:
                reason = (
                    f"{count} of {most} GPUs visible; index {device.index} {uuid} gone: see dmesg, and reboot the node "
                    "if it does not come back"
                )
                self._lose(device.facts, reason, now)
            elif found.get(uuid) is not device:
                device.close()
        self._devices = found
        self._count = count
        self._find_at = now + RETRY_SECONDS

    def _lose(self, facts: dict[str, str], reason: str, now: float) -> None:
        device = self._devices.pop(facts["uuid"], None)
        if device is not None:
            device.close()
        self._instances.pop(facts["uuid"], None)
        if facts["uuid"] not in self._lost:
            self._find_at = now + RETRY_SECONDS
        self._lost[facts["uuid"]] = Lost(facts, reason)

    def _why_lost(self, facts: dict[str, str], code: int) -> str:
        who = f"GPU {facts['index']} ({facts['uuid']})"
        if code == Code.RESET_REQUIRED:
            return f"{who} needs a reset: stop what uses it, then nvidia-smi --gpu-reset -i {facts['index']}"
        return f"{who} is lost: it fell off the bus; drain the node and reboot it, see dmesg for Xid 79"

    def _read(self, device: Device, events: tuple[Event, ...]) -> list[Sample]:
        look_for_instances = device.slow_turn
        samples = [device.sample(self._clock, events)]
        if device.facts.get("mig") != "on":
            self._instances.pop(device.facts["uuid"], None)
            return samples
        if look_for_instances:
            self._find_instances(device)
        return samples + [instance.sample(self._clock) for instance in self._instances.get(device.facts["uuid"], ())]

    def _find_instances(self, parent: Device) -> None:
        """List the MIG instances of a GPU; those that are still there keep their Device."""
        self.nvml.gpu = parent.index
        uuid = parent.facts["uuid"]
        before = {device.facts["uuid"]: device for device in self._instances.get(uuid, ())}
        found = []
        for number in range(int(self.nvml.call("nvmlDeviceGetMaxMigDeviceCount", parent.handle))):
            try:
                handle = self.nvml.call("nvmlDeviceGetMigDeviceHandleByIndex", parent.handle, number)
            except NvmlError as error:
                if error.code in GONE:
                    raise
                continue  # an empty place
            facts = self._facts | read_facts(self.nvml, handle, parent.index)
            facts |= {"mig_parent": uuid, "mig_index": str(number)}
            if facts["uuid"].startswith("#"):
                facts["uuid"] = f"{uuid}/{number}"
            found.append(before.get(facts["uuid"]) or Device(self.nvml, handle, facts, self._names))
        self._instances[uuid] = found

    def _driver_sample(self, begin: float, state: State, reason: str) -> Sample:
        end = self._clock.mono()
        return Sample(
            source=SOURCE,
            kind=Source.DRIVER,
            wall=self._clock.wall() - (end - begin) / 2,
            mono=(begin + end) / 2,
            duration=end - begin,
            state=state,
            reason=reason,
            gauges={"gpu_count": float(self._count)} if self.is_open and self._count is not None else {},
            facts=dict(self._facts),
            missing=(_BEFORE_START,) if self._xids.listening else (),
        )

    def _lost_sample(self, uuid: str, lost: Lost, events: tuple[Event, ...]) -> Sample:
        return Sample(
            source=f"gpu:{uuid}",
            kind=Source.GPU,
            wall=self._clock.wall(),
            mono=self._clock.mono(),
            state=State.DOWN,
            reason=lost.reason,
            facts=dict(lost.facts),
            events=events,
        )
