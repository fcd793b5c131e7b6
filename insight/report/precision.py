"""Numbers that stand under each other show the same digits: `46 ms` over `45.6 ms` becomes `46.0 ms`.

A number of three significant digits loses its zeros when it is written alone; in a column the eye compares digits, and
a missing one looks like a coarser measurement.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from insight.report.document import Table

_NUMBER = re.compile(r"(~?)(\d+(?:\.\d+)?) (µs|ms|s|%|[KMGT]iB(?:/s)?)")
"""What is measured on a scale without steps. Counts, watts, degrees and MHz are whole by nature."""


def precise(table: Table) -> Table:
    """Give the numbers of each column that share unit and magnitude the same digits, zeros at their end included."""
    places: dict[tuple[int, str, int], int] = {}
    for row in table.rows:
        for index, cell in enumerate(row):
            for part in cell.split("\n") if table.columns[index].right else ():
                found = _NUMBER.fullmatch(part)
                if found:
                    key = _key(index, found)
                    places[key] = max(len(found[2].partition(".")[2]), places.get(key, 0))
    if not any(places.values()):
        return table
    rows = tuple(
        tuple("\n".join(_filled(part, index, places) for part in cell.split("\n")) for index, cell in enumerate(row))
        for row in table.rows
    )
    return replace(table, rows=rows)


def _key(index: int, found: re.Match[str]) -> tuple[int, str, int]:
    """Tell by what numbers are compared: column, unit, and digits before the point."""
    return index, found[3], len(found[2].partition(".")[0])


def _filled(part: str, index: int, places: dict[tuple[int, str, int], int]) -> str:
    found = _NUMBER.fullmatch(part)
    if found is None or not float(found[2]):
        return part
    mark, number, unit = found.groups()
    wanted = places.get(_key(index, found), 0) - len(number.partition(".")[2])
    return f"{mark}{number}{'' if '.' in number else '.'}{'0' * wanted} {unit}" if wanted > 0 else part
