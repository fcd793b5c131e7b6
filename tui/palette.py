"""The one place where the name of a style becomes a look.

Sixteen colours and the terminal's own foreground and background: plain SSH forwards no more, and the user's palette is
respected. One colour each for critical, warning, good and the series of a graph. Without colours (`NO_COLOR`) what is
wrong stays visible by bold, underline and reverse; and it is always said in words as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rich.style import Style

if TYPE_CHECKING:
    from collections.abc import Mapping

StyleName = Literal[
    "plain",
    "dim",
    "bold",
    "critical",
    "warning",
    "good",
    "badge_critical",
    "badge_warning",
    "badge_good",
    "badge",
    "series1",
    "series2",
    "series3",
    "series4",
]


def _look(color: str | None = None, *, bold: bool = False, dim: bool = False) -> Style:
    return Style(color=color, bold=bold or None, dim=dim or None)


def _badge(color: str | None = None) -> Style:
    return Style(color=color, bold=True, reverse=True)


COLOURED: Mapping[str, Style] = {
    "plain": _look(),
    "dim": _look(dim=True),
    "bold": _look(bold=True),
    "critical": _look("red", bold=True),
    "warning": _look("yellow"),
    "good": _look("green"),
    "badge_critical": _badge("red"),
    "badge_warning": _badge("yellow"),
    "badge_good": _badge("green"),
    "badge": _badge(),
    "series1": _look("cyan"),
    "series2": _look("magenta"),
    "series3": _look("bright_blue"),
    "series4": _look("bright_yellow"),
}
"""Every style name in ANSI colours."""

COLOURLESS: Mapping[str, Style] = {
    "plain": _look(),
    "dim": _look(dim=True),
    "bold": _look(bold=True),
    "critical": Style(bold=True, underline=True),
    "warning": Style(underline=True),
    "good": _look(),
    "badge_critical": _badge(),
    "badge_warning": Style(reverse=True),
    "badge_good": _look(bold=True),
    "badge": _badge(),
    "series1": _look(bold=True),
    "series2": _look(dim=True),
    "series3": _look(),
    "series4": _look(dim=True),
}
"""Every style name without a colour."""
