"""TensorRT-LLM's dialect on pages written after its sources, and its page of steps."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.dialect import read
from collectors.engines.trtllm import TRTLLM
from collectors.engines.trtllm_json import read_steps
from collectors.exposition import Parser
from tests.pages import counts, missing, reading


def test_numbers_are_those_of_the_page() -> None:
    """Counters and gauges equal the page; the size of the cache is blocks times their size."""
    result = reading("trtllm", TRTLLM)
    assert result.counters == {
        'requests_finished{reason="stop"}': 50.0,
        'requests_finished{reason="length"}': 8.0,
        "requests_failed": 2.0,
        "prompt_tokens_total": 24000.0,
        "prompt_tokens_cached": 8000.0,
        "output_tokens_total": 6000.0,
        "spec_draft_tokens": 900.0,
        "spec_accepted_tokens": 600.0,
    }
    assert result.gauges == {
        "requests_running": 6.0,
        "requests_waiting": 2.0,
        "max_running_requests": 64.0,
        "kv_cache_usage": 0.375,
        "prefix_cache_hit_rate": 0.33,
        "kv_cache_capacity_tokens": 800.0 * 32.0,
    }
    assert counts(result)["ttft_seconds"] == (58.0, 12.0)
    assert counts(result)["tpot_seconds"] == (57.0, 1.1)
    assert missing(result, TRTLLM) == {}


def test_a_process_that_shares_the_page_is_not_counted_twice() -> None:
    """Gauges are there once for each process: the one that serves tells them, the other stays at 0."""
    assert reading("trtllm", TRTLLM).gauges["kv_cache_capacity_tokens"] == 25600.0


@pytest.mark.parametrize(
    ("lines", "known"),
    [
        ({"kv_cache_hit_rate": 0.0, "spec_decode_acceptance_length": 0.0}, {}),
        ({"kv_cache_hit_rate": 0.0, "kv_cache_missed_blocks_total": 5.0}, {"prefix_cache_hit_rate": 0.0}),
        ({"kv_cache_hit_rate": 0.25}, {"prefix_cache_hit_rate": 0.25}),  # the first versions with a prefix: no counters
        ({"spec_decode_acceptance_length": 2.5}, {"spec_acceptance_length": 2.5}),
    ],
)
def test_a_mean_of_nothing_is_not_known(lines: dict[str, float], known: dict[str, float]) -> None:
    """A hit rate is one after the first block that was looked up, a length after the first draft; both say why not."""
    page = "".join(f'trtllm_{name}{{model_name="m"}} {value}\n' for name, value in lines.items())
    result = read(TRTLLM, Parser().parse(page.encode()))
    assert result.gauges == known
    told = {"kv_cache_hit_rate": "prefix_cache_hit_rate", "spec_decode_acceptance_length": "spec_acceptance_length"}
    unknown = {told[name] for name in lines if name in told} - set(known)
    assert unknown == set(told.values()) & set(missing(result, TRTLLM))


def test_the_first_versions_have_no_prefix() -> None:
    """They tell four latencies and the reasons why requests ended; the rest is named."""
    result = reading("trtllm-bare", TRTLLM)
    assert counts(result) == {
        "ttft_seconds": (10.0, 2.0),
        "tpot_seconds": (10.0, 0.2),
        "e2e_seconds": (10.0, 40.0),
        "queue_seconds": (10.0, 1.0),
    }
    assert result.counters == {'requests_finished{reason="stop"}': 9.0, 'requests_finished{reason="length"}': 1.0}
    assert {"requests_running", "output_tokens_total", "kv_cache_usage"} <= set(missing(result, TRTLLM))


def step(number: int, completed: int = 0, generating: int = 4, prompt: int = 0) -> dict[str, object]:
    return {
        "iter": number,
        "numActiveRequests": generating,
        "numQueuedRequests": 3,
        "numCompletedRequests": completed,
        "maxNumActiveRequests": 2048,
        "kvCacheStats": {"maxNumBlocks": 1000, "usedNumBlocks": 250, "tokensPerBlock": 32, "cacheHitRate": 0.5},
        "inflightBatchingStats": {
            "numCtxTokens": prompt,
            "numGenRequests": generating,
            "avgNumDecodedTokensPerIter": 2.0,
        },
        "specDecodingStats": {"numDraftTokens": 8, "numAcceptedTokens": 4},
        "staticBatchingStats": None,
    }


def test_steps_are_added_up() -> None:
    """Two steps of 4 requests and 2 tokens each are 16 tokens; gauges are those of the newest step."""
    result = read_steps(msgspec.json.encode([step(1, prompt=100), step(2, completed=1)]))
    assert result is not None
    assert result.counters == {
        "requests_finished": 1.0,
        "prompt_tokens_computed": 100.0,
        "output_tokens_total": 16.0,
        "engine_steps": 2.0,
        "spec_draft_tokens": 16.0,
        "spec_accepted_tokens": 8.0,
    }
    assert result.gauges == {
        "requests_running": 4.0,
        "requests_waiting": 3.0,
        "max_running_requests": 2048.0,
        "kv_cache_usage": 0.25,
        "kv_cache_capacity_tokens": 32000.0,
    }


def test_each_step_is_told_once_and_counted_on() -> None:
    """What the next poll reads is added; an empty page changes no counter and knows no gauge."""
    first = read_steps(msgspec.json.encode([step(1)]))
    assert first is not None
    second = read_steps(msgspec.json.encode([step(2)]), first.counters)
    assert second is not None
    assert second.counters["output_tokens_total"] == 16.0
    empty = read_steps(b"[]", second.counters)
    assert empty is not None
    assert (empty.counters, empty.gauges) == (second.counters, {})
    assert "requests_running" in {each.what for each in empty.missing}


def test_a_step_that_cannot_be_takes_nothing_away() -> None:
    """A step below 0, or of more than there can be, is not counted, and its gauges are not known."""
    steps = read_steps(
        msgspec.json.encode([step(1), step(2, completed=-3, prompt=-5), {"iter": 3, "numActiveRequests": -1}])
    )
    good = read_steps(msgspec.json.encode([step(1), step(2)]))
    assert steps is not None
    assert good is not None
    assert steps.counters == {**good.counters, "engine_steps": 3.0}
    assert steps.gauges == {}


@pytest.mark.parametrize("body", [b"", b"{}", b'[{"id":"m"}]', b"[1]", b'["x"]', b"<html>", b"\xff", b'"[]"'])
def test_another_answer_is_none_of_these(body: bytes) -> None:
    """A list of something else is not taken for steps."""
    assert read_steps(body) is None


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=4)))
def test_no_answer_raises(answer: object) -> None:
    """Whatever JSON comes, nothing is raised."""
    read_steps(msgspec.json.encode(answer))
