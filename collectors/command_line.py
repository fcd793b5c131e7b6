"""What the command line of an engine says that advice needs: facts named `flag_*`, by an allow-list.

A command line holds keys, addresses and paths as well, so that nothing of it is kept that is not named in
`collectors.engine_flags`, and no value that is not a number, a switch or a short word. What is set by environment
variables (TGI, llama.cpp) or in a file is not seen here: an environment holds the secrets of its server.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from collectors.engine_flags import FLAGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collectors.engine_flags import Flags

_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,6})?([kKmMgGtT]i?B?)?|auto|all|max|none", re.ASCII)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}", re.ASCII)
_SWITCHED = {"on": "True", "true": "True", "1": "True", "off": "False", "false": "False", "0": "False", "auto": "auto"}


def flags(engine: str, cmdline: Sequence[str]) -> dict[str, str]:
    """Read the flags of an engine: facts by name. Of a flag that stands twice the last counts, as for every engine.

    `--max-num-seqs 8`, `--max_num_seqs=8` and `-tp 2` are all understood, and a switch is `True` or `False`.
    """
    known = FLAGS.get(engine)
    if known is None:
        return {}
    names = _names(engine)
    found: dict[str, str] = {}
    for name, value in _pairs(cmdline, known):
        if name not in names:
            continue
        fact, pattern, on = names[name]
        if pattern is None:
            found[fact] = (_SWITCHED.get(value or "") if on else None) or str(on)
        elif value is not None and pattern.fullmatch(value):
            found[fact] = value
    return found


def more_flags_in(engine: str, cmdline: Sequence[str]) -> str | None:
    """Name the flag by which more flags come from a file; None where there is none."""
    known = FLAGS.get(engine)
    written = {_spelt(argument.partition("=")[0]) for argument in cmdline}
    return next((name for name in known.files if name in written), None) if known else None


def _pairs(cmdline: Sequence[str], known: Flags) -> Iterator[tuple[str, str | None]]:
    """Give each flag with what stands behind it, the parts of a JSON object as flags of their own."""
    for index, argument in enumerate(cmdline):
        if not argument.startswith("-"):
            continue
        name, equals, value = argument.partition("=")
        name = _spelt(name)
        behind = value if equals else next(iter(cmdline[index + 1 : index + 2]), None)
        yield name, behind
        if name in known.objects and behind is not None:
            yield from ((f"{known.objects[0]}.{key}", part) for key, part in _parts(behind))


def _parts(text: str) -> Iterator[tuple[str, str]]:
    try:
        parsed: Any = msgspec.json.decode(text.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError):
        return
    if isinstance(parsed, dict):
        yield from ((key, str(value)) for key, value in parsed.items() if isinstance(value, str | int | float))


def _spelt(name: str) -> str:
    """Spell a flag with dashes: most engines take `--max_num_seqs` as well."""
    head, dot, key = name.partition(".")
    return (head.replace("_", "-") if head.startswith("--") else head) + dot + key


@lru_cache
def _names(engine: str) -> dict[str, tuple[str, re.Pattern[str] | None, bool]]:
    """List every name with its fact, the form of its value (None for a switch) and whether it turns on."""
    known = FLAGS[engine]
    found: dict[str, tuple[str, re.Pattern[str] | None, bool]] = {}
    for pattern, group in ((_NUMBER, known.numbers), (_WORD, known.words), (None, known.switches)):
        for spellings in group:
            names = spellings.split()
            fact = "flag_" + names[0].removeprefix("--").replace("-", "_")
            for name in names:
                found[name.removeprefix("!")] = (fact, pattern, not name.startswith("!"))
            if pattern is None:
                found["--no-" + names[0].removeprefix("--")] = (fact, None, False)
    return found
