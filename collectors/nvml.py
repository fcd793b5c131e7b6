"""The calls into the NVIDIA driver: made through pynvml, each named while it is under way, each error a number.

A call into a sick driver may never return. Whoever waits from outside reads `Nvml.doing` to say where it hangs.
"""

from __future__ import annotations

import ctypes
import importlib
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

LIBRARY = "libnvidia-ml.so.1"
"""What pynvml loads."""


class Code(IntEnum):
    """The errors of NVML that mean something of their own here (nvml.h, `nvmlReturn_t`)."""

    UNINITIALIZED = 1
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    DRIVER_NOT_LOADED = 9
    TIMEOUT = 10
    LIBRARY_NOT_FOUND = 12
    FUNCTION_NOT_FOUND = 13
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    OPERATING_SYSTEM = 17
    LIB_RM_VERSION_MISMATCH = 18
    NO_DATA = 21
    ARGUMENT_VERSION_MISMATCH = 25
    DEPRECATED = 26
    GPU_NOT_FOUND = 28
    UNKNOWN = 999


GONE = frozenset({Code.GPU_IS_LOST, Code.RESET_REQUIRED, Code.GPU_NOT_FOUND})
"""Errors that speak of the GPU and not of one value."""
OVER = GONE | {Code.UNINITIALIZED, Code.DRIVER_NOT_LOADED, Code.LIB_RM_VERSION_MISMATCH}
"""Errors after which nothing more can be read of the GPU."""


class NvmlError(Exception):
    """NVML answered with an error."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


_WHY_NOT = {
    Code.NOT_SUPPORTED: "this GPU or its driver does not give it",
    Code.NO_PERMISSION: "not permitted: run as root, or in a container with the host's PID namespace (--pid=host)",
    Code.FUNCTION_NOT_FOUND: "the driver is too old to know it: upgrade the driver",
    Code.ARGUMENT_VERSION_MISMATCH: "the driver is too old to know it: upgrade the driver",
    Code.NO_DATA: "the driver has no data for it",
    Code.DEPRECATED: "this driver no longer gives it",
    Code.UNKNOWN: "the driver answered with an unknown error (999): see dmesg",
}

_WHY_NO_DRIVER = {
    Code.LIBRARY_NOT_FOUND: f"{LIBRARY} was not found: no NVIDIA driver on this host; in a container, start it with "
    "--gpus all and NVIDIA_DRIVER_CAPABILITIES=utility; without GPUs, say --no-gpu",
    Code.DRIVER_NOT_LOADED: "the NVIDIA kernel module is not loaded: load it (modprobe nvidia) and see dmesg; without "
    "GPUs, say --no-gpu",
    Code.LIB_RM_VERSION_MISMATCH: f"{LIBRARY} and the loaded kernel module are of different versions, as after an "
    "upgrade: reboot, or stop what uses the GPUs and reload the module (rmmod nvidia_uvm nvidia; modprobe nvidia)",
    Code.NO_PERMISSION: "the NVIDIA devices may not be opened: give this user access to /dev/nvidia*; a container "
    "needs --gpus all",
    Code.OPERATING_SYSTEM: "the operating system blocked the NVIDIA devices: a container needs --gpus all; see dmesg",
    Code.UNKNOWN: "NVML could not be initialised (unknown error 999), as when a container lost its devices after a "
    "reload of systemd: restart the container; on the host, see dmesg",
    Code.GPU_IS_LOST: "a GPU fell off the bus and NVML cannot be initialised: see dmesg for Xid 79, then reboot",
}


def why_not(code: int) -> str:
    """Say why one value could not be read, and what would help."""
    return _WHY_NOT.get(Code(code), f"NVML error {code}") if code in set(Code) else f"NVML error {code}"


def why_no_driver(code: int) -> str:
    """Say why there is no driver to speak with, and what to do."""
    known = _WHY_NO_DRIVER.get(Code(code)) if code in set(Code) else None
    return known or f"the NVIDIA driver answers with NVML error {code}: see dmesg"


_VALUE_TYPES = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Members of the union in a field value, by `nvmlValueType_t`."""


class Nvml:
    """The driver library. Not safe for use by two threads; only `doing` may be read from another one."""

    def __init__(self) -> None:
        self.doing = "the import of pynvml"
        self.gpu: int | None = None
        """Index of the GPU that the calls are about; None where they are about the driver as a whole."""
        self._pynvml: ModuleType | None = None

    @property
    def where(self) -> str:
        """The call under way, or the last one: `nvmlDeviceGetPowerUsage of GPU 3`."""
        gpu = self.gpu
        return self.doing if gpu is None else f"{self.doing} of GPU {gpu}"

    def open(self) -> None:
        """Load the library and initialise it; raises NvmlError."""
        self.gpu = None
        if self._pynvml is None:
            # Only here: a host without GPUs, and --no-gpu, never load it, and its import takes 30 ms.
            self._pynvml = importlib.import_module("pynvml")
        self.call("nvmlInit")

    def close(self) -> None:
        """Shut the library down; what was never open may be closed too."""
        self.gpu = None
        if self._pynvml is not None and self._pynvml.nvmlLib is not None:
            self.call("nvmlShutdown")

    def call(self, function: str, *arguments: Any) -> Any:  # noqa: ANN401 - pynvml has no types
        """Call a function of pynvml by name; raises NvmlError."""
        pynvml = self._pynvml
        if pynvml is None:
            raise NvmlError(Code.UNINITIALIZED)
        self.doing = function
        try:
            return getattr(pynvml, function)(*arguments)
        except pynvml.NVMLError as error:
            raise NvmlError(error.value) from None
        except UnicodeDecodeError:
            raise NvmlError(Code.UNKNOWN) from None

    def has(self, function: str) -> bool:
        """Tell whether the library that is loaded knows this function."""
        return self._pynvml is not None and hasattr(self._pynvml.nvmlLib, function)

    def fields(self, handle: object, ids: Sequence[tuple[int, int]]) -> list[float | NvmlError]:
        """Read many fields (id, scope) of a GPU in one call: for each, its value or its error. Raises NvmlError."""
        return [
            NvmlError(each.nvmlReturn) if each.nvmlReturn else getattr(each.value, _VALUE_TYPES[each.valueType])
            for each in self.call("nvmlDeviceGetFieldValues", handle, ids)
        ]

    def activity(self, older: object, newer: object, metrics: Sequence[int]) -> list[float | NvmlError]:
        """Work out GPM metrics from two samples, in one call: for each, its value or its error. Raises NvmlError."""
        if self._pynvml is None:
            raise NvmlError(Code.UNINITIALIZED)
        version = self._pynvml.NVML_GPM_METRICS_GET_VERSION
        asked = self._pynvml.c_nvmlGpmMetricsGet_t(version, len(metrics), older, newer)
        for place, metric in enumerate(metrics):
            asked.metrics[place].metricId = metric
        self.call("nvmlGpmMetricsGet", asked)
        return [NvmlError(each.nvmlReturn) if each.nvmlReturn else each.value for each in asked.metrics[: len(metrics)]]


def address(handle: Any) -> int | None:  # noqa: ANN401 - a pointer of ctypes
    """Tell two handles apart."""
    return ctypes.cast(handle, ctypes.c_void_p).value
