"""Writes reports to files."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from chimera_top.exit import FailureError
from insight.report import render
from insight.report.redact import redact

if TYPE_CHECKING:
    from metrics.snapshot import Snapshot


def write(report: bytes, output: str | None) -> None:
    """Write a report to a file, whole or not at all, or to stdout. Raises FailureError where it cannot be."""
    if output in (None, "-"):
        sys.stdout.buffer.write(report)
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    if not path.parent.is_dir():
        raise FailureError(f"cannot write {path}: there is no directory {path.parent}; make it first (mkdir -p)")
    try:
        _replace(path, report)
    except OSError as error:
        raise FailureError(f"cannot write {path}: {error.strerror}") from None


def export(snapshot: Snapshot) -> str:
    """Write the Snapshot, redacted, as HTML, Markdown and JSON where the user is; returns one line.

    It says where it is, or why it is not.
    """
    trouble = ""
    told = redact(snapshot)
    stem = "chimera-top-" + snapshot.generated_at.replace(":", "").replace("-", "")
    for directory in (Path.cwd(), Path(tempfile.gettempdir())):
        try:
            for form in ("json", "html", "md"):
                _replace(directory / f"{stem}.{form}", render(told, form))
        except OSError as error:
            trouble = f"cannot write to {directory}: {error.strerror}"
            continue
        return f"redacted report written to {directory / stem}.md, .html and .json"
    return trouble


def _replace(path: Path, content: bytes) -> None:
    """Write beside the file and rename: who reads it meanwhile sees the old one or the new one."""
    if path.exists() and not path.is_file():
        path.write_bytes(content)  # /dev/null and pipes cannot be renamed onto
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
