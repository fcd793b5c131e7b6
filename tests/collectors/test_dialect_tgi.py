"""TGI's dialect on a page written after its sources."""

from __future__ import annotations

from collectors.engines.dialect import Reading
from collectors.engines.tgi import TGI
from tests.pages import counts, missing, reading


def test_numbers_are_those_of_the_page() -> None:
    """Counters, gauges and histograms equal the page; tokens are the sums of the histograms of lengths."""
    result = reading("tgi", TGI)
    assert result.counters == {
        "requests_finished": 40.0,
        "requests_failed": 1.0,
        'requests_rejected{reason="overloaded"}': 3.0,
        'requests_rejected{reason="validation"}': 2.0,
        "prompt_tokens_total": 18000.0,
        "output_tokens_total": 8200.0,
        "engine_steps": 1530.0,
    }
    assert result.gauges == {
        "requests_running": 8.0,
        "requests_waiting": 4.0,
        "kv_cache_usage": 12000.0 / 16000.0,
        "kv_cache_capacity_tokens": 16000.0,
    }
    assert counts(result) == {
        "tpot_seconds": (40.0, 1.6),
        "e2e_seconds": (40.0, 300.0),
        "queue_seconds": (40.0, 12.0),
        "prompt_tokens": (45.0, 18000.0),
        "output_tokens": (40.0, 8200.0),
    }
    assert missing(result, TGI) == {}
    assert result.facts == {"engine": "tgi", "lumpy_counters": "output_tokens_total"}


def test_info_tells_model_version_and_limits() -> None:
    """`/info` tells what the page does not."""
    (info,) = TGI.endpoints
    assert info.read(b'{"model_id":"m","version":"3.3.7","max_total_tokens":4096,"max_input_tokens":4095}') == Reading(
        gauges={"max_model_len": 4096.0},
        facts={"model": "m", "engine_version": "3.3.7", "max_input_tokens": "4095"},
    )
