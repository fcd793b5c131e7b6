"""Markdown, held against a parser of it: what was put in is what is shown, and nothing acts as markup."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from insight.report.document import Bullets, Column, Heading, Paragraph, Table, one_line
from insight.report.markdown import escape, markdown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markdown_it.token import Token

    from insight.report.document import Block

PARSER = MarkdownIt("gfm-like")
assert PARSER.linkify is not None
PARSER.linkify.set({"fuzzy_link": False})  # GitHub makes no link of a bare `example.com`

NASTY = [
    *("<script>alert(1)</script>", "a|b", "[x](http://evil.example)", "![x](http://evil.example/a.png)"),
    *(
        "http://evil.example/a_b_c?d=e&f",
        "www.evil.example",
        "//evil.example",
        "a@b.co",
        "<a@b.co>",
        "<http://evil.example>",
    ),
    *("&amp;", "&#60;b&#62;", "**b**", "_i_", "__b__", "~~s~~", "~a~ ~5 s~", "`c`", "``c`", "\\|", "\\", "\\\\|"),
    *(
        "# h",
        "- a",
        "+ a",
        "* a",
        "1. a",
        "1) a",
        "> q",
        "---",
        "===",
        "```",
        "~~~",
        "[ ] a",
        "[x]: http://e",
        "[^1]: a",
    ),
    *(
        "| a | b |",
        "a\nb",
        "a\r\n\r\nb",
        "\tcode",
        "    code",
        "<!-- c -->",
        "<?p?>",
        "</td>",
        "h #",
        "\x1b[31m",
        "漢字",
    ),
]
TEXTS = st.lists(
    st.one_of(st.sampled_from(NASTY), st.text(st.sampled_from("`*_[]<>&|#~!\\()-+=.:/@$1a \n"), max_size=8), st.text()),
    max_size=4,
).map("".join)
VISIBLE = TEXTS.filter(one_line)


def shown(inline: Token) -> str:
    """What a reader sees of a run of text; anything but text, code and emphasis of ours is an error."""
    texts = []
    for token in inline.children or []:
        assert token.type in {"text", "code_inline"}, f"{token.type} from {inline.content!r}"
        texts.append(token.content)
    return "".join(texts)


def inlines(tokens: Iterable[Token]) -> list[str]:
    return [shown(token) for token in tokens if token.type == "inline"]


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=4), st.booleans())
@example([("a|b", "\\", "\\|")], False)
@example([("`http://a/`", "http://a/|", "`")], True)
def test_cells_stay_cells(rows: list[tuple[str, ...]], prose: bool) -> None:
    """Whatever stands in the cells of a table, it has its rows and columns, and each cell shows its text."""
    heads = tuple(map(Column, ("one", "two", "three")))
    tokens = PARSER.parse(markdown([Table(heads, tuple(rows), prose)]))
    assert (tokens[0].type, tokens[-1].type) == ("table_open", "table_close")
    assert {token.type.removesuffix("_open").removesuffix("_close") for token in tokens} <= {
        *("table", "thead", "tbody", "tr", "th", "td", "inline")
    }
    assert inlines(tokens) == ["one", "two", "three", *(one_line(cell) for row in rows for cell in row)]


@given(VISIBLE, VISIBLE, VISIBLE)
@example("1. a", "[ ] a", "h #")
@example("a\n===", "- - a", "a")
def test_blocks_stay_blocks(paragraph: str, item: str, heading: str) -> None:
    """A paragraph, an item and a heading are just that, whatever they begin with."""
    blocks: list[Block] = [Heading(2, heading), Paragraph(paragraph), Bullets((item, "last"))]
    tokens = PARSER.parse(markdown(blocks))
    opened = [token.type for token in tokens if token.nesting > 0 and token.type != "list_item_open"]
    assert opened == ["heading_open", "paragraph_open", "bullet_list_open", "paragraph_open", "paragraph_open"]
    assert inlines(tokens) == [*(one_line(text) for text in (heading, paragraph, item)), "last"]


@given(TEXTS)
def test_no_tag_in_the_source(text: str) -> None:
    """Also for a reader that is no CommonMark parser, no `<` stands before a letter outside of code."""
    source = escape(text)
    pairs = pairwise(source)
    assert not any(before == "<" and after.isascii() and after.isalpha() for before, after in pairs)


@pytest.mark.parametrize(
    "text", ["~33.2 s [20-40 s]", ">160 s", "<100 ms", "max_num_seqs", "p95 <= 2 s", "1.2/s", "R&D"]
)
def test_own_numbers_stay_readable(text: str) -> None:
    """What reports are full of needs no escape, so that the source reads as well as the page."""
    assert escape(text) == text


def test_strong() -> None:
    """What nobody may overlook is bold, and no more than bold."""
    tokens = PARSER.parse(markdown([Paragraph("DOWN: *x*", strong=True)]))
    assert [token.type for token in tokens[1].children or [] if token.type != "text" or token.content] == [
        *("strong_open", "text", "strong_close")
    ]


def test_columns_line_up() -> None:
    """The source of a table of numbers is aligned by width on a terminal, not by characters."""
    table = Table((Column("name"), Column("value", right=True)), (("漢字", "1"), ("abc", "12 ms")))
    assert markdown([table]).splitlines() == [
        "| name | value |",
        "| ---- | ----: |",
        "| 漢字 |     1 |",
        "| abc  | 12 ms |",
    ]


@pytest.mark.parametrize("text", ["[ ] a", "[x] a", "- a", "+ a", "> a"])
def test_line_starts_are_escaped(text: str) -> None:
    """An item that begins like a check box (which the parser above does not know) or like a block has it escaped."""
    assert markdown([Bullets((text,))]) == f"- \\{text}\n"
