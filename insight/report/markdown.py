"""Blocks as GitHub-flavoured Markdown in which no text from outside can act as markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from insight.report.cells import pad, width
from insight.report.document import Block, Bullets, Chart, Heading, Paragraph, Table, one_line
from insight.report.spoken import sketched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_URL = re.compile(r"(?<![\w`])([A-Za-z][A-Za-z0-9+.-]*://[\w./:@%?&=~+-]*[\w/])")
"""Addresses become code: nothing makes a link of them, and they can be copied from the source."""
_MARKUP = re.compile(
    r"[\\`*|#$@]"
    # Without an unescaped `](`, `][` or `]:` there is neither a link nor a reference nor a footnote, so an interval
    # such as `[20-40 s]` can stay as it is.
    r"|\](?=[(\[:])"
    # Underscores within a word mean nothing in CommonMark, and a tilde before a number opens nothing that could be
    # closed; both are frequent in reports.
    r"|(?<![^\W_])_|_(?![^\W_])"
    r"|(?<![\s(])(?<!^)~|~(?!\d)"
    # What GitHub and other readers make a link of without being asked.
    r"|(?<=[A-Za-z]):(?=//)|(?<!:)/(?=/)|(?<=www)\.",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_ENTITY = re.compile(r"&(?=#?[A-Za-z0-9]+;)")
_NUMBERED = re.compile(r"^(\d{1,9})(?=[.)])")
_LINE_STARTS = frozenset("-+>=[")
"""Lists, quotes, underlined headings and check boxes begin a line with these."""


def markdown(blocks: Iterable[Block]) -> str:
    """Write blocks as Markdown."""
    return "".join(_separated(blocks))


def _separated(blocks: Iterable[Block]) -> Iterator[str]:
    """Part blocks by an empty line, but let charts that follow each other be one list."""
    before: Block | None = None
    for block in blocks:
        if before is not None:
            yield "\n" if isinstance(before, Chart) and isinstance(block, Chart) else "\n\n"
        yield _block(block)
        before = block
    yield "\n"


def escape(text: str) -> str:
    """Write a text on one line so that Markdown shows it as it is, wherever it stands within a line."""
    parts = _URL.split(one_line(text))
    return "".join(f"`{part}`" if i % 2 else _escape(part) for i, part in enumerate(parts))


def _escape(text: str) -> str:
    text = _MARKUP.sub(r"\\\g<0>", text)
    return _TAG.sub("&lt;", _ENTITY.sub("&amp;", text))


def escape_line(text: str) -> str:
    """Write a text so that Markdown shows it as it is at the beginning of a line, where more is markup."""
    text = _NUMBERED.sub(r"\1\\", escape(text))
    return f"\\{text}" if text[:1] in _LINE_STARTS else text


def _block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {escape(text)}"
        case Paragraph(text, strong, _):
            return f"**{escape(text)}**" if strong else escape_line(text)
        case Bullets(items):
            return "\n".join(f"- {escape_line(item)}" for item in items)
        case Table():
            return _table(block)
        case Chart():
            return _block(Bullets(tuple(sketched(block))))
        case _:
            assert_never(block)


def _table(table: Table) -> str:
    """Write a table; columns of sentences are not padded, for that would only make long lines longer."""
    rows = [[escape(column.title) for column in table.columns], *([escape(cell) for cell in row] for row in table.rows)]
    widths = [0 if table.prose else max(3, *map(width, cells)) for cells in zip(*rows, strict=True)]
    rights = [column.right for column in table.columns]
    rule = ["-" * max(2, each - 1) + (":" if right else "-") for each, right in zip(widths, rights, strict=True)]
    lines = [[pad(*each) for each in zip(row, widths, rights, strict=True)] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))
