"""A change in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics import units

if TYPE_CHECKING:
    from insight.verification.figures import Figure

TIMES = 3.0
"""What grew to more than so many times what it was is told as times and not in percent."""


def said(found: Figure) -> str:
    """Write a change with its interval: `ITL +1 % (-2 to +4)`, `errors +2.1 points (+1 to +3)`."""
    if found.change is None or found.before_bounds is not None:
        return f"{found.title} {from_to(found)}"
    return f"{found.title} {change_text(found)}"


def told(found: Figure) -> str:
    """Write a change that is certain by its numbers: `ITL 16.8 ms -> 12.5 ms (-25 %)`, `TTFT 176 ms -> 43.2 s`."""
    times = 1.0 if found.change is None else 1 + found.change
    if found.change is None or not found.is_relative or not 1 / TIMES < times < TIMES:
        return f"{found.title} {from_to(found)}"
    return f"{found.title} {from_to(found)} ({_signed(100 * found.change)} %)"


def change_text(found: Figure) -> str:
    """Write the change of a figure with its interval: `+41 % (+36 to +47)`, `x 245 (68 to 890)`; `—` for none."""
    if found.change is None:
        return units.UNKNOWN
    if not found.is_relative and not found.before and not found.after:
        return f"0{_scale(found)[1]}"
    if found.is_relative and found.change + 1 > TIMES:
        mid, lo, hi = (None if each is None else units.digits(each + 1, 2) for each in _span(found))
        return f"x {mid}" if lo is None else f"x {mid} ({lo} to {hi})"
    factor, unit = _scale(found)
    mid, lo, hi = (None if each is None else _signed(each * factor) for each in _span(found))
    return f"{mid}{unit}" if lo is None else f"{mid}{unit} ({lo} to {hi})"


def _span(found: Figure) -> tuple[float | None, float | None, float | None]:
    return found.change, found.lo, found.hi


def _scale(found: Figure) -> tuple[float, str]:
    if found.is_relative:
        return 100.0, " %"
    if found.unit == "ratio":
        return 100.0, " points"
    return 1.0, found.unit.removeprefix("1") if found.unit.startswith("1") else f" {found.unit}"


def _signed(number: float) -> str:
    text = units.digits(number, 2)
    return text if text.startswith("-") or text == "0" else f"+{text}"


def from_to(found: Figure) -> str:
    """Write a number before and after: `12/s -> 9.4/s`; of a quantile its bounds: `25-50 ms -> 50-100 ms`."""
    if found.before_bounds is not None and found.after_bounds is not None:
        return f"{units.bounds(found.before_bounds, found.unit)} -> {units.bounds(found.after_bounds, found.unit)}"
    return f"{units.value(found.before, found.unit)} -> {units.value(found.after, found.unit)}"
