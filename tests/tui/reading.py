"""Rows as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tui.rows import Row


def text_of(rows: Iterable[Row]) -> str:
    """Write rows as plain text."""
    return "\n".join("".join(text for text, _ in row).rstrip() for row in rows)
