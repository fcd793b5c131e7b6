"""Triton's dialect on pages written after its documentation, one for each backend."""

from __future__ import annotations

import pytest

from collectors.engines.triton import TRITON
from metrics.histogram import Histogram
from tests.pages import counts, missing, reading

MODEL = '{model="tensorrt_llm"}'


def test_an_ensemble_counts_each_request_once() -> None:
    """Four models count the same 200 requests: those of `tensorrt_llm` are the requests."""
    result = reading("triton", TRITON)
    assert result.counters == {
        f"requests_finished{MODEL}": 200.0,
        f"requests_failed{MODEL}": 3.0,
        'requests_rejected{model="tensorrt_llm",reason="REJECTED"}': 4.0,
        f"engine_steps{MODEL}": 4321.0,
    }
    assert result.gauges == {
        f"requests_running{MODEL}": 12.0,
        f"requests_waiting{MODEL}": 5.0,
        f"max_running_requests{MODEL}": 512.0,
        f"kv_cache_usage{MODEL}": 0.4875,
        f"kv_cache_capacity_tokens{MODEL}": 6240.0 * 64.0,
    }


def test_microseconds_become_means_in_seconds() -> None:
    """400 s over 200 requests are 2 s each, and no quantile is claimed; milliseconds have their buckets."""
    histograms = reading("triton", TRITON).histograms
    e2e = histograms[f"e2e_seconds{MODEL}"]
    assert (e2e.bounds, e2e.mean) == ((), 2.0)
    assert histograms[f"queue_seconds{MODEL}"].mean == pytest.approx(0.1)
    assert histograms[f"ttft_seconds{MODEL}"] == Histogram((0.1, 0.5, 2.0, 5.0), (150.0, 40.0, 10.0, 0.0, 0.0), 30.0)


def test_the_vllm_backend_tells_tokens_and_quantiles() -> None:
    """Its series have the label `model`, and its histograms are preferred to the means."""
    result = reading("triton-vllm", TRITON)
    assert result.counters['output_tokens_total{model="model-e"}'] == 1000.0
    assert counts(result)['ttft_seconds{model="model-e"}'] == (20.0, 3.0)
    assert result.histograms['e2e_seconds{model="model-e"}'].bounds
    assert set(missing(result, TRITON)) == {
        "engine_steps",
        "requests_running",
        "kv_cache_usage",
        "kv_cache_capacity_tokens",
    }
