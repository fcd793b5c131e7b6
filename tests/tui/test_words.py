from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from collectors.engines import DIALECTS
from collectors.engines.ollama import OLLAMA
from insight.engines import ENGINES
from tests.tui import canned
from tests.tui.reading import text_of
from tui.panes import load
from tui.view import View

if TYPE_CHECKING:
    from collectors.engines.dialect import Dialect
    from metrics.observed import Measure


@pytest.mark.parametrize("dialect", [*DIALECTS, OLLAMA], ids=lambda each: str(each.engine))
def test_an_engine_is_called_as_its_makers_call_it(dialect: Dialect) -> None:
    """Every engine that can be recognised has its name on the screen."""
    assert ENGINES[dialect.engine] == dialect.title


def shown(label: str, **quantities: Measure) -> str:
    snapshot = canned.overloaded()
    target = replace(snapshot.targets[0], quantities=quantities)
    text = text_of(load.phases(replace(snapshot, targets=(target,)), View(), 60, 20))
    found = re.search(rf"{label} +(\S+ ?%?)", text)
    return found[1].strip() if found else ""


def test_a_share_that_the_server_tells_itself_stands_where_it_counts_nothing() -> None:
    """What the window counted comes first; a gauge of the server's is better than `—`, and not known is `—`."""
    counted = {"prompt_tokens_cached": canned.counter(2.0), "prompt_tokens_total": canned.counter(10.0)}
    rates = {"prefix_cache_hit_rate": canned.gauge(0.5), "spec_acceptance_rate": canned.gauge(0.75)}
    assert shown("prefix hit", **counted, **rates) == "20 %"
    assert shown("prefix hit", **rates, prompt_tokens_total=canned.counter(10.0)) == "50 %"
    assert shown("accepted", **rates) == "75 %"
    assert shown("accepted", **counted) == "—"
    idle = {"spec_accepted_tokens": canned.counter(0.0), "spec_draft_tokens": canned.counter(0.0)}
    assert shown("accepted", **idle, **rates) == "—"
