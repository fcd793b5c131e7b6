"""Lengths of time as people write them."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "": 1.0}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


def seconds(text: str) -> float:
    """Read `30s`, `500ms`, `5min`, `5m`, `1h`, `1h30m` or plain seconds.

    Raises ValueError with one line that names the text and the forms that are understood.
    """
    parts = _FORM.findall(text.strip().lower())
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != re.sub(r"\s", "", text.strip().lower()):
        raise ValueError(f"{text!r} is not a length of time: write 500ms, 30s, 5min or 1h")
    if unknown := [unit for _, unit in parts if unit not in _UNITS]:
        raise ValueError(f"{text!r} is not a length of time: {unknown[0]!r} is not one of ms, s, min, h, d")
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if total <= 0:
        raise ValueError(f"{text!r} is not a length of time: it must be more than 0")
    return total
