"""The dialect of SGLang's gateway on a page of a real one, and on one of before 0.3 written after its sources."""

from __future__ import annotations

from collectors.engines.sglang_router import SGLANG_ROUTER
from metrics.histogram import Histogram
from tests.pages import missing, reading


def test_numbers_are_those_of_the_page() -> None:
    """60 requests, all answered; the time to the head of a stream is not taken for that of the request."""
    result = reading("sglang-router", SGLANG_ROUTER)
    assert result.counters == {'requests_finished{model="tiny-llama"}': 60.0, 'http_requests{status="2xx"}': 60.0}
    assert result.gauges == {"requests_running": 0.0}
    assert result.histograms == {}
    assert {"ttft_seconds", "e2e_seconds", "output_tokens_total"} <= set(missing(result, SGLANG_ROUTER))


def test_a_summary_tells_its_mean() -> None:
    """Of a latency without buckets the count and the sum are read, and none of its quantiles."""
    result = reading("sgl-router", SGLANG_ROUTER)
    assert result.histograms == {"e2e_seconds": Histogram((), (30.0,), 60.0)}
    assert result.counters == {"requests_finished": 30.0, "requests_failed": 1.0}
    assert result.gauges == {"requests_running": 5.0, "requests_waiting": 4.0}
