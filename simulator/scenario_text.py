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
    """Text that is no scenario; the message is one line, and `line` that which it is about, counted from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


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
        raise TextError(f"base: it has to name a scenario or a file, and is {name!r}", line_of(text, "base"))
    try:
        base = _toml(base_text(name))
    except TextError as error:
        if error.line is None or error.line == line_of(text, "base"):
            raise
        raise TextError(f"base: {name}:{error.line}: {error}", line_of(text, "base")) from None
    if "base" in base:
        why = f"base: {name} has a base itself ({base['base']}): name that, and say the rest here"
        raise TextError(why, line_of(text, "base"))
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


def said(error: str, document: Document) -> tuple[str, str]:
    """Tell of which key a validation error speaks, '' where of none, and its reason with the value.

    What a whole table or scenario says of itself names a key of it first.
    """
    reason, _, where = error.partition(" - at `$")
    key = where.rstrip("`").lstrip(".")
    if found := _UNKNOWN_FIELD.match(reason):
        return f"{key}.{found[1]}".lstrip("."), "there is no such key"
    if found := _MISSING_FIELD.match(reason):
        return key, f"{found[1]} is missing"
    if found := _OF_KEY.match(reason):
        return found[1], found[2]
    if " <" in reason or " >" in reason:
        reason += f", got {_value(document, key)!r}"
    table, (first, _, rest) = _value(document, key), reason.partition(" ")
    return (f"{key}.{first}", rest) if isinstance(table, dict) and first in table else (key, reason)


def _value(document: Document, key: str) -> Any:  # noqa: ANN401 a value of TOML can be of any of its types
    found: Any = document
    for part in _PARTS.findall(key):
        index = part.strip("[]")
        if isinstance(found, dict):
            found = found.get(part)
        elif isinstance(found, list) and index.isdigit():
            found = found[int(index)]
    return found


_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`")
_MISSING_FIELD = re.compile(r"Object missing required field `(.*)`")
_OF_KEY = re.compile(r"([\w.\[\]]+\.\w+): (.*)", re.DOTALL)
_PARTS = re.compile(r"\[\d+\]|\w+")
_TABLE = re.compile(r"(\w*)(?:\[(\d+)\])?\.?(.*)", re.DOTALL)


def _toml(text: str) -> Document:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, place = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        raise TextError(f"no valid TOML: {reason}", int(line[1]) if line else text.count("\n") + 1) from None
