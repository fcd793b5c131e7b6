"""LMDeploy's dialect on a page written after its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.engines.dialect import read
from collectors.engines.lmdeploy import LMDEPLOY
from collectors.exposition import Parser
from tests.pages import counts, missing, reading

if TYPE_CHECKING:
    from collectors.engines.dialect import Reading


def test_numbers_are_those_of_the_page() -> None:
    """Counters, gauges and histograms equal the page, `iteration_tokens_total` being one of the last."""
    result = reading("lmdeploy", LMDEPLOY)
    assert result.counters == {
        "engine_steps": 730.0,
        'requests_finished{reason="ResponseType.FINISH"}': 30.0,
        "requests_failed": 2.0,
        "prompt_tokens_total": 12000.0,
        "prompt_tokens_cached": 4800.0,
        "output_tokens_total": 3000.0,
        "spec_drafts": 10.0,
        "spec_draft_tokens": 40.0,
        "spec_accepted_tokens": 20.0,
    }
    assert result.gauges == {
        "requests_running": 5.0,
        "requests_waiting": 2.0,
        'requests_waiting{reason="api"}': 1.0,
        "kv_cache_usage": 0.6,
        "prefix_cache_hit_rate": 0.4,
        "start_time_seconds": 1.76e9,
    }
    assert counts(result)["itl_seconds"] == (2968.0, 60.0)
    assert counts(result)["tpot_seconds"] == (30.0, 0.6)
    assert counts(result)["tokens_per_step"] == (730.0, 15000.0)
    assert missing(result, LMDEPLOY) == {}


def page(queries: int, hit_rate: float, drafts: int, length: float) -> Reading:
    """Read what LMDeploy 0.14 shows of caching and speculation: its gauges are there from the start, at 0."""
    labels = '{model_name="m",engine="0"}'
    lines = {
        "prompt_tokens_total": queries,
        "prefix_cache_hit_rate": hit_rate,
        "spec_decode_num_drafts_total": drafts,
        "spec_decode_mean_accept_rate": max(0.0, length - 1) / 4,
        "spec_decode_mean_accept_length": length,
    }
    text = "".join(f"lmdeploy:{name}{labels} {value}\n" for name, value in lines.items())
    return read(LMDEPLOY, Parser().parse(text.encode()))


def test_means_of_nothing_are_not_known() -> None:
    """Before the first prompt and the first draft they are 0, and why is said; then they are what the page says."""
    gauges = ("prefix_cache_hit_rate", "spec_acceptance_rate", "spec_acceptance_length")
    fresh = page(0, 0.0, 0, 0.0)
    assert not set(gauges) & set(fresh.gauges)
    assert {missing(fresh, LMDEPLOY)[each] for each in gauges} == {
        "LMDeploy was asked nothing yet",
        "LMDeploy has drafted no token yet",
    }
    assert [page(500, 0.0, 10, 3.0).gauges[each] for each in gauges] == [0.0, 0.5, 3.0]
    assert page(500, 0.0, 10, 1.0).gauges["spec_acceptance_rate"] == 0.0
