"""How busy the parts of a GPU were between two polls, by counters of its own: GPM (Hopper and later).

NVML works shares out from two samples of the counters, so the older one is kept from poll to poll. They are a unit of
their own: reading them takes nothing from DCGM, Nsight or another profiler (NVIDIA/DCGM issue 62).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from collectors.nvml import Code, NvmlError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.nvml import Nvml

LEAST_SECONDS = 0.1
"""Between two samples: the driver renews the counters no sooner (NVML API, `nvmlGpmMetricsGet`)."""
_LACKS = frozenset({Code.NOT_SUPPORTED, Code.FUNCTION_NOT_FOUND, Code.ARGUMENT_VERSION_MISMATCH})


class Gpm:
    """The two samples of one GPU; memory of the driver library's, so they have to be given back."""

    def __init__(self, nvml: Nvml, handle: Any) -> None:  # noqa: ANN401 - a pointer of ctypes
        self._nvml = nvml
        self._handle = handle
        self._asked = False
        self._lacks: int | None = None
        self._samples: list[Any] = []
        """The one to be filled next, and the other."""
        self._taken: float | None = None
        """When the other was filled; None while it tells nothing."""

    @property
    def lacks(self) -> int | None:
        """Why there are no such counters, as an error of NVML: NOT_SUPPORTED by the GPU, others by an old driver.

        None where there are; raises NvmlError where the driver cannot say.
        """
        if not self._asked:
            try:
                has = self._nvml.call("nvmlGpmQueryDeviceSupport", self._handle).isSupportedDevice
                self._lacks = None if has else Code.NOT_SUPPORTED
            except NvmlError as error:
                if error.code not in _LACKS:
                    raise
                self._lacks = error.code
            self._asked = True
        return self._lacks

    def read(self, metrics: Sequence[int], now: float) -> list[float | NvmlError] | None:
        """Give these metrics over the time since the poll before, each its value or its error.

        None where there was none yet, or less than 0.1 s ago. Raises NvmlError: the next poll begins anew where no
        sample could be taken, and goes on from the newer one where the metrics could not be worked out of both.
        """
        if self._taken is not None and now - self._taken < LEAST_SECONDS:
            return None
        while len(self._samples) < 2:
            self._samples.append(self._nvml.call("nvmlGpmSampleAlloc"))
        newer, older = self._samples
        begun, self._taken = self._taken is not None, None
        self._nvml.call("nvmlGpmSampleGet", self._handle, newer)
        self._samples, self._taken = [older, newer], now
        return self._nvml.activity(older, newer, metrics) if begun else None

    def close(self) -> None:
        """Give the memory back."""
        self._taken = None
        while self._samples:
            with suppress(NvmlError):  # of a driver that is gone nothing is to be had back
                self._nvml.call("nvmlGpmSampleFree", self._samples.pop())
