"""How what is estimated is said on a screen: its numbers (`insight.written`), its grade behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.written import written
from metrics import units
from tui import words

if TYPE_CHECKING:
    from metrics.effect import Effect


def effect(one: Effect) -> str:
    """Write what advice is expected to bring, in short: `TTFT 33 → 0.70 s (0.50-1.00, B)`, `queue 32.5 → 0-2 s (C)`."""
    name = words.quantity(one.quantity)
    return f"{name} {_change(one)}{_behind(one)}" if _is_known(one) else f"{name}: not known"


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
    if not _is_known(one):
        return f"{name}: not known{f', needs {one.needs}' if one.needs else ''}"
    interval = written(one).interval
    return f"{name} {_change(one)}{f', {interval}' if interval else ''}"


def estimate(one: Effect, *, short: bool = False) -> str:
    """Write what a server is estimated to do now: `42 % (37-46, B)`; in short without its interval; `—` if unknown."""
    if not _is_known(one):
        return units.UNKNOWN
    sign = "+" if one.quantity == "headroom" and (one.mid or one.lo or 0.0) > 0 else ""
    found = written(one)
    return f"{sign}{found.then}{found.unit}{f' ({one.grade.value})' if short else _behind(one)}"


def interval(one: Effect) -> str:
    """Write between which numbers it is expected to lie, with their unit: `28.0-34.0 ms`; `at most 14/s`."""
    found = written(one)
    return f"{found.interval or found.then}{found.unit}"


def _is_known(one: Effect) -> bool:
    return one.basis != "unknown" and any(each is not None for each in (one.lo, one.mid, one.hi))


def _change(one: Effect) -> str:
    found = written(one)
    return f"{f'{found.now} → ' if found.now else ''}{found.then}{found.unit}"


def _behind(one: Effect) -> str:
    around = written(one).interval
    return f" ({around}, {one.grade.value})" if around else f" ({one.grade.value})"
