"""The NVLink links of one GPU: how many there are, how many are up, and their errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from collectors.nvml import GONE, NvmlError

if TYPE_CHECKING:
    from collectors.nvml import Nvml

_LINK_COUNT = 91
_ERRORS = (("crc", 38, 163), ("replay", 52, 161), ("recovery", 59, 162))
"""By kind: the field with the sum over all links, and the one of a single link, which is what newer GPUs have."""
_MOST_LINKS = 36


class Links(Struct, frozen=True):
    """What was read."""

    count: int
    active: int
    errors: dict[str, float | None]
    """Since the driver was loaded, by kind (`crc`, `replay`, `recovery`); None where the GPU does not count them."""


def read_links(nvml: Nvml, handle: object) -> Links | None:
    """Read all links of a GPU; None where it has none. Raises NvmlError."""
    count, *totals = nvml.fields(handle, [(_LINK_COUNT, 0), *((total, 0) for _, total, _ in _ERRORS)])
    if isinstance(count, NvmlError):
        if count.code in GONE:
            raise count
        return None
    if not 0 < count <= _MOST_LINKS:
        return None
    links = range(int(count))
    active = sum(nvml.call("nvmlDeviceGetNvLinkState", handle, link) for link in links)
    errors: dict[str, float | None] = {}
    for (kind, _, single), total in zip(_ERRORS, totals, strict=True):
        values = [total]
        if isinstance(total, NvmlError):
            values = nvml.fields(handle, [(single, link) for link in links])
        known = [value for value in values if not isinstance(value, NvmlError)]
        errors[kind] = float(sum(known)) if known else None
    return Links(int(count), active, errors)
