"""One case of a fuzz run: which area, and the bytes that go in; one that fails is kept in a file, to be run again."""

from __future__ import annotations

import zlib
from random import Random
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from pathlib import Path


class Case(Struct, frozen=True):
    area: str
    seed: int
    number: int
    pieces: list[bytes]
    """All that goes in, in its order: the pages of a session, the pieces of a stream, a file."""


def drawn_from(pieces: list[bytes]) -> Random:
    """Draw what else a case needs (sizes of screens, moments) from its bytes, so that those alone repeat it."""
    return Random(zlib.crc32(b"|".join(pieces)))


def keep(case: Case, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.area}-{case.seed}-{case.number}.case"
    path.write_bytes(msgspec.msgpack.encode(case))
    return path


def kept(path: Path) -> Case:
    return msgspec.msgpack.decode(path.read_bytes(), type=Case)
