"""Writes a recording: appended to, flushed with each Sample, never overwritten, by one program at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from chimera_top.exit import FailureError
from metrics.recording import HEADER, NotARecordingError, Packer, check_header

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO
    from pathlib import Path

    from metrics.sample import Sample


class Recorder:
    """A recording that is being written; one that exists is added to. Raises FailureError where it cannot be.

    What is no regular file (a pipe, /dev/stdout) is only written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble: str | None = None
        """One line, once writing has failed: nothing more is written then, and what was written stays."""
        self.on_trouble: Callable[[], object] = lambda: None
        """Called once then."""
        self.written = 0
        self.found = 0
        """Bytes that were there before."""
        self._packer = Packer()
        try:
            self._file, self._regular = _open(path)
        except OSError as error:
            raise FailureError(
                f"cannot record to {path}: {error.strerror}; name a file in a directory that exists "
                "and may be written to"
            ) from None
        if self._regular:
            try:
                self._begin()
            except BaseException:
                self._file.close()
                raise
        self._end = self.found

    def _begin(self) -> None:
        """Take the file for this program alone, and see whether it may be appended to."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FailureError(
                f"cannot record to {self.path}: it is being written by another chimera-top; name another file"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise FailureError(f"cannot record to {self.path}: {error.strerror}; name another file") from None
        self._file.seek(0)
        head = self._file.read(len(HEADER))
        if not head:
            return
        try:
            check_header(head)
        except NotARecordingError as error:
            raise FailureError(f"will not record over {self.path}: {error}; name another file") from None
        if len(head) < len(HEADER):
            self._file.truncate(0)  # a program that died within its first write: there is nothing to append to
        else:
            self.found = os.fstat(self._file.fileno()).st_size

    def write(self, sample: Sample) -> None:
        """Append one Sample, whole or not at all."""
        if self.trouble is not None or self._file.closed:
            return
        data = self._packer.pack(sample)
        try:
            self._append(data)
        except OSError as error:
            self._take_back()
            self.trouble = (
                f"recording to {self.path} ended after {self.written} samples: {error.strerror}; "
                "what was written before stays"
            )
            self.on_trouble()
            return
        self._end += len(data)
        self.written += 1

    def _append(self, data: bytes) -> None:
        """Write all of it: a disk that is nearly full takes a part, and says with the rest what is wrong."""
        rest = memoryview(data)
        while rest:
            written = self._file.write(rest)
            if not written:
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            rest = rest[written:]

    def _take_back(self) -> None:
        """Leave no part of a frame behind."""
        if self._regular:
            try:
                os.ftruncate(self._file.fileno(), self._end)
            except OSError:
                return  # a torn frame is what readers reckon with

    def close(self) -> None:
        """Close the file."""
        self._file.close()


_NO_LOCKS = frozenset((errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL))
"""What file systems without locks answer: then nobody watches over who writes."""


def _open(path: Path) -> tuple[FileIO, bool]:
    """Open a file to append to and read, anything else only to write; tells which it is."""
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        regular = True
    return path.open("a+b" if regular else "wb", buffering=0), regular
