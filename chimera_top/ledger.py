"""What was foretold and what came, kept from comparison to comparison, so that the score can be told.

One line of JSON a prediction, in `predictions.jsonl` under $XDG_STATE_HOME. No address and no host is in it: who it was
about are the engine, its version and the last part of the model's name. Replicas are told apart by a digest.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from insight.verification.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from insight.verification.side import Side

MOST_LINES = 10_000
"""Older ones go: a comparison a day fills it in years."""


class Line(Struct, frozen=True):
    """One prediction of one comparison."""

    before_begin: float
    """Seconds since the epoch; the four moments and the id make it that comparison: made again, it counts once."""
    before_end: float
    after_begin: float
    after_end: float
    engine: str | None
    version: str | None
    model: str | None
    tool: str
    simulated: bool
    prediction: Prediction
    server: str = ""
    """Digest of the id of the server; empty in lines of before there was one."""

    @property
    def key(self) -> tuple[float, float, float, float, str, str, str]:
        """Tell it from all others."""
        moments = (round(self.before_begin), round(self.before_end), round(self.after_begin), round(self.after_end))
        return (*moments, self.server, self.prediction.id, self.prediction.quantity)


def default_path(environ: Mapping[str, str]) -> Path | None:
    """Tell where the ledger is; nowhere without a home."""
    home = environ.get("HOME")
    base = environ.get("XDG_STATE_HOME") or (f"{home}/.local/state" if home else None)
    return Path(base) / "chimera-top" / "predictions.jsonl" if base else None


def line(before: Side, after: Side, prediction: Prediction, tool: str) -> Line:
    """Write down one prediction, with nothing that names a host or a path."""
    model = after.model.replace("\\", "/").rstrip("/").rpartition("/")[2] if after.model else None
    return Line(
        before.begin,
        before.end,
        after.begin,
        after.end,
        after.engine,
        after.version,
        model,
        tool,
        before.simulated or after.simulated,
        # In words there may be paths, and they are not needed for the score.
        msgspec.structs.replace(prediction, why="", title=""),
        hashlib.blake2b(after.target.encode(), digest_size=8).hexdigest(),
    )


def keep(path: Path | None, new: Sequence[Line]) -> list[Line]:
    """Add what could be told to the ledger, whole or not at all, and return all that is in it.

    Where it cannot be read or written one line on stderr says so, and what is new is returned alone.
    """
    told = [each for each in new if each.prediction.covered is not None]
    if path is None:
        return told
    try:
        if not told:
            return _lines(_read(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.parent):
            found = {each if isinstance(each, bytes) else each.key: each for each in (*_read(path), *told)}
            kept = [*found.values()][-MOST_LINES:]
            _replace(
                path,
                b"".join((each if isinstance(each, bytes) else msgspec.json.encode(each)) + b"\n" for each in kept),
            )
    except OSError as error:
        sys.stderr.write(f"chimera-top: the score of predictions is not kept in {path}: {error.strerror or error}\n")
        return told
    return _lines(kept)


def _read(path: Path) -> list[Line | bytes]:
    """Read every line; one that was not written by this version stays as it is, so that it is not lost."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return [_parsed(each) for each in content.split(b"\n") if each.strip()]


def _parsed(text: bytes) -> Line | bytes:
    try:
        return msgspec.json.decode(text, type=Line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return text


def _lines(found: Iterable[Line | bytes]) -> list[Line]:
    return [each for each in found if isinstance(each, Line)]


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Let nobody else add to it for the time of the block."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, content: bytes) -> None:
    """Write beside the file and rename: who reads it meanwhile sees the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
