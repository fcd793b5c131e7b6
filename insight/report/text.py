"""Blocks as plain text of at most 80 columns, without colours: for a terminal, a log or a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from insight.report.cells import pad, width, words, wrap
from insight.report.document import Block, Bullets, Chart, Heading, Paragraph, Table, one_line
from insight.report.spoken import sketched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WIDTH = 80
GAP = 2
"""Spaces between two columns."""
NARROWEST = 6
"""No column is squeezed below this: 9 columns and their gaps still fit."""


def text(blocks: Iterable[Block]) -> str:
    """Write blocks as plain text."""
    return "".join(_separated(blocks))


def _separated(blocks: Iterable[Block]) -> Iterator[str]:
    """Part blocks by an empty line, but let charts that follow each other be one list."""
    before: Block | None = None
    for block in blocks:
        if before is not None:
            yield "\n" if isinstance(before, Chart) and isinstance(block, Chart) else "\n\n"
        yield "\n".join(line.rstrip() for line in _block(block))
        before = block
    yield "\n"


def _block(block: Block) -> list[str]:
    match block:
        case Heading(level, title):
            return _heading(level, title)
        case Paragraph(sentences, strong, _):
            return _indented(sentences, "!! " if strong else "")
        case Bullets(items):
            return [line for item in items for line in _indented(item, "* ")]
        case Table():
            return _records(block) if block.prose else _table(block)
        case Chart():
            return _block(Bullets(tuple(sketched(block))))
        case _:
            assert_never(block)


def _heading(level: int, title: str) -> list[str]:
    if level > 2:
        return _indented(title, "-- ")
    lines = wrap(one_line(title), WIDTH)
    return [*lines, ("=" if level == 1 else "-") * max(map(width, lines))]


def _indented(sentences: str, first: str, rest: str | None = None) -> list[str]:
    """Wrap under a hanging indent."""
    hanging = " " * len(first) if rest is None else rest
    lines = wrap(one_line(sentences), WIDTH - len(hanging))
    return [(hanging if i else first) + line for i, line in enumerate(lines)]


def _table(table: Table) -> list[str]:
    rows = [[[one_line(each) for each in cell.split("\n")] for cell in row] for row in table.rows]
    head = [[one_line(column.title)] for column in table.columns]
    widths = _widths(list(zip(head, *rows, strict=True)))
    rights = [column.right for column in table.columns]
    lines = _row(head, widths, rights)
    lines.append((" " * GAP).join("-" * each for each in widths))
    for row in rows:
        lines += _row(row, widths, rights)
    return lines


def _widths(columns: list[tuple[list[str], ...]]) -> list[int]:
    """Choose widths that fit: squeeze the widest column that can still keep its words whole, else the widest."""
    widths = [max(width(part) for cell in cells for part in cell) for cells in columns]
    wholes = [max(width(word) for cell in cells for part in cell for word in words(part) or [""]) for cells in columns]
    while sum(widths) + GAP * (len(widths) - 1) > WIDTH and max(widths) > NARROWEST:
        able = [each if each > max(whole, NARROWEST) else 0 for each, whole in zip(widths, wholes, strict=True)]
        wide = able if any(able) else widths
        widths[wide.index(max(wide))] -= 1
    return widths


def _row(row: list[list[str]], widths: list[int], rights: list[bool]) -> list[str]:
    """Write one row, over as many lines as its highest cell needs."""
    cells = [[line for part in cell for line in wrap(part, each)] for cell, each in zip(row, widths, strict=True)]
    height = max(map(len, cells))
    filled = [[*cell, *[""] * (height - len(cell))] for cell in cells]
    return [
        (" " * GAP).join(pad(*each) for each in zip(line, widths, rights, strict=True))
        for line in zip(*filled, strict=True)
    ]


def _records(table: Table) -> list[str]:
    """Write each row under its first cell, each other cell behind the title of its column; short ones share a line."""
    lines: list[str] = []
    for row in table.rows:
        lines += ["", *_indented(row[0], "* ")]
        line = ""
        for column, cell in zip(table.columns[1:], row[1:], strict=True):
            item = f"{column.title}: {one_line(cell)}"
            if line and line[-1] not in ".!?" and 4 + width(line) + 2 + width(item) <= WIDTH:
                line = f"{line}; {item}"
                continue
            lines += _indented(line, "  ", "    ") if line else []
            line = item
        lines += _indented(line, "  ", "    ")
    return lines[1:]
