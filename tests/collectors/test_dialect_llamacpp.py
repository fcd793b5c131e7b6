"""llama.cpp's dialect on a page of a real server; every number below stands on the page."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from collectors.engines import identify
from collectors.engines.dialect import Reading, read
from collectors.engines.llamacpp import LLAMACPP
from collectors.exposition import Parser

PAGES = Path(__file__).parent.parent / "fixtures" / "pages"
PAGE = gzip.decompress((PAGES / "llamacpp.prom.gz").read_bytes()).decode()


def reading(page: str) -> Reading:
    parsed = Parser().parse(page.encode())
    assert identify(parsed) is LLAMACPP
    return read(LLAMACPP, parsed)


def missing(result: Reading) -> dict[str, str]:
    return {each.what: each.why for each in result.missing if each not in LLAMACPP.absent}


def props(body: bytes) -> Reading:
    (endpoint,) = LLAMACPP.endpoints
    assert endpoint.path == "/props"
    return endpoint.read(body)


def test_numbers_are_those_of_the_page() -> None:
    """Counters and gauges equal the page; the prompt tokens of all requests are the computed and the cached ones."""
    result = reading(PAGE)
    assert result.counters == {
        "prompt_tokens_total": 25662.0 + 6355.0,
        "prompt_tokens_cached": 6355.0,
        "prompt_tokens_computed": 25662.0,
        "prompt_seconds_total": 61.028,
        "output_tokens_total": 3731.0,
        "output_seconds_total": 262.518,
        "engine_steps": 1005.0,
        "spec_drafts": 0.0,
        "spec_draft_tokens": 0.0,
        "spec_accepted_tokens": 0.0,
    }
    assert result.gauges == {"requests_running": 4.0, "requests_waiting": 31.0}
    assert result.facts == {"engine": "llamacpp", "lumpy_counters": "output_seconds_total, output_tokens_total"}


def test_gauges_that_reading_destroys_are_never_read() -> None:
    """`prompt_tokens_seconds` and `predicted_tokens_seconds` fall to 0 by being read: they change nothing here."""
    page = PAGE.replace("tokens_seconds 0\n", "tokens_seconds 123.4\n")
    assert page != PAGE
    assert reading(page) == reading(PAGE)


def test_what_llama_cpp_does_not_tell_is_named() -> None:
    """There is no histogram and no count of requests; each is named with what follows from that."""
    told = {each.what: each for each in reading(PAGE).missing}
    assert told["ttft_seconds"].why == "llama.cpp exports no latency histogram"
    assert told["ttft_seconds"].consequence == "TTFT cannot be watched without --probe"
    assert {"itl_seconds", "e2e_seconds", "queue_seconds", "requests_finished", "kv_cache_usage"} <= set(told)


def test_an_older_build_does_not_know_all_prompt_tokens() -> None:
    """Without a counter of cached tokens the total is not known, and is not taken for the computed ones."""
    page = "".join(line for line in PAGE.splitlines(keepends=True) if "cached" not in line and "spec_" not in line)
    result = reading(page)
    assert "prompt_tokens_total" not in result.counters
    assert result.counters["prompt_tokens_computed"] == 25662.0
    assert set(missing(result)) == {"prompt_tokens_total", "prompt_tokens_cached", "kv_cache_usage"}


def test_a_build_that_tells_its_cache_is_believed() -> None:
    """Until May 2025 there was a gauge of the KV cache."""
    result = reading(PAGE + "llamacpp:kv_cache_usage_ratio 0.25\n")
    assert result.gauges["kv_cache_usage"] == 0.25
    assert missing(result) == {}


def test_props_tell_version_model_and_limits() -> None:
    """`/props` tells the build, the model, the slots and the longest sequence of one."""
    assert props((PAGES / "llamacpp-props.json").read_bytes()) == Reading(
        gauges={"max_running_requests": 4.0, "max_model_len": 2048.0},
        facts={"engine_version": "b1-0c1e570", "model": "small-llama", "model_ftype": "F16"},
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", Reading()),
        (b'{"model_path": "/models/a-b.gguf"}', Reading(facts={"model": "a-b.gguf"})),
        (b'{"total_slots": 0, "build_info": null}', Reading()),
    ],
)
def test_props_of_older_builds_tell_less(body: bytes, expected: Reading) -> None:
    """Fields that are not there are not known."""
    assert props(body) == expected
