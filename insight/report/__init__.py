"""Reports: a Snapshot in prose (Markdown, HTML, plain text, a few lines for a chat) and as data (JSON, CSV).

Nothing here leaves anything out for the sake of privacy: who passes a report on redacts the Snapshot first
(`insight.report.redact`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.report import contract
from insight.report.hypertext import hypertext
from insight.report.markdown import markdown
from insight.report.outline import outline
from insight.report.paste import paste
from insight.report.series import series
from insight.report.text import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from insight.report.document import Block
    from insight.report.narrative import Narrative
    from metrics.snapshot import Snapshot

PROSE: Mapping[str, Callable[[Iterable[Block]], str]] = {"md": markdown, "html": hypertext, "text": text}
"""In which all sections stand, written from the same blocks."""
DATA: Mapping[str, Callable[[Snapshot], bytes]] = {
    "json": contract.encode,
    "csv": lambda snapshot: series(snapshot).encode(),
    "paste": lambda snapshot: paste(snapshot).encode(),
}
FORMATS = (*PROSE, *DATA)
"""What a report can be written as."""


def render(snapshot: Snapshot, format: str, narrative: Narrative | None = None) -> bytes:  # noqa: A002 - `--format`
    """Write a Snapshot in one of `FORMATS`, in UTF-8; ValueError for any other. A narrative stands in prose alone."""
    if format in PROSE:
        return PROSE[format](outline(snapshot, narrative)).encode()
    if format in DATA:
        return DATA[format](snapshot)
    raise ValueError(f"no report format {format!r}: choose one of {', '.join(FORMATS)}")
