"""Blocks as one HTML file that needs nothing else: no script, no reference to anything outside of it.

The page forbids itself to load or run anything (Content-Security-Policy), its one style sheet excepted, which is named
by its hash; so it may be opened from a mail or shown by a server that is strict.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from itertools import count, groupby
from typing import TYPE_CHECKING, assert_never

from insight.report.document import Block, Bullets, Chart, Heading, Paragraph, Table, one_line
from insight.report.markup import element, escape
from insight.report.plot import COLOURS, plot
from insight.report.spoken import MOST_LINES, known, newest
from insight.report.stylesheet import STYLE
from metrics import units

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_POLICY = f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"


def hypertext(blocks: Iterable[Block]) -> str:
    """Write blocks as an HTML page; the first heading is its title."""
    listed = list(blocks)
    title = next((block.text for block in listed if isinstance(block, Heading)), "report")
    head = "\n".join(
        (
            '<meta charset="utf-8"/>',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}"/>',
            '<meta name="viewport" content="width=device-width, initial-scale=1"/>',
            '<meta name="referrer" content="no-referrer"/>',
            element("title", _text(title)),
            f"<style>{STYLE}</style>",
        )
    )
    body = element("main", "\n".join(_grouped(listed)))
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


def _text(text: str) -> str:
    return escape(one_line(text))


def _grouped(blocks: list[Block]) -> Iterator[str]:
    """Write blocks in their order; charts that follow each other stand side by side."""
    numbers = count(1)
    for are_charts, group in groupby(blocks, key=lambda block: isinstance(block, Chart)):
        written = [_block(block, next(numbers)) for block in group]
        yield element("div", "\n".join(written), **{"class": "charts"}) if are_charts else "\n".join(written)


def _block(block: Block, number: int) -> str:
    match block:
        case Heading(level, text):
            return element(f"h{level}", _text(text))
        case Paragraph(text, strong, severity):
            if not strong:
                return element("p", _text(text))
            return element("p", _text(text), **{"class": f"strong {severity.value if severity else ''}".strip()})
        case Bullets(items):
            return element("ul", "".join(element("li", _text(item)) for item in items))
        case Table():
            return _table(block)
        case Chart():
            return _figure(block, number)
        case _:
            assert_never(block)


def _table(table: Table) -> str:
    heads = [
        element("th", _text(column.title), scope="col", **_numeric(column.right and not table.prose))
        for column in table.columns
    ]
    rows = [element("tr", "".join(_cell(table, index, cell) for index, cell in enumerate(row))) for row in table.rows]
    inside = element("thead", element("tr", "".join(heads))) + element("tbody", "\n".join(rows))
    if table.tiles:
        return element("table", inside, **{"class": "tiles"})
    if table.prose:
        return element("table", inside, **{"class": "prose"})
    # What is wider than a phone is moved by finger or, once focused, by the arrow keys.
    return element("div", element("table", inside), **{"class": "wide"}, tabindex=0, role="group")


def _cell(table: Table, index: int, cell: str) -> str:
    column = table.columns[index]
    attributes = _numeric(column.right and not table.prose)
    if table.prose and index:
        attributes["data_label"] = one_line(column.title)
    return element("td", "<br/>".join(map(_text, cell.split("\n"))), **attributes)


def _numeric(right: bool) -> dict[str, str]:
    return {"class": "n"} if right else {}


def _figure(chart: Chart, number: int) -> str:
    lines = [line for line in chart.lines if known(line)]
    if len(lines) > MOST_LINES:
        keys = [element("span", escape(newest(lines, chart.unit)))]
        keys += [_key(line.name.removeprefix("GPU "), index) for index, line in enumerate(lines)]
    else:
        said = [f"{line.name} {units.value(line.track.values[-1], chart.unit)}" for line in lines]
        keys = [_key(each, index) for index, each in enumerate(said)]
    if chart.limit is not None:
        keys.append(element("span", escape(f"objective {units.value(chart.limit, chart.unit)}")))
    caption = element("figcaption", element("b", _text(chart.title)) + " ".join(keys))
    return element("figure", caption + plot(chart, number))


def _key(said: str, index: int) -> str:
    """Name a line beside its colour."""
    return element("span", _text(said), **{"class": f"key c{index % COLOURS}"})
