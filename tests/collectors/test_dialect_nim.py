"""NIM's dialect on a page written after one that was published."""

from __future__ import annotations

from collectors.engines.nim import NIM
from tests.pages import counts, missing, reading


def test_numbers_are_those_of_the_page() -> None:
    """Names without a prefix, exponents with three digits: each number equals the page."""
    result = reading("nim", NIM)
    assert result.counters == {
        'requests_finished{reason="length"}': 5.0,
        'requests_finished{reason="stop"}': 10.0,
        "requests_failed": 1.0,
        "prompt_tokens_total": 1090.0,
        "output_tokens_total": 1740.0,
    }
    assert result.gauges == {
        "requests_running": 3.0,
        "requests_waiting": 1.0,
        "max_running_requests": 64.0,
        "kv_cache_usage": 0.25,
        "start_time_seconds": 1.7303e9,
    }
    assert counts(result) == {
        "ttft_seconds": (15.0, 1.2),
        "itl_seconds": (1725.0, 18.0),
        "e2e_seconds": (15.0, 7.5),
        "prompt_tokens": (15.0, 1090.0),
        "output_tokens": (15.0, 1740.0),
    }
    assert missing(result, NIM) == {}
