"""Effects: what is expected of a change, or estimated of a server, with its interval and what it rests on."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Grade(StrEnum):
    """How well an expected effect is founded."""

    A = "A"
    """Measured: before and after, or side by side."""
    B = "B"
    """A fitted model, within the range that was observed."""
    C = "C"
    """A bound, or an extrapolation."""
    D = "D"
    """In words only."""


class Effect(Struct, frozen=True, eq=False):
    """What a recommendation is expected to bring."""

    quantity: str
    now: float | None
    lo: float | None
    mid: float | None
    hi: float | None
    unit: str
    basis: str
    """`measured`, `model`, `bound`; `unknown` where it cannot be told, and then there is no number."""
    grade: Grade
    assumptions: tuple[str, ...] = ()
    n: float | None = None
    """Windows, requests or samples that it rests on."""
    window_seconds: float | None = None
    """Time over which those were seen."""
    needs: str = ""
    """What would have to be measured, where the basis is `unknown`."""
    valid_if: tuple[str, ...] = ()
    """What has to stay as it is for this to hold, and what would disprove it."""
    name: str = ""
    """What it is called where its quantity alone does not say it: `capacity`, `rate that fills the KV cache`."""
