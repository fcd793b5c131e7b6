"""The text of a scenario file: what it says, laid over the scenario that it names as its `base`; where a key stands."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

OWN = ("title", "truth")
"""What a file says for itself and never takes over: what happens in it, and what is wrong in it."""
Document = dict[str, Any]


class TextError(Exception):
    """Text that is no scenario; the message is one line."""


def read(text: str, base_text: Callable[[str], str]) -> Document:
    """Read TOML, and put below it what its `base` says; `base_text` gives the text of one, or raises TextError.

    Tables of both (`engine`, `workload`, `gpus`) are laid over one another key by key, everything else is replaced.
    A base has no base of its own: what a file says is to be read in two places at most. Raises TextError.
    """
    document = _toml(text)
    name = document.pop("base", None)
    if name is None:
        return document
    if not isinstance(name, str):
        raise TextError(f"base: it has to name a scenario or a file, and is {name!r}")
    base = _toml(base_text(name))
    if "base" in base:
        raise TextError(f"base: {name} has a base itself ({base['base']}): name that, and say the rest here")
    whole = {key: value for key, value in base.items() if key not in OWN}
    for key, value in document.items():
        below = whole.get(key)
        whole[key] = below | value if isinstance(below, dict) and isinstance(value, dict) else value
    return whole


def line_of(text: str, key: str) -> int | None:
    """Tell on which line a key stands, `engine.base_ms` or `faults[1].at`; of one that is missing, its table's line."""
    table, number, rest = _TABLE.match(key).groups("")  # type: ignore[union-attr] # it matches any text
    header = re.compile(rf"\s*\[+\s*{re.escape(table)}\s*\]+")
    first = rest.split(".")[0].split("[")[0] if rest else table
    left = int(number or 0)
    inside = not rest
    found: int | None = None
    for index, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("["):
            inside = bool(header.match(line)) and left == 0
            if header.match(line):
                left -= 1
                found = index if inside else found
        elif inside and re.match(rf"\s*{re.escape(first)}\s*=", line):
            return index
    return found


_TABLE = re.compile(r"(\w*)(?:\[(\d+)\])?\.?(.*)", re.DOTALL)


def _toml(text: str) -> Document:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TextError(f"no valid TOML: {error}") from None
