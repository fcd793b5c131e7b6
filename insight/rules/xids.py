"""What each XID error means for who runs the server: how bad it is, and what to do. Data, version of 2026-11.

After DCGM's health checks and NVIDIA's catalogue (docs.nvidia.com/deploy/xid-errors). Where the two differ (63, 43, 92,
121: a warning to DCGM, to be ignored after the catalogue) it is a warning without anything to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from metrics.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping


class Xid(Struct, frozen=True):
    """One kind of XID error."""

    severity: Severity
    action: str
    """'' where there is nothing to do at once."""


_RESET = "drain the host, then reset the GPU"
_LINK = "drain the host, collect nvidia-bug-report.sh, and go through NVIDIA's NVLink workflow"
_APPLICATION = "restart the application that was hit"
_CRITICAL, _WARNING, _INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO

XIDS: Mapping[int, Xid] = {
    79: Xid(_CRITICAL, "drain the host and reboot it: the GPU fell off the bus"),
    48: Xid(_CRITICAL, "drain the GPU: see which of XID 63, 64, 94, 95 follows, and do what that one asks for"),
    **dict.fromkeys((46, 62, 64, 95, 109, 119, 120, 140, 143), Xid(_CRITICAL, _RESET)),
    **dict.fromkeys((74, 145, 149), Xid(_CRITICAL, _LINK)),
    **dict.fromkeys((13, 31, 94), Xid(_WARNING, _APPLICATION)),
    63: Xid(_WARNING, "reset the GPU in the next maintenance window, so that the row is remapped"),
    **dict.fromkeys((43, 92, 121), Xid(_WARNING, "")),
    **dict.fromkeys((32, 38, 39, 42, 67, 73, 137), Xid(_WARNING, "see whether it comes again, and what ran then")),
    45: Xid(_INFO, ""),  # follows another XID, or the end of its process
    154: Xid(_INFO, "do what the driver asks for"),
}
NAMES: Mapping[int, str] = {
    13: "SM exception",
    31: "MMU fault",
    43: "the GPU stopped processing for one application",
    45: "work preempted or removed",
    46: "the GPU stopped processing",
    48: "double-bit ECC error",
    62: "internal microcontroller halted",
    63: "row remapping recorded",
    64: "row remapping failed",
    74: "NVLink error",
    79: "the GPU fell off the bus",
    92: "high rate of single-bit ECC errors",
    94: "contained ECC error",
    95: "uncontained ECC error",
    109: "context switch timed out",
    119: "the GSP did not answer in time",
    120: "GSP error",
    121: "error on the link to the CPU (C2C)",
    140: "unrecovered ECC error",
    143: "the GPU could not be initialised",
    145: "NVLink error",
    149: "NVLink error",
    154: "recovery action changed",
}
"""What each is, for sources that tell the number alone."""
UNKNOWN = Xid(_WARNING, "look it up in NVIDIA's XID catalogue")
"""An XID that is not in the table."""


def known(code: int | None) -> Xid:
    """Look an XID up."""
    return XIDS.get(code, UNKNOWN) if code is not None else UNKNOWN


def said(code: int | None, text: str) -> str:
    """Say which XID it was and what it is: as its source tells it, else by the table; the GPU is named elsewhere."""
    if code is None or ":" in text:
        return text
    return f"XID {code}: {NAMES[code]}" if code in NAMES else f"XID {code}"
