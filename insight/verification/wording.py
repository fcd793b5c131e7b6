"""A change in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics import units

if TYPE_CHECKING:
    from insight.verification.figures import Figure


def said(found: Figure) -> str:
    """Write a change: `ITL +41 % (+36 to +47)`, `errors +2.1 points (+1 to +3)`, `ITL p95 25-50 -> 50-100 ms`."""
    if found.before_bounds is not None and found.after_bounds is not None:
        one, other = units.bounds(found.before_bounds, found.unit), units.bounds(found.after_bounds, found.unit)
        return f"{found.title} {one} -> {other}"
    if found.change is None:
        return f"{found.title} {from_to(found)}"
    return f"{found.title} {change_text(found)}"


def change_text(found: Figure) -> str:
    """Write the change of a figure with its interval: `+41 % (+36 to +47)`, `-0.02/s (-0.05 to 0)`; `—` for none."""
    if found.change is None:
        return units.UNKNOWN
    factor, unit = _scale(found)
    mid, lo, hi = (None if each is None else each * factor for each in (found.change, found.lo, found.hi))
    text = f"{_signed(mid)}{unit}"
    return text if lo is None or hi is None else f"{text} ({_signed(lo)} to {_signed(hi)})"


def _scale(found: Figure) -> tuple[float, str]:
    if found.is_relative:
        return 100.0, " %"
    if found.unit == "ratio":
        return 100.0, " points"
    return 1.0, found.unit.removeprefix("1") if found.unit.startswith("1") else f" {found.unit}"


def _signed(number: float | None) -> str:
    if number is None:
        return units.UNKNOWN
    text = units.digits(number, 2)
    return text if text.startswith("-") or text == "0" else f"+{text}"


def from_to(found: Figure) -> str:
    """Write a number before and after: `12/s -> 9.4/s`."""
    return f"{units.value(found.before, found.unit)} -> {units.value(found.after, found.unit)}"
