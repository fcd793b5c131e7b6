"""vLLM's dialect on pages of real servers; every number below stands on the page."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from collectors.engines import identify
from collectors.engines.dialect import Reading, read
from collectors.engines.vllm import VLLM
from collectors.exposition import Parser
from metrics.histogram import Histogram

PAGES = Path(__file__).parent.parent / "fixtures" / "pages"
QUIET = {each.what for each in VLLM.absent}


def captured(name: str) -> str:
    return gzip.decompress((PAGES / f"{name}.prom.gz").read_bytes()).decode()


def reading(page: str) -> Reading:
    parsed = Parser().parse(page.encode())
    assert identify(parsed) is VLLM
    return read(VLLM, parsed)


def answer(path: str, body: bytes) -> Reading:
    (endpoint,) = (each for each in VLLM.endpoints if each.path == path)
    return endpoint.read(body)


def missing(result: Reading) -> dict[str, str]:
    return {each.what: each.why for each in result.missing if each.what not in QUIET}


def test_counters_are_those_of_the_page() -> None:
    """Under overload every counter equals the number on the page, the parts that have a reason kept apart."""
    assert reading(captured("vllm-overload")).counters == {
        'requests_finished{reason="stop"}': 0.0,
        'requests_finished{reason="length"}': 100.0,
        'requests_finished{reason="abort"}': 0.0,
        'requests_finished{reason="error"}': 0.0,
        'requests_finished{reason="repetition"}': 0.0,
        "requests_failed": 0.0,
        'requests_rejected{reason="max_num_queued_reqs"}': 0.0,
        'requests_rejected{reason="max_num_queued_tokens"}': 0.0,
        'http_requests{status="2xx"}': 107.0,
        'http_requests{status="4xx"}': 3.0,
        "prompt_tokens_total": 56746.0,
        "prompt_tokens_cached": 128.0,
        "prompt_tokens_computed": 56618.0,
        "prompt_tokens_prefilled": 49912.0,
        "output_tokens_total": 7171.0,
        "preemptions": 3.0,
        "engine_steps": 1084.0,
    }


def test_gauges_are_those_of_the_page() -> None:
    """Running, waiting, the KV cache as a ratio and its size in tokens, sleep and start equal the page."""
    assert reading(captured("vllm-overload")).gauges == {
        "requests_running": 8.0,
        "requests_waiting": 17.0,
        'requests_waiting{reason="capacity"}': 17.0,
        'requests_waiting{reason="deferred"}': 0.0,
        "kv_cache_usage": 0.9148936170212766,
        "kv_cache_capacity_tokens": 6144.0,
        "sleeping": 0.0,
        "start_time_seconds": 1795200751.08,
    }


def test_histograms_are_those_of_the_page() -> None:
    """Bounds are the page's own, counts are no longer cumulative, and count and sum equal the page."""
    histograms = reading(captured("vllm-overload")).histograms
    finite = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0)
    assert histograms["ttft_seconds"] == Histogram(
        (*finite, 80.0, 160.0, 640.0, 2560.0),
        (0, 0, 0, 0, 0, 0, 0, 0, 15, 7, 11, 12, 13, 21, 3, 3, 13, 16, 0, 0, 0, 0, 0),
        766.2605335712433,
    )
    assert (histograms["tokens_per_step"].count, histograms["tokens_per_step"].sum) == (1084.0, 63789.0)
    assert (histograms["prompt_tokens"].count, histograms["prompt_tokens"].sum) == (100.0, 50040.0)
    assert set(histograms) == {
        *("ttft_seconds", "itl_seconds", "tpot_seconds", "e2e_seconds", "queue_seconds", "prefill_seconds"),
        *("decode_seconds", "prompt_tokens", "output_tokens", "tokens_per_step"),
    }


def test_facts_are_those_of_the_page() -> None:
    """The model and the configuration of the cache are known in words; `None` is no fact."""
    assert reading(captured("vllm-overload")).facts == {
        "engine": "vllm",
        "model": "small-llama",
        "block_size": "128",
        "cache_dtype": "auto",
        "enable_prefix_caching": "True",
        "gpu_memory_utilization": "0.92",
        "kv_cache_max_concurrency": "3.0",
        "kv_cache_memory_bytes": "1073741824",
        "num_gpu_blocks": "48",
        "num_gpu_blocks_override": "48",
    }


