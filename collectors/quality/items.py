"""Quality files: one item a line, as JSON, and what is wrong with a line that is none.

    {"id": "sum-1", "family": "arithmetic", "prompt": "17 + 25 = ? The number only.",
     "check": {"type": "number", "value": 42}}

`metrics.quality.Item` says what may stand in a line, and which checks there are. Empty lines and lines that begin with
`#` are passed over.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from collectors.clean import clean
from metrics.quality import Haystack, Item

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ITEMS = 2000
MAX_LINE = 64 * 2**10
MAX_FILE = 16 * 2**20

_decoder = msgspec.json.Decoder(Item)


class BadLine(Struct, frozen=True):
    """A line that is no item."""

    number: int
    """Counted from 1."""
    reason: str


class Items(Struct, frozen=True):
    """What a quality file holds."""

    items: tuple[Item, ...]
    bad: tuple[BadLine, ...]


def load(path: str) -> Items:
    """Read a quality file; `builtin` is the program's own. Raises ValueError, in one line, where it is of no use."""
    file = Path(__file__).with_name("items.jsonl") if path == "builtin" else Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise ValueError(f"cannot read the quality file {path}: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise ValueError(f"the quality file {path} is larger than {MAX_FILE // 2**20} MiB")
    found = parse(data)
    if not found.items:
        first = f": line {found.bad[0].number}: {found.bad[0].reason}" if found.bad else ", not even a line"
        raise ValueError(f"the quality file {path} holds no usable item{first}")
    return found


def parse(data: bytes) -> Items:
    """Read the lines of a quality file. A line that is no item costs that line alone."""
    items: dict[str, Item] = {}
    bad: list[BadLine] = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not (text := line.strip()) or text.startswith(b"#"):
            continue
        found = _item(text)
        if isinstance(found, Item) and found.id in items:
            found = f"the id {found.id} was used in a line before"
        elif isinstance(found, Item) and len(items) >= MAX_ITEMS:
            found = f"a file may hold {MAX_ITEMS} items, and this is one more"
        if isinstance(found, Item):
            items[found.id] = found
        else:
            bad.append(BadLine(number, clean(found)))
    return Items(tuple(items.values()), tuple(bad))


def _item(line: bytes) -> Item | str:
    """Read one line, or say what is wrong with it."""
    if len(line) > MAX_LINE:
        return f"it is longer than {MAX_LINE // 2**10} KiB"
    try:
        return _decoder.decode(line)
    except RecursionError:
        return "it is nested too deep"
    except UnicodeDecodeError:
        return "it is not UTF-8"
    except msgspec.MsgspecError as error:
        return str(error)


def interleaved(items: Sequence[Item]) -> list[Item]:
    """Take the families in turn, so that a pass that is cut short has asked something of each."""
    places: Counter[str] = Counter()
    turns: list[tuple[int, Item]] = []
    for item in items:
        turns.append((places[item.family], item))
        places[item.family] += 1
    return [item for _, item in sorted(turns, key=lambda turn: turn[0])]


def prompt(item: Item) -> str:
    """Write what an item asks, its haystack before it."""
    return f"{_text(item.haystack)}\n\n{item.prompt}" if item.haystack else item.prompt


def _text(haystack: Haystack) -> str:
    """Make up the text; the same haystack is the same text on every run."""
    draw = random.Random(haystack.seed)
    sentences: list[str] = []
    words = 0
    while words < haystack.words:
        who, what = f"{draw.choice(_KINDS)} {draw.choice(_WHO)}", draw.choice(_WHAT)
        sentence = f"The {who} {draw.choice(_DID)} the {what} {draw.choice(_WHERE)}."
        sentences.append(sentence)
        words += len(sentence.split())
    sentences.insert(round(haystack.depth * len(sentences)), haystack.needle)
    return " ".join(sentences)


_KINDS = ("old", "young", "quiet", "busy", "tall", "careful", "tired", "cheerful", "patient", "curious")
_WHO = ("baker", "sailor", "teacher", "farmer", "painter", "driver", "gardener", "doctor", "tailor", "miller")
_DID = ("carried", "painted", "repaired", "washed", "measured", "counted", "cleaned", "moved", "covered", "opened")
_WHAT = ("basket", "ladder", "window", "wagon", "bench", "barrel", "fence", "lantern", "table", "kettle")
_WHERE = (
    "near the river",
    "behind the station",
    "under the bridge",
    "before the market",
    "beside the mill",
    "after the rain",
    "during the morning",
    "along the harbour",
)
