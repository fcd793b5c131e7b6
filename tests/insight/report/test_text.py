"""Plain text: at most 80 cells a line, nothing lost, nothing that a terminal would act on."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from insight.report.cells import width, wrap
from insight.report.document import Block, Bullets, Column, Heading, Paragraph, Table
from insight.report.text import WIDTH, text

CELLS = st.one_of(
    st.text(st.sampled_from("abc 漢字\u0301-12. s%\n"), max_size=120),
    st.text(max_size=40),
    st.sampled_from(["a" * 200, "漢" * 90, "~37.5 ms\n[25-50 ms]", "\x1b[31mred", "\x00\x07", ""]),
)
TABLES = st.integers(1, 8).flatmap(
    lambda n: st.builds(
        Table,
        st.lists(st.builds(Column, CELLS, st.booleans()), min_size=n, max_size=n).map(tuple),
        st.lists(st.lists(CELLS, min_size=n, max_size=n).map(tuple), max_size=4).map(tuple),
        st.booleans(),
    )
)
BLOCKS = st.one_of(
    st.builds(Heading, st.integers(1, 3), CELLS),
    st.builds(Paragraph, CELLS, st.booleans()),
    st.builds(Bullets, st.lists(CELLS, min_size=1, max_size=3).map(tuple)),
    TABLES,
)


def bare(string: str) -> list[str]:
    """The letters and digits of a text, in no order: a cell that is wrapped stands on several lines."""
    return sorted(character for character in string if character.isalnum())


@given(st.lists(BLOCKS, max_size=4))
def test_fits(blocks: list[Block]) -> None:
    """Whatever a report holds, no line is wider than 80 cells, and none has a control character."""
    written = text(blocks)
    for line in written.split("\n"):
        assert width(line) <= WIDTH
        assert not any(unicodedata.category(character) == "Cc" for character in line)


@given(TABLES)
def test_tables_lose_nothing(table: Table) -> None:
    """Every letter of every cell is still there, however narrow the columns had to become."""
    titles = [column.title for column in table.columns]
    if table.prose:
        written = [cell for row in table.rows for cell in row] + titles[1:] * len(table.rows)
    else:
        written = [*titles, *(cell for row in table.rows for cell in row)]
    assert bare(text([table])) == bare("".join(written))


@given(st.text(st.sampled_from("ab 漢1 s%"), max_size=60), st.integers(2, 30))
def test_wrap(string: str, cells: int) -> None:
    """Wrapped lines fit, and joined again they are the text, but for white space."""
    lines = wrap(string, cells)
    assert all(width(line) <= cells for line in lines)
    assert "".join(lines).replace(" ", "") == string.replace(" ", "")


def test_numbers_keep_their_units() -> None:
    """A line is not broken between a number and its unit."""
    assert wrap("TTFT p95 ~37.5 ms and 96 %", 15) == ["TTFT p95", "~37.5 ms and", "96 %"]


def test_width_is_that_of_a_terminal() -> None:
    """Wide characters take two cells, and marks that join the one before take none."""
    assert [width(each) for each in ("abc", "漢字", "e\u0301", "")] == [3, 4, 1, 0]


def test_table() -> None:
    """Numbers stand right, words left, and a cell breaks where it may."""
    table = Table(
        (Column("name"), Column("p95", right=True), Column("why")),
        (("TTFT", "~33.2 s\n[20-40 s]", "queue"), ("漢字", "—", "")),
    )
    assert text([table]).splitlines() == [
        "name        p95  why",
        "----  ---------  -----",
        "TTFT    ~33.2 s  queue",
        "      [20-40 s]",
        "漢字          —",
    ]


def test_records() -> None:
    """A table of sentences becomes a block a row; short cells share a line, long ones hang."""
    table = Table(
        tuple(map(Column, ("risk", "state", "what", "impact"))), (("R", "firing", "word " * 20, "high"),), prose=True
    )
    assert text([table]).splitlines() == [
        "* R",
        "  state: firing",
        "  what: word word word word word word word word word word word word word word",
        "    word word word word word word",
        "  impact: high",
    ]