@pytest.mark.parametrize("name", ["vllm-overload", "vllm-restarted", "vllm-lora"])
def test_a_page_of_today_lacks_nothing(name: str) -> None:
    """On 0.32 only what vLLM never tells is missing."""
    result = reading(captured(name))
    assert missing(result) == {}
    assert {each.what for each in result.missing} == QUIET


def test_idle_is_zero_and_not_unknown() -> None:
    """Before the first request counters and histograms are there, and 0; only HTTP requests are not counted yet."""
    result = reading(captured("vllm-idle"))
    assert missing(result) == {"http_requests": "vLLM has counted no HTTP request yet (before 0.8.3 it never does)"}
    assert result.counters["output_tokens_total"] == 0.0
    assert result.histograms["ttft_seconds"].count == 0.0
    assert result.gauges["requests_running"] == 0.0


def test_a_restart_is_visible() -> None:
    """After a restart counters are lower and the start time is another."""
    before, after = reading(captured("vllm-overload")), reading(captured("vllm-restarted"))
    assert after.counters["output_tokens_total"] < before.counters["output_tokens_total"]
    assert after.gauges["start_time_seconds"] > before.gauges["start_time_seconds"]


def test_the_adapters_in_use_are_the_newest() -> None:
    """Every combination of adapters stays on the page; the newest says which are in use now."""
    facts = reading(captured("vllm-lora")).facts
    assert (facts["lora_max"], facts["lora_running"], facts["lora_waiting"]) == ("1", "lora-a", "lora-a")
    assert facts["model"] == "tiny-llama"


def test_two_ranks_are_kept_apart() -> None:
    """A page of two data-parallel ranks gives two of everything that has a rank, and one of the rest."""
    page = captured("vllm-overload")
    second = [line.replace('engine="0"', 'engine="1"') for line in page.splitlines() if 'engine="0"' in line]
    result = reading(page + "\n".join(second) + "\n")
    assert result.counters['output_tokens_total{engine="0"}'] == 7171.0
    assert result.counters['output_tokens_total{engine="1"}'] == 7171.0
    assert result.counters['requests_finished{engine="1",reason="length"}'] == 100.0
    assert result.counters['requests_rejected{reason="max_num_queued_reqs"}'] == 0.0
    assert result.counters['http_requests{status="4xx"}'] == 3.0
    assert result.gauges['kv_cache_usage{engine="1"}'] == 0.9148936170212766
    assert result.gauges['kv_cache_capacity_tokens{engine="1"}'] == 6144.0
    assert result.gauges["start_time_seconds"] == 1795200751.08
    assert result.histograms['ttft_seconds{engine="0"}'] == result.histograms['ttft_seconds{engine="1"}']
    assert "output_tokens_total" not in result.counters
    assert missing(result) == {}


def test_older_names_are_understood() -> None:
    """Names before a renaming give the same quantities."""
    page = captured("vllm-overload")
    older = (
        page.replace("kv_cache_usage_perc", "gpu_cache_usage_perc")
        .replace("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds")
        .replace("vllm:request_queue_time_seconds", "vllm:time_in_queue_requests")
        .replace('kv_cache_size_tokens="6144",', "")
    )
    assert reading(older) == reading(page)


def test_what_an_older_version_lacks_is_named() -> None:
    """vLLM 0.12 counts no errors and no tokens by source; that is said, and the cache hits are taken from elsewhere."""
    gone = re.compile(r'.*(prompt_tokens_by_source|prompt_tokens_cached|finished_reason="(error|repetition)").*\n')
    result = reading(gone.sub("", captured("vllm-overload")))
    assert missing(result) == {
        "requests_failed": "vLLM before 0.13 does not count requests that ended in an error",
        "prompt_tokens_computed": "looks like vLLM, but `vllm:prompt_tokens_by_source_total` is missing",
    }
    assert result.counters["prompt_tokens_cached"] == 128.0
    assert 'requests_finished{reason="error"}' not in result.counters


def test_a_page_that_lacks_the_core_says_so() -> None:
    """A page that has the prefix and little else is recognised, and names what is missing."""
    result = reading('vllm:num_requests_running{model_name="m"} 1\nvllm:something_new{model_name="m"} 2\n')
    assert missing(result)["kv_cache_usage"] == "looks like vLLM, but `vllm:kv_cache_usage_perc` is missing"
    assert missing(result)["ttft_seconds"] == "looks like vLLM, but `vllm:time_to_first_token_seconds` is missing"
    assert result.gauges == {"requests_running": 1.0}
    assert result.counters == {}


