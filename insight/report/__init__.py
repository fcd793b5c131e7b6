"""Reports: a Snapshot as Markdown, plain text or JSON, and as the lines of `check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.report import contract
from insight.report.markdown import markdown
from insight.report.outline import outline
from insight.report.text import text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from metrics.snapshot import Snapshot

FORMATS: Mapping[str, Callable[[Snapshot], bytes]] = {
    "md": lambda snapshot: markdown(outline(snapshot)).encode(),
    "text": lambda snapshot: text(outline(snapshot)).encode(),
    "json": contract.encode,
}
"""What a report can be written as."""


def render(snapshot: Snapshot, format: str) -> bytes:  # noqa: A002 - it is what `--format` is called
    """Write a Snapshot in one of `FORMATS`, in UTF-8; ValueError for any other."""
    write = FORMATS.get(format)
    if write is None:
        raise ValueError(f"no report format {format!r}: choose one of {', '.join(FORMATS)}")
    return write(snapshot)
