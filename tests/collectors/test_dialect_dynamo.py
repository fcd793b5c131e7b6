"""Dynamo's dialect on pages written after its sources: a frontend with two models, and a worker."""

from __future__ import annotations

from collectors.engines.dynamo import DYNAMO
from tests.pages import counts, missing, reading


def test_numbers_of_a_frontend_are_those_of_the_page_by_model() -> None:
    """Requests by their status, tokens, queue and the size of the cache of each model."""
    result = reading("dynamo", DYNAMO)
    assert result.counters['requests_finished{model="a",reason="success"}'] == 40.0
    assert result.counters['requests_failed{model="a"}'] == 2.0
    assert result.counters['requests_rejected{model="a"}'] == 3.0
    assert result.counters['prompt_tokens_total{model="b"}'] == 3000.0
    assert result.counters['prompt_tokens_cached{model="b"}'] == 500.0
    assert result.counters['output_tokens_total{model="a"}'] == 8000.0
    assert result.gauges['requests_running{model="a"}'] == 6.0
    assert result.gauges['requests_waiting{model="a"}'] == 2.0
    assert result.gauges['kv_cache_capacity_tokens{model="a"}'] == 1000.0 * 16.0
    assert result.gauges['kv_cache_capacity_tokens{model="b"}'] == 500.0 * 32.0
    assert result.gauges['max_model_len{model="b"}'] == 4096.0
    assert counts(result)['ttft_seconds{model="a"}'] == (40.0, 10.0)
    assert counts(result)['itl_seconds{model="b"}'] == (10.0, 20.0)
    assert set(missing(result, DYNAMO)) == {"kv_cache_usage"}


def test_numbers_of_a_worker_are_those_of_the_page() -> None:
    """A worker tells its load and its cache, which is a ratio despite its name."""
    result = reading("dynamo-worker", DYNAMO)
    assert result.counters == {"requests_finished": 50.0, "requests_failed": 1.0}
    assert result.gauges == {"requests_running": 7.0, "kv_cache_usage": 0.42}
