r"""The recording format: every Sample, in the order in which it was seen, so that any moment can be lived again.

A recording is one run after another, and a run is a header line and then one frame a Sample:

    chimera-top recording 1\n
    length  4 bytes, little endian: of the payload
    crc32   4 bytes, little endian: of the payload
    payload the next part of the run's zlib stream, flushed, that unpacks to the Sample as msgpack

It is only ever appended to, so a program that dies leaves at most one torn frame, and everything before it can be read.
Who appends later begins a new run; where a run is torn or damaged, reading goes on at the next. One stream serves a
whole run, because a page differs little from the one before: a tick of one vLLM and eight GPUs takes 0.7 kB, and 7 kB
when each Sample is packed alone.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import msgspec

from metrics.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

HEADER = b"chimera-top recording 1\n"
MAX_SAMPLE_BYTES = 64 * 2**20
"""No Sample is larger, packed or unpacked: what claims to be is damage, and must not take the memory it asks for."""

_FRAME = struct.Struct("<II")
_BLOCK = 2**16
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Sample)


class NotARecordingError(ValueError):
    """The file is something else, or was made by another version."""


class Packer:
    """Packs the Samples of one run."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(6)
        self._begun = False

    def pack(self, sample: Sample) -> bytes:
        """Give the bytes to append for the next Sample; those of the first begin with the header of the run."""
        payload = self._stream.compress(_encoder.encode(sample)) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        header = b"" if self._begun else HEADER
        self._begun = True
        return header + _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def check_header(line: bytes) -> None:
    """Raise NotARecordingError where a file that begins with `line` cannot be read as a recording."""
    if line.startswith(HEADER):
        return
    if line.startswith(HEADER[:-2]):
        raise NotARecordingError("it was made by another version of chimera-top: read it with that one or a newer one")
    raise NotARecordingError("it does not begin as a chimera-top recording does")


class Reader:
    """Reads the Samples of a recording in the order in which they were seen."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._unpacker = zlib.decompressobj()
        self.damage: list[str] = []
        """One line for each place where something could not be read: where, and why."""
        check_header(stream.read(len(HEADER)))

    def __iter__(self) -> Iterator[Sample]:
        """Yield every whole Sample of every run."""
        while head := self._stream.read(_FRAME.size):
            if head == HEADER[: _FRAME.size] and self._begins_run():
                continue
            place = self._stream.tell() - len(head)
            try:
                sample = self._read(head)
            except (ValueError, zlib.error, msgspec.MsgspecError) as error:
                self.damage.append(f"damaged at byte {place}: {error}; everything before it was read")
                if not self._seek_run(place):
                    return
                continue
            yield sample

    def _begins_run(self) -> bool:
        rest = self._stream.read(len(HEADER) - _FRAME.size)
        self._unpacker = zlib.decompressobj()
        return rest == HEADER[_FRAME.size :]

    def _read(self, head: bytes) -> Sample:
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
        return _decoder.decode(packed)

    def _seek_run(self, place: int) -> bool:
        """Go to behind the next header after a place; False where there is none."""
        self._stream.seek(place + 1)
        window = b""
        while block := self._stream.read(_BLOCK):
            window = window[-len(HEADER) :] + block
            if (at := window.find(HEADER)) >= 0:
                self._stream.seek(at + len(HEADER) - len(window), 1)
                self._unpacker = zlib.decompressobj()
                return True
        return False
