"""Numbers under each other have the same digits."""

from __future__ import annotations

import pytest

from insight.report.document import Column, Table
from insight.report.precision import precise


def column(*cells: str, right: bool = True) -> list[str]:
    table = Table((Column("name"), Column("value", right=right)), tuple(("x", cell) for cell in cells))
    return [row[1] for row in precise(table).rows]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("46 ms", "45.6 ms"), ["46.0 ms", "45.6 ms"]),
        (("~5 s\n[2.5-5 s]", "~4.26 s\n[2.5-5 s]"), ["~5.00 s\n[2.5-5 s]", "~4.26 s\n[2.5-5 s]"]),
        (("96.1 %", "81 %", "100 %", "0 %"), ["96.1 %", "81.0 %", "100 %", "0 %"]),
        (("46 ms", "4.5 s", "460 ms"), ["46 ms", "4.5 s", "460 ms"]),
        (("41 s", "5 s", "1 min"), ["41 s", "5 s", "1 min"]),
        (("8", "7.9", "508 W", "58 °C", "—", ""), ["8", "7.9", "508 W", "58 °C", "—", ""]),
    ],
)
def test_columns_are_even(before: tuple[str, ...], after: list[str]) -> None:
    """Zeros are put back where a neighbour of the same unit and size shows its digits, and nowhere else."""
    assert column(*before) == after


def test_words_are_left_alone() -> None:
    """A column of words is not touched, whatever looks like a number in it."""
    assert column("46 ms", "45.6 ms", right=False) == ["46 ms", "45.6 ms"]
