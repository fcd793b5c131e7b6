"""How numbers become text: the only place where SI base units turn into ms, GiB, GHz or percent.

Three significant digits, always a unit, `—` for what is not known. The screen and the reports use the same functions,
so they agree to the digit.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from metrics.histogram import Quantile

UNKNOWN = "—"


def digits(value: float | None, significant: int = 3) -> str:
    """Write a number with so many significant digits, never in exponent form below 1e6."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{significant - 1}e}")
    places = max(0, significant - 1 - math.floor(math.log10(abs(rounded))))
    text = f"{rounded:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(value: float | None) -> str:
    """Write a count: whole up to 9999, then with k, M, G."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if abs(value) < 10_000:
        return f"{value:.0f}" if value == round(value) else digits(value)
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{digits(value / factor)} {suffix}"
    return digits(value)


def scaled(value: float | None, unit: str) -> tuple[str, str]:
    """Split a value in SI base units into the number and the unit that a person reads: (`16.7`, `ms`)."""
    if value is None or math.isnan(value):
        return UNKNOWN, ""
    write = _WRITERS.get(unit)
    return write(value) if write else (count(value), unit)


def _seconds(value: float) -> tuple[str, str]:
    if value == 0:
        return "0", "s"
    if abs(value) < 0.000_999_5:
        return digits(value * 1e6), "µs"
    if abs(value) < 0.999_5:
        return digits(value * 1e3), "ms"
    return digits(value), "s"


def _binary(value: float) -> tuple[str, str]:
    for power, suffix in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if abs(value) >= 1024**power * 0.999_5:
            return digits(value / 1024**power), suffix
    return f"{value:.0f}", "B"


def _watts(value: float) -> tuple[str, str]:
    return (f"{value:.0f}" if value >= 10 else digits(value, 2)), "W"


def _joules(value: float) -> tuple[str, str]:
    return (digits(value / 1e3), "kJ") if abs(value) >= 1e4 else (digits(value), "J")


def _bytes_per_second(value: float) -> tuple[str, str]:
    number, suffix = _binary(value)
    return number, f"{suffix}/s"


_WRITERS: dict[str, Callable[[float], tuple[str, str]]] = {
    "s": _seconds,
    "ratio": lambda value: (digits(value * 100), "%"),
    "bytes": _binary,
    "bytes/s": _bytes_per_second,
    "Hz": lambda value: (f"{value / 1e6:.0f}", "MHz"),
    "celsius": lambda value: (f"{value:.0f}", "°C"),
    "W": _watts,
    "J": _joules,
    "1": lambda value: (count(value), ""),
}


def value(number: float | None, unit: str) -> str:
    """Write a value in SI base units as a person reads it, its unit behind it: `16.7 ms`, `70.3 GiB`, `1.2/s`."""
    if unit == "1/s":
        return rate(number)
    text, suffix = scaled(number, unit)
    return f"{text} {suffix}".rstrip()


def rate(number: float | None, unit: str = "1") -> str:
    """Write something per second: `1.2/s`, `97 tokens/s`, `1.14 MiB/s`, `300 TFLOP/s`."""
    if number is None or math.isnan(number):
        return UNKNOWN
    if unit == "bytes":
        return value(number, "bytes/s")
    if unit == "FLOP":
        return f"{digits(number / 1e12)} TFLOP/s"
    return f"{digits(number)}/s" if unit in {"1", ""} else f"{digits(number)} {unit}/s"


def bounds(quantile: Quantile | None, unit: str) -> str:
    """Write the interval of a quantile, which is all that buckets certainly tell: `20-40 s`, `>160 s`, `—`."""
    if quantile is None:
        return UNKNOWN
    if quantile.hi is None:
        return f">{value(quantile.lo, unit)}"
    low, low_unit = scaled(quantile.lo, unit)
    high, high_unit = scaled(quantile.hi, unit)
    if quantile.lo == 0:
        return f"<{high} {high_unit}".rstrip()
    return f"{low}-{high} {high_unit}".rstrip() if low_unit == high_unit else f"{low} {low_unit}-{high} {high_unit}"


def estimate(quantile: Quantile | None, unit: str) -> str:
    """Write a quantile as one number, `~` before it because it is interpolated: `~33.2 s`, `>160 s`, `<300 ms`, `—`.

    There is no interpolation in the lowest bucket: it would place a queue of 1 ms in the middle of vLLM's first 300 ms.
    """
    if quantile is None or quantile.estimate is None or quantile.lo == 0:
        return bounds(quantile, unit)
    return f"~{value(quantile.estimate, unit)}"


def score(low: float | None, best: float | None = None) -> str:
    """Write a score of 0 to 100, or the two that it lies between: `97 %`, `27-49 %`, `—`."""
    if low is None:
        return UNKNOWN
    return f"{low:.0f} %" if best is None or round(best) == round(low) else f"{low:.0f}-{best:.0f} %"


def duration(seconds: float | None) -> str:
    """Write a length of time in its two largest parts: `3 d 4 h`, `12 min 5 s`, `41 s`, `0.4 s`."""
    if seconds is None or math.isnan(seconds):
        return UNKNOWN
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 9.95:
        return f"{digits(round(seconds, 1), 2)} s"
    left = round(seconds)
    parts: list[str] = []
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if left >= size or (name == "s" and not parts):
            parts.append(f"{left // size} {name}")
            left %= size
        elif parts:
            parts.append("")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)


def rfc3339(wall: float) -> str:
    """Write a moment as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
