"""LMDeploy's dialect on a page written after its sources."""

from __future__ import annotations

from collectors.engines.lmdeploy import LMDEPLOY
from tests.pages import counts, missing, reading


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
        "start_time_seconds": 1.76e9,
    }
    assert counts(result)["itl_seconds"] == (2968.0, 60.0)
    assert counts(result)["tpot_seconds"] == (30.0, 0.6)
    assert counts(result)["tokens_per_step"] == (730.0, 15000.0)
    assert missing(result, LMDEPLOY) == {}
