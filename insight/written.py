"""Effects as text: all numbers of one in one unit, with no more digits than are known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from metrics import units

if TYPE_CHECKING:
    from metrics.effect import Effect

_UNITS = {
    "1/s": (1.0, "/s"),
    "ratio": (0.01, " %"),
    "bytes": (2.0**30, " GiB"),
    "Hz": (1e6, " MHz"),
    "celsius": (1.0, " °C"),
    "1": (1.0, ""),
}
"""What numbers of a unit are divided by, and what stands behind them then."""


class Written(NamedTuple):
    """The numbers of an effect."""

    now: str
    """Empty where it is not known."""
    then: str
    """The middle of what is expected; its interval where nobody knows where in it; `at least` one of its ends."""
    interval: str
    """Around the middle; empty where it is not known."""
    unit: str
    """As it stands behind a number: ` ms`, `/s`."""


def written(one: Effect) -> Written:
    """Write the numbers of an effect of which something is known."""
    factor, unit = common_unit([each for each in (one.now, one.mid, one.lo, one.hi) if each is not None], one.unit)
    whole = one.unit == "Hz"  # clocks to the MHz

    def bound(number: float) -> str:
        return f"{number / factor:.0f}" if whole else units.digits(number / factor, 2)

    def within(number: float) -> str:
        if one.lo is None or one.hi is None:
            return bound(number)
        place = resolution(one.lo / factor, one.hi / factor)
        if not math.isfinite(number):
            return units.digits(number)
        return f"{round(number / factor, -place) + 0.0:.{max(0, -place)}f}"

    now = "" if one.now is None else bound(one.now) if whole else units.digits(one.now / factor)
    ends = None if one.lo is None or one.hi is None else (one.lo, one.hi)
    if one.mid is not None:
        return Written(now, within(one.mid), _range(*map(within, ends)) if ends else "", unit)
    if ends:
        return Written(now, _range(*map(bound, ends)), "", unit)
    if one.lo is not None:
        return Written(now, f"at least {bound(one.lo)}", "", unit)
    return Written(now, f"at most {bound(one.hi)}" if one.hi is not None else units.UNKNOWN, "", unit)


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


def common_unit(numbers: list[float], unit: str) -> tuple[float, str]:
    """Choose one unit for several numbers: what they are divided by, and what stands behind them."""
    if unit == "s" and max(map(abs, numbers), default=1.0) < 1:
        return 1e-3, " ms"
    return _UNITS.get(unit, (1.0, f" {unit}"))


def _range(low: str, high: str) -> str:
    return f"{low} to {high}" if low.startswith("-") else f"{low}-{high}"
