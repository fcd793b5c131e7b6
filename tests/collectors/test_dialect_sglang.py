"""SGLang's dialect on pages of a real server, and on one of two data-parallel ranks written after its sources."""

from __future__ import annotations

from collectors.engines import identify
from collectors.engines.dialect import Reading, read
from collectors.engines.sglang import SGLANG
from collectors.exposition import Parser
from tests.pages import counts, missing, reading

OLD = """
sglang:prompt_tokens_total{model_name="m"} 800
sglang:generation_tokens_total{model_name="m"} 700
sglang:cached_tokens_total{model_name="m"} 60
sglang:num_running_reqs{model_name="m"} 3
sglang:num_queue_reqs{model_name="m"} 2
sglang:token_usage{model_name="m"} 0.28
"""


def old(page: str) -> Reading:
    parsed = Parser().parse(page.encode())
    assert identify(parsed) is SGLANG
    return read(SGLANG, parsed)


def test_numbers_of_a_busy_server_are_those_of_the_page() -> None:
    """Tokens as they are worked on: 1388 decoded and the first of 25 requests; 8001 computed and 2116 cached."""
    result = reading("sglang-busy", SGLANG)
    assert result.counters == {
        "requests_finished": 18.0,
        'http_requests{status="2xx"}': 18.0,
        'http_requests{status="4xx"}': 1.0,
        "prompt_tokens_total": 8001.0 + 2116.0,
        "prompt_tokens_cached": 2116.0,
        "prompt_tokens_computed": 8001.0,
        "output_tokens_total": 1388.0 + 25.0,
    }
    assert result.gauges == {
        "requests_running": 7.0,
        "requests_waiting": 0.0,
        'requests_waiting{reason="grammar"}': 0.0,
        "kv_cache_usage": 0.35,
        "kv_cache_capacity_tokens": 8192.0,
        "max_model_len": 2048.0,
    }
    assert counts(result) == {
        "ttft_seconds": (25.0, round(0.08850873799474357 + 47.57193905999884, 9)),
        "itl_seconds": (1381.0, 196.762632252),
        "tpot_seconds": (18.0, round(0.027002772143597604 + 2.2994538685938744, 9)),
        "e2e_seconds": (18.0, round(0.2775281429999268 + 182.27066834700054, 9)),
        "queue_seconds": (28.0, 0.018121636),
        "prefill_seconds": (27.0, 45.575451689),
        "prompt_tokens": (18.0, 7164.0),
        "output_tokens": (18.0, 1004.0),
    }
    assert result.facts == {"engine": "sglang", "model": "small-llama"}


def test_the_first_token_of_a_request_is_counted() -> None:
    """After one request of 8 tokens the page says 7 decoded: the first came from the prefill."""
    result = reading("sglang", SGLANG)
    assert result.counters["output_tokens_total"] == 8.0
    drafts = {"spec_acceptance_rate", "spec_acceptance_length"}
    assert set(missing(result, SGLANG)) == {"itl_seconds", "prompt_tokens_cached", "preemptions"} | drafts


def test_an_older_server_counts_when_a_request_ends() -> None:
    """Without `realtime_tokens_total` the counters are those of finished requests, and are marked so."""
    result = old(OLD)
    assert result.counters["output_tokens_total"] == 700.0
    assert result.counters["prompt_tokens_total"] == 800.0
    assert result.facts["lumpy_counters"] == "output_tokens_total, prompt_tokens_cached, prompt_tokens_total"
    assert "lumpy_counters" not in reading("sglang-busy", SGLANG).facts


def test_a_total_beside_its_parts_is_not_counted_twice() -> None:
    """`cache_source="total"` is the sum of the others; without it they are added."""
    parts = 'sglang:cached_tokens_total{model_name="m",cache_source="device"} 5\n'
    parts += 'sglang:cached_tokens_total{model_name="m",cache_source="host"} 2\n'
    base = OLD.replace('sglang:cached_tokens_total{model_name="m"} 60\n', parts)
    assert old(base).counters["prompt_tokens_cached"] == 7.0
    total = 'sglang:cached_tokens_total{model_name="m",cache_source="total"} 7\n'
    assert old(base + total).counters["prompt_tokens_cached"] == 7.0


def test_ranks_that_say_the_same_are_counted_once() -> None:
    """Two tensor ranks of each of two data-parallel ranks report: the former say the same, the latter add up."""
    result = reading("sglang-dp2", SGLANG)
    assert result.gauges['requests_running{engine="0"}'] == 6.0
    assert result.gauges['requests_running{engine="1"}'] == 4.0
    assert result.counters['prompt_tokens_total{engine="0"}'] == 8000.0
    assert result.counters['prompt_tokens_total{engine="1"}'] == 4000.0
    assert result.counters["output_tokens_total"] == 1000.0 + 500.0 + 23.0
    assert counts(result)['queue_seconds{engine="0"}'] == (12.0, 1.5)
    assert counts(result)['queue_seconds{engine="1"}'] == (10.0, 0.5)


