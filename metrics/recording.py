r"""The recording format: every Sample, in the order in which it was seen, so that any moment can be lived again.

A recording is a header line and then one frame a Sample:

    chimera-top recording 1\n
    length  4 bytes, little endian: of the payload
    crc32   4 bytes, little endian: of the payload
    payload zlib of the Sample as msgpack

It is only ever appended to, so a program that dies leaves at most one torn frame at the end, and everything before it
can be read. A recording may be appended to later, by another run on another boot.
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
_LEVEL = 1  # a Sample of a vLLM page packs to a fifth; level 6 takes three times as long for a tenth less
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Sample)


class NotARecordingError(ValueError):
    """The file is something else, or was made by a newer version."""


def frame(sample: Sample) -> bytes:
    """Pack one Sample as the bytes to append."""
    payload = zlib.compress(_encoder.encode(sample), _LEVEL)
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def check_header(line: bytes) -> None:
    """Raise NotARecordingError where a file that begins with `line` cannot be read as a recording."""
    if line == HEADER:
        return
    if line.startswith(HEADER[:-2]):
        raise NotARecordingError("it was made by another version of chimera-top: read it with that one or a newer one")
    raise NotARecordingError("it does not begin as a chimera-top recording does")


class Reader:
    """Reads the Samples of a recording in the order in which they were seen."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.damage: str | None = None
        """Set when reading ended before the end of the file: one line that says where and why."""
        check_header(stream.readline(len(HEADER) + 8))

    def __iter__(self) -> Iterator[Sample]:
        """Yield every whole Sample up to the end or the first frame that is torn or damaged."""
        offset = len(HEADER)
        while head := self._stream.read(_FRAME.size):
            try:
                sample, size = self._read(head)
            except (ValueError, zlib.error, msgspec.MsgspecError) as error:
                self.damage = f"the recording ends at byte {offset}: {error}; everything before it was read"
                return
            offset += size
            yield sample

    def _read(self, head: bytes) -> tuple[Sample, int]:
        if len(head) < _FRAME.size:
            raise ValueError("its last record is torn")
        length, crc = _FRAME.unpack(head)
        if length > MAX_SAMPLE_BYTES:
            raise ValueError("a record claims an impossible length")
        payload = self._stream.read(length)
        if len(payload) < length:
            raise ValueError("its last record is torn")
        if zlib.crc32(payload) != crc:
            raise ValueError("a record is damaged")
        unpacker = zlib.decompressobj()
        packed = unpacker.decompress(payload, MAX_SAMPLE_BYTES)
        if unpacker.unconsumed_tail:
            raise ValueError("a record claims an impossible length")
        return _decoder.decode(packed), _FRAME.size + length
