r"""The recording format: every Sample, in the order in which it was seen, so that any moment can be lived again.

A recording is one run after another, and a run is a header line and then one frame a Sample:

    chimera-top recording 1\n
    length  4 bytes, little endian: of the payload
    crc32   4 bytes, little endian: of the payload
    payload the next part of the run's zlib stream, flushed, that unpacks to the Sample as msgpack

It is only ever appended to, so a program that dies leaves at most one torn frame or header, and everything before it
can be read. Who appends later begins a new run; where a run is torn or damaged, reading goes on at the next. One stream
serves a run, because a page differs little from the one before: a tick of one vLLM and eight GPUs takes 0.7 kB, and
7 kB when each Sample is packed alone. A run lasts ten minutes at most, so that no damaged byte costs more than those.
"""

from __future__ import annotations

import contextlib
import math
import operator
import struct
import zlib
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from metrics.sample import Sample, Source, State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

HEADER = b"chimera-top recording 1\n"
MAX_SAMPLE_BYTES = 64 * 2**20
"""No Sample is larger, packed or unpacked: what claims to be is damage, and must not take the memory it asks for."""
RUN_SECONDS = 600.0
"""A run that has lasted so long is followed by a new one: the 7 kB that it begins with are 2 % of it then."""

_FRAME = struct.Struct("<II")
_BLOCK = 2**14
_LAST_RUNS = 10
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Sample)
_LATE = 0.5
"""Seconds by which the next poll may come too late for `every`, and this one is passed over all the same: polls do not
come to the millisecond."""


class _Glance(Struct):
    """As much of a Sample as tells whether it has to be taken: a tenth of the work of taking it."""

    source: str
    kind: Source
    mono: float
    state: State = State.OK
    events: list[msgspec.Raw] = []
    graded: list[msgspec.Raw] = []


_glance = msgspec.msgpack.Decoder(_Glance)


class NotARecordingError(ValueError):
    """The file is something else, or was made by another version."""


