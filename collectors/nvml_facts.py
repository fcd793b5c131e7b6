"""What does not change about a GPU or a MIG instance: its identity and its make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collectors.clean import clean
from collectors.nvml import OVER, NvmlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from collectors.nvml import Nvml

_ARCHITECTURES = {
    2: "Kepler",
    3: "Maxwell",
    4: "Pascal",
    5: "Volta",
    6: "Turing",
    7: "Ampere",
    8: "Ada",
    9: "Hopper",
    10: "Blackwell",
    13: "Rubin",
}
"""By `nvmlDeviceArchitecture_t`."""


def read_facts(nvml: Nvml, handle: object, index: int) -> dict[str, str]:
    """Read what does not change: uuid, name, pci_bus_id, architecture, compute_capability, index.

    Raises NvmlError where the GPU is gone; what it does not tell is left out, except for the uuid, which then is its
    place on the bus or its index, so that there always is an identity.
    """
    nvml.gpu = index
    facts = {"index": str(index)}

    def ask(fact: str, function: str, write: Callable[[Any], str]) -> None:
        try:
            facts[fact] = write(nvml.call(function, handle))
        except NvmlError as error:
            if error.code in OVER:
                raise

    ask("uuid", "nvmlDeviceGetUUID", clean)
    ask("name", "nvmlDeviceGetName", clean)
    ask("pci_bus_id", "nvmlDeviceGetPciInfo_v3", lambda pci: clean(pci.busId))
    ask("architecture", "nvmlDeviceGetArchitecture", lambda number: _ARCHITECTURES.get(number, f"number {number}"))
    ask("compute_capability", "nvmlDeviceGetCudaComputeCapability", lambda version: f"{version[0]}.{version[1]}")
    facts.setdefault("uuid", facts.get("pci_bus_id") or f"#{index}")
    return facts