def test_the_page_of_several_api_servers_has_no_start_time() -> None:
    """With several API server processes the process metrics vanish: the start is then not known, the rest is."""
    page = re.sub(r".*(process_|python_|_created).*\n", "", captured("vllm-overload"))
    assert missing(reading(page)) == {
        "start_time_seconds": "several API server processes share the page, which then tells no start time"
    }


@pytest.mark.parametrize("state", ["weights_offloaded", "discard_all"])
def test_a_sleeping_engine_sleeps(state: str) -> None:
    """Both depths of sleep are sleep."""
    page = captured("vllm-idle").replace('sleep_state="awake"} 1.0', 'sleep_state="awake"} 0.0')
    assert reading(page.replace(f'sleep_state="{state}"}} 0.0', f'sleep_state="{state}"}} 1.0')).gauges["sleeping"] == 1


@pytest.mark.parametrize(
    ("labels", "capacity"),
    [
        ('block_size="16",num_gpu_blocks="27000"', 432000.0),
        ('block_size="16",num_gpu_blocks="27000",kv_cache_size_tokens="431984"', 431984.0),
        ('block_size="16",num_gpu_blocks="None",kv_cache_size_tokens="None"', None),
        ('block_size="16",num_gpu_blocks="0"', None),
        ('block_size="16"', None),
        ('block_size="sixteen",num_gpu_blocks="٣"', None),
    ],
)
def test_the_size_of_the_cache_is_said_or_worked_out(labels: str, capacity: float | None) -> None:
    """Tokens where the page says them, else blocks times block size; not known before the cache is laid out."""
    result = reading(f'vllm:num_requests_running{{model_name="m"}} 0\nvllm:cache_config_info{{{labels}}} 1\n')
    assert result.gauges.get("kv_cache_capacity_tokens") == capacity
    assert ("kv_cache_capacity_tokens" in missing(result)) == (capacity is None)


@pytest.mark.parametrize(
    "page",
    [
        'vllm:num_requests_running{server="http://a:8000"} 3\nvllm:current_qps{server="http://a:8000"} 1\n',
        'ray_vllm:num_requests_running{model_name="m"} 3\n',
        captured("sglang"),
    ],
)
def test_pages_of_others_are_not_taken_for_vllm(page: str) -> None:
    """The router of the production stack borrows vLLM's names; it is not an engine. Nor are Ray and SGLang vLLM."""
    assert identify(Parser().parse(page.encode())) is not VLLM


def test_version_and_model_are_asked_for() -> None:
    """`/version` tells the version; `/v1/models` the model, its longest sequence and the adapters."""
    version = answer("/version", (PAGES / "vllm-version.json").read_bytes())
    models = answer("/v1/models", (PAGES / "vllm-models.json").read_bytes())
    assert version == Reading(facts={"engine_version": "0.32.0"})
    assert models == Reading(
        gauges={"max_model_len": 2048.0}, facts={"model": "tiny-llama", "lora_adapters": "lora-a, lora-b"}
    )


def test_an_empty_list_of_models_tells_nothing() -> None:
    """A server without models gives no facts, and no error."""
    assert answer("/v1/models", b'{"object":"list","data":[]}') == Reading()


@pytest.mark.parametrize("length", ["-1", "9" * 400, '"long"', "1.5"])
def test_an_impossible_length_is_no_length(length: str) -> None:
    """An answer with a number that cannot be is not believed, and raises nothing."""
    result = answer("/v1/models", f'{{"data":[{{"id":"m","max_model_len":{length}}}]}}'.encode())
    assert result.gauges == {}
    assert [each.what for each in result.missing] == ["facts from /v1/models"]


def test_the_first_engine_is_read_by_its_older_names() -> None:
    """V0: seconds in the queue, swapped requests beside those that wait, and a hit rate of -1 is nobody's number."""
    result = reading(captured("vllm-v0"))
    assert result.gauges == {
        "requests_running": 4.0,
        "requests_waiting": 3.0,
        'requests_waiting{reason="swapped"}': 2.0,
        "kv_cache_usage": 0.75,
        "kv_cache_capacity_tokens": 16000.0,
        "spec_acceptance_rate": 0.75,
        "start_time_seconds": 1.7171e9,
    }
    assert result.counters["output_tokens_total"] == 900.0
    assert result.counters["spec_accepted_tokens"] == 300.0
    assert missing(result)["prefix_cache_hit_rate"] == "vLLM's prefix cache is off, or nothing was asked yet"
    assert (result.histograms["queue_seconds"].count, result.histograms["queue_seconds"].sum) == (10.0, 3.0)
    assert result.histograms["itl_seconds"].count == 890.0
    assert "prompt_tokens_cached" in missing(result)


