"""Writes a recording: appended to, flushed with each Sample, never overwritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chimera_top.exit import FailureError
from metrics.recording import HEADER, NotARecordingError, Packer, check_header

if TYPE_CHECKING:
    from pathlib import Path

    from metrics.sample import Sample


class Recorder:
    """A recording that is being written; one that exists is added to. Raises FailureError where it cannot be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble: str | None = None
        """One line, once writing has failed: nothing more is written then, and what was written stays."""
        self.written = 0
        self._packer = Packer()
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise FailureError(
                f"cannot record to {path}: {error.strerror}; name a file in a directory that exists "
                "and may be written to"
            ) from None
        try:
            self._begin()
        except NotARecordingError as error:
            self._file.close()
            raise FailureError(f"will not record over {path}: {error}; name another file") from None

    def _begin(self) -> None:
        self._file.seek(0)
        head = self._file.read(len(HEADER))
        if head:
            check_header(head)

    def write(self, sample: Sample) -> None:
        """Append one Sample."""
        if self.trouble is not None:
            return
        try:
            self._file.write(self._packer.pack(sample))
            self.written += 1
        except OSError as error:
            self.trouble = f"recording to {self.path} ended: {error.strerror}; what was written before stays"

    def close(self) -> None:
        """Close the file."""
        self._file.close()
