"""XID errors of the GPUs: taken from the driver as they come, with what the common ones mean.

NVML tells an XID only to who is registered when it happens; it keeps no history.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from collectors.nvml import Code, NvmlError, address, why_not
from metrics.sample import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.clock import Clock
    from collectors.nvml import Nvml
    from collectors.nvml_device import Device

MEANINGS = {
    13: "graphics engine exception, most often an illegal access by the application",
    31: "memory page fault by the application",
    32: "invalid or corrupted push buffer stream",
    38: "driver firmware error",
    43: "the GPU stopped processing for one application",
    45: "work preempted or removed, after another error or the end of its process",
    46: "the GPU stopped processing",
    48: "uncorrectable (double-bit) ECC error",
    61: "internal microcontroller breakpoint or warning",
    62: "internal microcontroller halted",
    63: "row remapping or page retirement recorded",
    64: "row remapping or page retirement failed",
    68: "video processor exception",
    69: "graphics engine class error",
    74: "NVLink error",
    79: "the GPU fell off the bus",
    92: "high rate of single-bit ECC errors",
    94: "contained ECC error: one application was hit",
    95: "uncontained ECC error: every application on the GPU was hit",
    109: "context switch timed out",
    119: "the GPU system processor (GSP) did not answer in time",
    120: "error of the GPU system processor (GSP)",
    121: "error on the link to the CPU (C2C)",
    137: "NVLink privilege error by a remote GPU",
    140: "unrecovered ECC error",
    143: "the GPU could not be initialised",
    144: "NVLink SAW error",
    145: "NVLink RLW error",
    149: "NVLink NETIR error",
    154: "the recovery action of the GPU changed",
}
"""After NVIDIA's XID catalogue (docs.nvidia.com/deploy/xid-errors); what to do about one is for the rules."""

_XID_EVENTS = 0x8  # nvmlEventTypeXidCriticalError
_MOST_EVENTS = 64  # in one poll: a storm of XID errors must not keep it from the GPUs
_RETRY_SECONDS = 30.0


def meaning(code: int) -> str:
    """Say what XID `code` means: `XID 79: the GPU fell off the bus`."""
    known = MEANINGS.get(code)
    return f"XID {code}: {known}" if known else f"XID {code}"


class XidEvents:
    """The registration for XID errors."""

    def __init__(self, nvml: Nvml) -> None:
        self._nvml = nvml
        self._set: Any = None
        self._sources: dict[int | None, str] = {}
        """Uuid of the GPU by the address of its handle, which is how an event names it."""
        self._retry_at = float("-inf")

    @property
    def listening(self) -> bool:
        """Whether events would be seen."""
        return self._set is not None

    def forget(self) -> None:
        """Give the registration up, as when the GPUs changed; the next `take` makes a new one."""
        if self._set is not None:
            self._retry_at = float("-inf")
            events, self._set = self._set, None
            self._nvml.gpu = None
            with suppress(NvmlError):  # a set that cannot be freed is no trouble of the GPUs
                self._nvml.call("nvmlEventSetFree", events)

    def take(self, devices: Iterable[Device], clock: Clock) -> dict[str, list[Event]]:
        """Take what came since the last time, by uuid. Never waits, and never fails: who has no events says so."""
        taken: dict[str, list[Event]] = {}
        try:
            if self._set is None and clock.mono() >= self._retry_at:
                self._register(devices, clock.mono())
            self._nvml.gpu = None
            for _ in range(_MOST_EVENTS if self._set is not None else 0):
                data = self._nvml.call("nvmlEventSetWait", self._set, 0)
                uuid = self._sources.get(address(data.device))
                if uuid is not None and data.eventType & _XID_EVENTS:
                    code = int(data.eventData)
                    taken.setdefault(uuid, []).append(Event(clock.wall(), "xid", meaning(code), code))
        except NvmlError as error:
            if error.code != Code.TIMEOUT:  # a lost GPU spoils the set for the others: the next one is made without it
                self.forget()
        return taken

    def _register(self, devices: Iterable[Device], now: float) -> None:
        self._retry_at = now + _RETRY_SECONDS
        self._nvml.gpu = None
        self._set = self._nvml.call("nvmlEventSetCreate")
        for device in devices:
            self._nvml.gpu = device.index
            try:
                supported = self._nvml.call("nvmlDeviceGetSupportedEventTypes", device.handle)
                if supported & _XID_EVENTS:
                    self._nvml.call("nvmlDeviceRegisterEvents", device.handle, _XID_EVENTS, self._set)
                    self._sources[address(device.handle)] = device.facts["uuid"]
                else:
                    device.cannot("xid", why_not(Code.NOT_SUPPORTED))
            except NvmlError as error:
                device.cannot("xid", why_not(error.code))
