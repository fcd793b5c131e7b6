"""The worked example of CONTRIBUTING: a server that does not exist, and its dialect."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from textwrap import dedent

from collectors.engines.dialect import Dialect, read, speaks
from collectors.exposition import Parser
from metrics.histogram import Histogram

TEXT = Path(__file__).parents[2].joinpath("CONTRIBUTING.md").read_text("utf-8")
IMPORTS = """
from collectors.engines.dialect import Dialect
from collectors.engines.rule import Rule
from metrics.sample import Missing
"""


def test_the_dialect_reads_the_page(tmp_path: Path) -> None:
    """Every number of the example's page comes out as the example says, milliseconds as seconds; nothing is unknown."""
    page = Parser().parse(TEXT.split("```\nfoo:")[1].split("```")[0].join(("foo:", "")).encode())
    code = dedent(TEXT.split("```python\n")[1].split("```")[0])
    example = tmp_path / "foo.py"
    example.write_text(IMPORTS + code, "utf-8")
    dialect = runpy.run_path(str(example))["FOO"]
    assert isinstance(dialect, Dialect)
    assert speaks(dialect, page)
    result = read(dialect, page)
    assert result.gauges == {"requests_running": 3.0}
    assert result.counters == {"output_tokens_total": 900.0}
    assert result.histograms == {"queue_seconds": Histogram((0.1,), (5.0, 1.0), 0.42)}
    assert result.missing == dialect.absent


def test_every_file_that_contributing_names_is_there() -> None:
    """Whoever follows it finds what it speaks of; the example's own files alone are not there."""
    named = set(re.findall(r"`((?:chimera_top|collectors|metrics|insight|tui|simulator|tests)/[\w/.]+)`", TEXT))
    absent = {each for each in named if not Path(__file__).parents[2].joinpath(each).exists()}
    assert absent == {each for each in absent if "foo" in each}
    assert named - absent
