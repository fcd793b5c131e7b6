"""A report as plain data: the blocks that every renderer of prose knows, and nothing about how they look.

What is said is decided once, by the sections that `outline` lists; Markdown and plain text differ only in how they
write these blocks, so they cannot differ in what they say.
"""

from __future__ import annotations

import re

from msgspec import Struct

from metrics.finding import Severity
from metrics.observed import Track

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Heading(Struct, frozen=True):
    """A heading; level 1 is the title of the report."""

    level: int
    text: str


class Paragraph(Struct, frozen=True):
    """Some sentences."""

    text: str
    strong: bool = False
    """What nobody may overlook: that the numbers are simulated, that a server is down."""
    severity: Severity | None = None
    """How bad what it says is, for those who write it in a colour."""


class Bullets(Struct, frozen=True):
    """A list in which every item is some sentences."""

    items: tuple[str, ...]


class Column(Struct, frozen=True):
    """The head of a column."""

    title: str
    right: bool = False
    """Numbers are aligned to the right."""


class Table(Struct, frozen=True):
    """Rows of cells under columns. A line feed in a cell is a place where it may be broken in two."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    """As many cells as columns in each."""
    prose: bool = False
    """Its cells are sentences: where there is little room, each row becomes a block of its own under its first cell."""
    tiles: bool = False
    """Its few rows tell most: where there is room for it, each stands alone, its second cell large."""


class Line(Struct, frozen=True, eq=False):
    """One quantity over time."""

    name: str
    """What tells it from the other lines of its chart: `p95`, `GPU 3`; empty where it is alone."""
    track: Track


class Moment(Struct, frozen=True):
    """Something that happened at a moment within a chart."""

    wall: float
    text: str


class Chart(Struct, frozen=True, eq=False):
    """Quantities of one unit over the same time. Who cannot draw says in a line what each did."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    events: tuple[Moment, ...] = ()
    limit: float | None = None
    """What the lines should stay below, in the same unit."""


Block = Heading | Paragraph | Bullets | Table | Chart


def columns(*titles: str, right: bool = True) -> tuple[Column, ...]:
    """Head a table whose first column is words and whose other columns are numbers, or words too."""
    return tuple(Column(title, right=right and i > 0) for i, title in enumerate(titles))


def one_line(text: str) -> str:
    """Write white space as single spaces and control characters as the replacement character.

    Text from outside was cleaned when it came in; a report is what gets pasted elsewhere, so it does not rely on that.
    """
    return _CONTROL.sub("\ufffd", " ".join(text.split()))
