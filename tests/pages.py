"""The pages under `tests/fixtures/pages`, read as the collector reads them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.engines import identify
from collectors.engines.dialect import read
from collectors.exposition import Parser

if TYPE_CHECKING:
    from collectors.engines.dialect import Dialect, Reading

FOLDER = Path(__file__).parent / "fixtures" / "pages"
NAMES = sorted(path.name.removesuffix(".prom.gz") for path in FOLDER.glob("*.prom.gz"))


def text(name: str) -> str:
    """Unpack a page."""
    return gzip.decompress((FOLDER / f"{name}.prom.gz").read_bytes()).decode()


def reading(name: str, dialect: Dialect) -> Reading:
    """Read a page, which must be recognised as that of `dialect`."""
    page = Parser().parse(text(name).encode())
    assert identify(page) is dialect
    return read(dialect, page)


def missing(result: Reading, dialect: Dialect) -> dict[str, str]:
    """Say what is missing and why, but for what no version tells."""
    return {each.what: each.why for each in result.missing if each not in dialect.absent}


def counts(result: Reading) -> dict[str, tuple[float, float]]:
    """Give count and sum of every histogram."""
    return {name: (each.count, round(each.sum, 9)) for name, each in result.histograms.items()}