@pytest.mark.parametrize(
    ("prompts", "rate", "known"), [(0, "0", None), (1000, "0", 0.0), (1000, "0.4", 0.4), (1000, "-1", None)]
)
def test_a_hit_rate_of_nothing_is_not_known(prompts: int, rate: str, known: float | None) -> None:
    """V0's gauge is 0 before the first prompt and -1 without a prefix cache: neither is a share of anything."""
    result = reading(
        f'vllm:prompt_tokens_total{{model_name="m"}} {prompts}\n'
        f'vllm:gpu_prefix_cache_hit_rate{{model_name="m"}} {rate}\n'
    )
    assert result.gauges.get("prefix_cache_hit_rate") == known
    assert ("prefix_cache_hit_rate" in missing(result)) == (known is None)


def test_an_acceptance_rate_of_no_draft_is_not_known() -> None:
    """It is NaN until the first token was drafted, and a server that does not speculate lacks it: nobody is told."""
    page = 'vllm:spec_decode_num_draft_tokens_total{model_name="m"} 0\n'
    result = reading(page + 'vllm:spec_decode_draft_acceptance_rate{model_name="m"} NaN\n')
    assert "spec_acceptance_rate" not in result.gauges
    assert missing(result)["spec_acceptance_rate"] == "vLLM has drafted no token yet"
    assert "spec_acceptance_rate" not in missing(reading(page))


def test_what_the_engine_reckons_is_known_once_it_reckons() -> None:
    """Arithmetic, and bytes read and written, are for each GPU of each engine; without the flag all are 0."""

    def page(**numbers: float) -> str:
        return "".join(
            f'vllm:estimated_{what}_per_gpu_total{{engine="{engine}",model_name="m"}} {number}\n'
            for what in ("flops", "read_bytes", "write_bytes")
            for engine, number in enumerate((numbers.get(what, 0), numbers.get(what, 0) / 2))
        )

    assert reading(page(flops=4e21, read_bytes=7e12, write_bytes=1e12)).counters == {
        'estimated_flops{engine="0"}': 4e21,
        'estimated_flops{engine="1"}': 2e21,
        'estimated_dram_bytes{engine="0"}': 8e12,
        'estimated_dram_bytes{engine="1"}': 4e12,
    }
    off = reading(page())
    assert off.counters == {}
    assert not {"estimated_flops", "estimated_dram_bytes"} & set(missing(off))


def test_two_engines_behind_two_api_servers() -> None:
    """A page of several processes: engines apart, a cache size for each, rejections of neither, no start time."""
    result = reading(captured("vllm-dp2"))
    assert result.gauges['kv_cache_capacity_tokens{engine="0"}'] == 48000.0
    assert result.gauges['kv_cache_capacity_tokens{engine="1"}'] == 16000.0
    assert result.gauges['requests_waiting{engine="0"}'] == 5.0
    assert result.gauges['requests_waiting{engine="0",reason="deferred"}'] == 1.0
    assert result.gauges['sleeping{engine="1"}'] == 1.0
    assert result.counters['requests_rejected{reason="max_num_queued_reqs"}'] == 6.0
    assert result.counters['prompt_tokens_computed{engine="0"}'] == 5000.0
    assert result.counters['spec_drafts{engine="1"}'] == 50.0
    assert result.histograms['ttft_seconds{engine="1"}'].sum == 15.0
    assert set(missing(result)) == {"start_time_seconds"}


@pytest.mark.parametrize(
    ("queries", "hits", "cached"),
    [
        (1000, 400, 400.0),  # 0.9.0 and later: as many queries as prompt tokens
        (60, 24, 384.0),  # until 0.8.5: blocks of 16 tokens
        (0, 0, None),  # nothing to tell by
    ],
)
def test_blocks_are_turned_into_tokens(queries: int, hits: int, cached: float | None) -> None:
    """`gpu_prefix_cache_hits_total` counted blocks until 0.8.5 and tokens from 0.9.0; its page tells which."""
    result = reading(
        'vllm:prompt_tokens_total{model_name="m"} 1000\nvllm:cache_config_info{block_size="16"} 1\n'
        f'vllm:gpu_prefix_cache_queries_total{{model_name="m"}} {queries}\n'
        f'vllm:gpu_prefix_cache_hits_total{{model_name="m"}} {hits}\n'
    )
    assert result.counters.get("prompt_tokens_cached") == cached
    assert ("prompt_tokens_cached" in missing(result)) == (cached is None)