class Packer:
    """Packs Samples in the order in which they were seen, as runs of `RUN_SECONDS` at most."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(6)
        self._begun: float | None = None

    def pack(self, sample: Sample) -> bytes:
        """Give the bytes to append for the next Sample; those of the first of a run begin with its header."""
        header = b""
        if self._begun is None or sample.mono - self._begun >= RUN_SECONDS:
            header, self._stream, self._begun = HEADER, zlib.compressobj(6), sample.mono
        payload = self._stream.compress(_encoder.encode(sample)) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        return header + _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def check_header(line: bytes) -> None:
    """Raise NotARecordingError where a file that begins with `line` cannot be read as a recording.

    A file that ends within its first header is a recording that holds nothing.
    """
    if line.startswith(HEADER) or (line and HEADER.startswith(line)):
        return
    if line.startswith(HEADER[:-2]):
        raise NotARecordingError("it was made by another version of chimera-top: read it with that one or a newer one")
    raise NotARecordingError("it does not begin as a chimera-top recording does")


class Reader:
    """Reads the Samples of a recording in the order in which they were seen.

    With `every`, it takes of a server one poll in so many seconds, of any other source one in twice as many, the first
    and the last, and whatever carries an event, a graded answer or another state than the one before: counters lose
    nothing by it, and a report of an hour is read in a sixth of the time.
    """

    def __init__(self, stream: BinaryIO, every: float = 0.0) -> None:
        self._stream = stream
        self._every = dict.fromkeys(Source, 2 * every) | {Source.SERVER: every}
        self._taken: dict[str, _Glance] = {}
        """By source, what was taken last."""
        self._passed: dict[str, bytes] = {}
        """By source, what was passed over since then."""
        self._looked: dict[str, float] = {}
        """By source, the moment of the last poll, taken or not."""
        self._unpacker = zlib.decompressobj()
        self.run = 1
        """Which run the last Sample was of. Another run may be of another boot, with a monotonic clock of its own."""
        self.damaged_places = 0
        self._first_damage = ""
        check_header(stream.read(len(HEADER)))

    @property
    def damage(self) -> str | None:
        """One line where something could not be read: how much, where, and why; None where all could be."""
        if self.damaged_places == 0:
            return None
        if self.damaged_places == 1:
            return f"damaged at {self._first_damage}; everything before it was read"
        return f"{self.damaged_places} places could not be read, the first at {self._first_damage}"

    def __iter__(self) -> Iterator[Sample]:
        """Yield every whole Sample of every run."""
        while True:
            place = self._stream.tell()
            head = self._stream.read(_FRAME.size)
            if not head:
                break
            try:
                if head == HEADER[: _FRAME.size]:
                    self._begin_run()
                    continue
                packed = self._unpack(head)
                sample = _decoder.decode(packed) if self._is_wanted(packed) else None
            except (ValueError, zlib.error, msgspec.MsgspecError) as error:
                self.damaged_places += 1
                self._first_damage = self._first_damage or f"byte {place}: {error}"
                if not self._seek_run(place + 1):
                    break
                continue
            if sample is not None:
                yield sample
        yield from self._last_ones()

    def _is_wanted(self, packed: bytes) -> bool:
        """Tell whether a Sample is to be taken; one that is not is kept, for it may be the last of its source."""
        if not self._every[Source.SERVER]:
            return True
        seen = _glance.decode(packed)
        before = self._taken.get(seen.source)
        spacing = seen.mono - self._looked.get(seen.source, seen.mono)
        self._looked[seen.source] = seen.mono
        if (
            before is not None
            and spacing >= 0
            and seen.mono + spacing - before.mono <= self._every[seen.kind] + _LATE
            and seen.state is before.state
            and not (seen.events or seen.graded)
        ):
            self._passed[seen.source] = packed
            return False
        self._taken[seen.source] = seen
        self._passed.pop(seen.source, None)
        return True

    def _last_ones(self) -> Iterator[Sample]:
        """Yield the last Sample of each source that was passed over."""
        for packed in self._passed.values():
            with contextlib.suppress(msgspec.MsgspecError):
                yield _decoder.decode(packed)

    def _begin_run(self) -> None:
        if self._stream.read(len(HEADER) - _FRAME.size) != HEADER[_FRAME.size :]:
            raise ValueError("a run is torn in its header")
        self._unpacker = zlib.decompressobj()
        self.run += 1

    def _unpack(self, head: bytes) -> bytes:
        if len(head) < _FRAME.size:
            raise ValueError("its last record is torn")
        length, crc = _FRAME.unpack(head)
        if length > MAX_SAMPLE_BYTES:
            raise ValueError("a record claims an impossible length")
        payload = self._stream.read(length)
        if len(payload) < length:
            raise ValueError("its last record is torn")
        if zlib.crc32(payload) != crc:
            raise ValueError("a record was changed")
        packed = self._unpacker.decompress(payload, MAX_SAMPLE_BYTES)
        if self._unpacker.unconsumed_tail:
            raise ValueError("a record claims an impossible length")
        return packed

    def _seek_run(self, place: int) -> bool:
        """Go to behind the first header from a place on; False where there is none."""
        self._stream.seek(place)
        window = b""
        while block := self._stream.read(_BLOCK):
            window = window[-len(HEADER) :] + block
            if (at := window.find(HEADER)) >= 0:
                self._stream.seek(at + len(HEADER) - len(window), 1)
                self._unpacker = zlib.decompressobj()
                self.run += 1
                return True
        return False


def last_sample(stream: BinaryIO) -> Sample | None:
    """Read the last Sample without reading the runs before its own; None where the last ten runs hold none."""
    end = stream.seek(0, 2)
    for _ in range(_LAST_RUNS):
        end = _run_before(stream, end)
        if end < 0:
            return None
        stream.seek(end)
        ones = list(Reader(stream, every=math.inf))
        if ones:
            return max(ones, key=operator.attrgetter("mono"))
    return None


def _run_before(stream: BinaryIO, end: int) -> int:
    """Find where the last run begins whose header lies before byte `end`; -1 where there is none."""
    behind = b""
    while end > 0:
        begin = max(0, end - _BLOCK)
        stream.seek(begin)
        window = stream.read(end - begin) + behind[: len(HEADER) - 1]
        if (at := window.rfind(HEADER)) >= 0:
            return begin + at
        behind, end = window, begin
    return -1
