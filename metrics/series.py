"""The name of one series: a quantity, and the labels that tell its parts from one another.

`requests_finished{reason="length"}` is written as in an exposition page, labels sorted: one series has one name.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LABEL = re.compile(r'([a-z_][a-z0-9_]*)="((?:[^"\\]|\\.)*)"')


def series(quantity: str, /, **labels: str) -> str:
    """Name the part of `quantity` that has these labels."""
    if not labels:
        return quantity
    inside = ",".join(
        '{}="{}"'.format(name, value.replace("\\", "\\\\").replace('"', '\\"'))
        for name, value in sorted(labels.items())
    )
    return f"{quantity}{{{inside}}}"


@lru_cache(maxsize=65_536)
def split_series(name: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Split a series name into its quantity and its (label, value) pairs; the reverse of `series`."""
    quantity, brace, inside = name.partition("{")
    if not brace:
        return name, ()
    pairs = _LABEL.findall(inside)
    return quantity, tuple((label, re.sub(r"\\(.)", r"\1", value)) for label, value in pairs)