def test_streams_and_others_are_added_up() -> None:
    """`is_streaming` splits histograms and counters: together they are the whole."""
    result = reading("sglang-dp2", SGLANG)
    assert counts(result)["ttft_seconds"] == (23.0, 12.0)
    assert result.counters["requests_finished"] == 20.0
    assert result.counters['requests_finished{reason="abort"}'] == 3.0


def test_an_empty_priority_is_the_sum_of_the_others() -> None:
    """With priorities, a queue is there once as a whole and once for each priority."""
    result = reading("sglang-dp2", SGLANG)
    assert result.gauges['requests_waiting{engine="0"}'] == 3.0


LAGGING = """
sglang:num_running_reqs{model_name="m"} 0
sglang:num_queue_reqs{model_name="m"} 0
sglang:token_usage{model_name="m"} 0
sglang:http_requests_active{endpoint="/v1/chat/completions",method="POST"} 8
sglang:http_requests_active{endpoint="/metrics",method="GET"} 1
"""
LOAD = ("requests_running", "requests_waiting", "kv_cache_usage")


def test_gauges_that_lag_are_not_0() -> None:
    """Eight requests are open and the scheduler has told of none: how many run is not known, and it says why."""
    result = old(LAGGING)
    assert result.gauges == {"requests_waiting": 0.0}
    assert {missing(result, SGLANG)[each] for each in ("requests_running", "kv_cache_usage")} == {
        "SGLang has not told it yet: it does at a prefill and at every 40th step of decoding"
    }


def test_gauges_are_believed_where_nothing_is_open_and_where_they_say_anything() -> None:
    """Monitors ask, and no client: 0 is 0. One that runs while eight are open is what the scheduler said last."""
    assert [old(LAGGING.replace("} 8", "} 0")).gauges[each] for each in LOAD] == [0.0, 0.0, 0.0]
    seen = old(LAGGING.replace('reqs{model_name="m"} 0', 'reqs{model_name="m"} 1', 1))
    assert [seen.gauges[each] for each in LOAD] == [1.0, 0.0, 0.0]
    assert [old(OLD).gauges[each] for each in LOAD] == [3.0, 2.0, 0.28]


def test_speculation_that_is_off_is_not_one_that_fails() -> None:
    """Without speculation its gauges are 0, which would be that no draft is ever accepted."""
    off = 'sglang:spec_accept_rate{model_name="m"} 0\nsglang:spec_accept_length{model_name="m"} 0\n'
    on = off.replace('rate{model_name="m"} 0', 'rate{model_name="m"} 0.6').replace("} 0\n", "} 2.5\n")
    found = old(OLD + on).gauges
    assert (found["spec_acceptance_rate"], found["spec_acceptance_length"]) == (0.6, 2.5)
    assert not {"spec_acceptance_rate", "spec_acceptance_length"} & set(old(OLD + off).gauges)
    assert "--speculative-algorithm" in missing(old(OLD + off), SGLANG)["spec_acceptance_rate"]


def test_a_hit_rate_of_one_batch_is_never_read() -> None:
    """`cache_hit_rate` is that of the last prefill batch, and 0 after each log line of older servers: counters tell."""
    assert old(OLD + 'sglang:cache_hit_rate{model_name="m"} 0\n') == old(OLD)


def test_what_monitors_ask_for_is_no_load() -> None:
    """Health checks that answered 503 while the server started are no failing requests."""
    assert 'http_requests{status="5xx"}' not in reading("sglang-busy", SGLANG).counters


def test_flags_and_limits_are_asked_for() -> None:
    """`/server_info` tells version, flags and the batch of all ranks; `/model_info` and `/v1/models` the model."""
    answers = {endpoint.path: endpoint for endpoint in SGLANG.endpoints}
    body = b'{"version":"0.5.23","max_running_requests":8,"dp_size":2,"tp_size":1,"quantization":null,"x":[1]}'
    assert answers["/server_info"].read(body) == Reading(
        gauges={"max_running_requests": 16.0}, facts={"engine_version": "0.5.23", "dp_size": "2", "tp_size": "1"}
    )
    model = answers["/model_info"].read(b'{"served_model_name":"small-llama","model_path":"/m"}')
    assert model.facts == {"model": "small-llama", "model_path": "/m"}
    assert answers["/v1/models"].read(b'{"data":[{"id":"m","max_model_len":2048}]}').gauges == {"max_model_len": 2048.0}
    assert "/health" not in answers
