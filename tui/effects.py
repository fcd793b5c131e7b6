"""How what is estimated is written: in one unit, with no more digits than are known, its grade behind it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from metrics import units
from tui import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.effect import Effect

_RATES = "1/s"


def effect(one: Effect) -> str:
    """Write what advice is expected to bring, in short: `TTFT 33 → 0.70 s (0.50-1.00, B)`, `queue 32.5 → 0-2 s (C)`."""
    name = words.quantity(one.quantity)
    if one.basis == "unknown" or (one.lo is None and one.hi is None and one.mid is None):
        return f"{name}: not known"
    return f"{name} {_now(one)}{_then(one)}{_behind(one)}"


def basis(one: Effect) -> str:
    """Say what an effect rests on: `model, grade B, n 71 over 5 min`."""
    parts = [one.basis, f"grade {one.grade.value}"]
    if one.n is not None:
        parts.append(f"n {units.count(one.n)}")
    seen = f" over {units.duration(one.window_seconds)}" if one.window_seconds else ""
    return ", ".join(parts) + seen


def expected(one: Effect) -> str:
    """Write what advice is expected to bring: `TTFT 33 → 0.70 s, 0.50-1.00`; or what would have to be measured."""
    name = words.quantity(one.quantity)
    if one.basis == "unknown" or (one.lo is None and one.hi is None and one.mid is None):
        return f"{name}: not known{f', needs {one.needs}' if one.needs else ''}"
    interval = _interval(one)
    return f"{name} {_now(one)}{_then(one)}{f', {interval}' if interval else ''}"


def estimate(one: Effect, *, short: bool = False) -> str:
    """Write what a server is estimated to do now: `42 % (37-46, B)`; in short without its interval; `—` if unknown."""
    if one.basis == "unknown" or (one.lo is None and one.mid is None and one.hi is None):
        return units.UNKNOWN
    sign = "+" if one.quantity == "headroom" and (one.mid or one.lo or 0.0) > 0 else ""
    return f"{sign}{_then(one)}{f' ({one.grade.value})' if short else _behind(one)}"


def resolution(lo: float, hi: float) -> int:
    """Give the power of ten down to which a number between `lo` and `hi` is known.

    Half of the interval keeps two digits up to 354 (its first three), else one (rounding of the Particle Data Group),
    and no number more than three.
    """
    half, most = (hi - lo) / 2, max(abs(lo), abs(hi))
    if not (math.isfinite(most) and most > 0):
        return 0
    least = math.floor(math.log10(most)) - 2
    if half <= 0:
        return least
    mantissa, exponent = f"{half:.2e}".split("e")
    return max(least, int(exponent) - (float(mantissa) < 3.55))


def _now(one: Effect) -> str:
    """Write what it is now, where that is known, in the unit of what it becomes; clocks to the MHz."""
    if one.now is None:
        return ""
    factor, _ = _common(one)
    return f"{f'{one.now / factor:.0f}' if one.unit == 'Hz' else units.digits(one.now / factor)} → "


def _then(one: Effect) -> str:
    """Write the middle with its unit; the interval where nobody knows where in it; `at least` one of its ends."""
    _, unit = _common(one)
    behind = unit if unit.startswith("/") else f" {unit}".rstrip()
    if one.mid is not None:
        return f"{_write(one, one.mid)}{behind}"
    if one.lo is not None and one.hi is not None:
        return f"{_range(_bound(one, one.lo), _bound(one, one.hi))}{behind}"
    end, word = (one.lo, "at least") if one.lo is not None else (one.hi, "at most")
    return f"{word} {_bound(one, end)}{behind}"


def _interval(one: Effect) -> str:
    """Write the interval around the middle; nothing where it is not known."""
    if one.lo is None or one.hi is None or one.mid is None:
        return ""
    return _range(_write(one, one.lo), _write(one, one.hi))


def _behind(one: Effect) -> str:
    interval = _interval(one)
    return f" ({interval}, {one.grade.value})" if interval else f" ({one.grade.value})"


def _range(low: str, high: str) -> str:
    return f"{low} to {high}" if low.startswith("-") else f"{low}-{high}"


def _bound(one: Effect, number: float | None) -> str:
    """Write a number of which only a bound is known: to two digits; clocks to the MHz."""
    factor, _ = _common(one)
    if number is None:
        return units.UNKNOWN
    return f"{number / factor:.0f}" if one.unit == "Hz" else units.digits(number / factor, 2)


def _write(one: Effect, number: float) -> str:
    """Write a number down to what its interval tells of it."""
    factor, _ = _common(one)
    if one.lo is None or one.hi is None:
        return _bound(one, number)
    place = resolution(one.lo / factor, one.hi / factor)
    if not math.isfinite(number):
        return units.digits(number)
    return f"{round(number / factor, -place) + 0.0:.{max(0, -place)}f}"


def _common(one: Effect) -> tuple[float, str]:
    """Choose one unit for all numbers of an effect: what they are divided by, and how it is written."""
    if one.unit == _RATES:
        return 1.0, "/s"
    numbers = [number for number in (one.now, one.mid, one.lo, one.hi) if number is not None]
    return _common_unit(numbers, one.unit)


def _common_unit(numbers: Sequence[float], unit: str) -> tuple[float, str]:
    if unit == "s" and max(map(abs, numbers), default=1.0) < 1:
        return 1e-3, "ms"
    factors = {
        "ratio": (0.01, "%"),
        "bytes": (2.0**30, "GiB"),
        "Hz": (1e6, "MHz"),
        "celsius": (1.0, "°C"),
        "1": (1.0, ""),
    }
    return factors.get(unit, (1.0, unit))
