"""Text in cells: cutting, padding, joining, bars, ASCII."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tui.rows import bar, cells, crop, fit, fit_row, row_width, spread, to_ascii, wrap

if TYPE_CHECKING:
    from tui.palette import StyleName
    from tui.rows import Span

STYLES: list[StyleName] = ["plain", "dim"]
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=60)


@given(TEXT, st.integers(0, 80))
def test_fit_is_exact(text: str, width: int) -> None:
    """Any text, cut or padded, takes exactly the cells asked for."""
    assert cells(fit(text, width)) == width
    assert cells(fit(text, width, ">")) == width
    assert cells(crop(text, width)) <= width


def test_crop_shows_that_something_is_missing() -> None:
    """What is cut ends in an ellipsis, also between wide glyphs; what fits is left alone."""
    assert crop("overloading", 6) == "overl…"
    assert crop("日本語", 4) == "日…"
    assert crop("fits", 4) == "fits"


@given(st.lists(st.tuples(TEXT, st.sampled_from(STYLES)), max_size=6), st.integers(0, 60))
def test_rows_are_exact(row: list[Span], width: int) -> None:
    """A row of any spans, cut or padded, takes exactly the cells asked for."""
    assert row_width(fit_row(row, width)) == width


def test_spread_keeps_the_right_end() -> None:
    """When both do not fit, the left side is cut and the right side stays."""
    row = spread((("a long left side", "plain"),), (("right", "dim"),), 12)
    assert "".join(text for text, _ in row) == "a long…right"


@given(TEXT, st.integers(1, 40), st.integers(1, 6))
def test_wrap_fits(text: str, width: int, most: int) -> None:
    """Wrapped lines fit their width, and there are no more than asked for."""
    lines = wrap(text, width, most)
    assert len(lines) <= most
    assert all(cells(line) <= width for line in lines)


def test_bar_to_the_eighth() -> None:
    """A bar shows a share to the eighth of a cell, something above 0 always shows, and nothing is unknown."""
    assert bar(0.5, 4) == "██  "
    assert bar(0.40625, 4) == "█▋  "
    assert bar(0.001, 4) == "▏   "
    assert bar(0.0, 4) == "    "
    assert bar(7.0, 4) == "████"
    assert bar(None, 4) == "    "


@given(TEXT)
def test_ascii_keeps_the_width(text: str) -> None:
    """Written in ASCII, a row is as wide as before."""
    row = fit_row(((text, "plain"),), 30)
    written = to_ascii(row)
    assert row_width(written) == 30
    assert all(each.isascii() for each, _ in written)
