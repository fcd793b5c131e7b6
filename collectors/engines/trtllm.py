"""TensorRT-LLM's `trtllm-serve`, its page `/prometheus/metrics` (which wants `return_perf_metrics: true`).

The first versions wrote names without a prefix, later ones begin with `trtllm_`. Its other page, `/metrics`, is JSON
(`collectors.engines.trtllm_json`). Zero latencies are not observed, so the counts of histograms differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from collectors.engines.dialect import Dialect, Endpoint, Reading
from collectors.engines.rule import Fold, Rule, Term
from collectors.engines.served_models import MODELS
from metrics.sample import Missing

if TYPE_CHECKING:
    from collectors.engines.rule import Index


class _Version(Struct):
    version: str


def _version(answer: _Version) -> Reading:
    return Reading(facts={"engine_version": answer.version})


def _looked_up(index: Index) -> float | None:
    """Tell whether the hit rate says anything: 1 where it does; before the first block is looked up it is 0."""
    names = ("trtllm_kv_cache_hit_rate", "trtllm_kv_cache_reused_blocks_total", "trtllm_kv_cache_missed_blocks_total")
    return 1.0 if any(value > 0 for name in names for _, value in index.get(name, ())) else None


def _drafted(index: Index) -> float | None:
    """Tell whether the length says anything: 1 where it does; a step of speculation gives a token at least."""
    return 1.0 if any(value > 0 for _, value in index.get("trtllm_spec_decode_acceptance_length", ())) else None


_ITERATIONS = "TensorRT-LLM tells it only with enable_iter_perf_stats: true, and not before 2026"
_NEWER = "TensorRT-LLM before 2026 does not tell it"

TRTLLM = Dialect(
    engine="trtllm",
    title="TensorRT-LLM",
    prefix="trtllm_",
    checked="names, labels and buckets from the sources of 1.0 and of main in 2026; pages written after them",
    signs={"trtllm_": "", "e2e_request_latency_seconds": "engine_type", "request_success_total": "engine_type"},
    model_label="model_name",
    mirrors=("pid",),
    rules=(
        Rule(
            quantity="ttft_seconds",
            names=("trtllm_time_to_first_token_seconds", "time_to_first_token_seconds"),
            consequence="TTFT cannot be watched without --probe",
        ),
        Rule(
            quantity="tpot_seconds",
            names=("trtllm_time_per_output_token_seconds", "time_per_output_token_seconds"),
            consequence="time per output token cannot be watched without --probe",
        ),
        Rule(
            quantity="e2e_seconds",
            names=("trtllm_e2e_request_latency_seconds", "e2e_request_latency_seconds"),
            consequence="the time that a whole request takes is not known",
        ),
        Rule(
            quantity="queue_seconds",
            names=("trtllm_request_queue_time_seconds", "request_queue_time_seconds"),
            consequence="waiting cannot be told apart from working",
        ),
        Rule(
            quantity="prefill_seconds",
            names=("trtllm_request_prefill_time_seconds",),
            why=_NEWER,
            consequence="TTFT cannot be split into waiting and prefill",
        ),
        Rule(
            quantity="decode_seconds",
            names=("trtllm_request_decode_time_seconds",),
            why=_NEWER,
            consequence="the time that requests spend generating is not known",
        ),
        Rule(
            quantity="requests_finished",
            names=("trtllm_request_success_total", "request_success_total"),
            split={"finished_reason": "reason"},
            consequence="the rate of requests is not known",
        ),
        Rule(quantity="requests_failed", names=("trtllm_request_error_total",), optional=True),
        Rule(
            quantity="prompt_tokens_total",
            names=("trtllm_prompt_tokens_total",),
            why=_NEWER,
            lumpy=True,
            consequence="prompt throughput is not known",
        ),
        Rule(
            quantity="prompt_tokens_cached",
            names=("trtllm_prompt_cached_tokens_total",),
            why=_NEWER,
            lumpy=True,
            consequence="what the prefix cache saves is not known",
        ),
        Rule(
            quantity="output_tokens_total",
            names=("trtllm_generation_tokens_total",),
            why=_NEWER,
            lumpy=True,
            consequence="output throughput is not known",
        ),
        Rule(quantity="spec_draft_tokens", names=("trtllm_spec_decode_num_draft_tokens_total",), optional=True),
        Rule(quantity="spec_accepted_tokens", names=("trtllm_spec_decode_num_accepted_tokens_total",), optional=True),
        Rule(
            quantity="spec_acceptance_length",
            names=("trtllm_spec_decode_acceptance_length",),
            fold=Fold.MAX,
            factor=_drafted,
            why="the last step of TensorRT-LLM drafted nothing",
            optional=True,
            consequence="what a step of speculation brings is not known",
        ),
        Rule(
            quantity="prefix_cache_hit_rate",
            names=("trtllm_kv_cache_hit_rate",),  # of blocks, over the life of the server
            fold=Fold.MAX,
            factor=_looked_up,
            why="TensorRT-LLM has looked up no block yet",
            optional=True,
            consequence="what the prefix cache saves is not known",
        ),
        Rule(
            quantity="requests_running",
            names=("trtllm_num_requests_running",),
            why=_ITERATIONS,
            consequence="the load of the engine is not known",
        ),
        Rule(
            quantity="requests_waiting",
            names=("trtllm_num_requests_waiting",),
            why=_ITERATIONS,
            consequence="a growing queue cannot be seen",
        ),
        Rule(
            quantity="max_running_requests",
            names=("trtllm_max_num_active_requests",),
            why=_ITERATIONS,
            consequence="how near the batch is to its limit is not known",
        ),
        Rule(
            quantity="kv_cache_usage",
            names=("trtllm_kv_cache_utilization",),
            fold=Fold.MAX,
            why=_ITERATIONS,
            consequence="a full KV cache cannot be foreseen",
        ),
        Rule(
            quantity="kv_cache_capacity_tokens",
            names=("trtllm_kv_cache_max_blocks",),
            times=Term("trtllm_kv_cache_tokens_per_block"),
            fold=Fold.MAX,
            why=_ITERATIONS,
            consequence="how many requests fit into the KV cache is not known",
        ),
    ),
    absent=(
        Missing(
            "itl_seconds", "TensorRT-LLM tells the time per token only of whole requests", "see tpot_seconds instead"
        ),
        Missing("preemptions", "TensorRT-LLM does not count them", "KV cache thrashing cannot be recognised"),
        Missing(
            "start_time_seconds",
            "the page is written by several processes and tells no start time",
            "a restart is seen only when counters fall",
        ),
    ),
    endpoints=(Endpoint("/version", _Version, _version), MODELS),
    unread=tuple(
        f"trtllm_{name}"
        for name in (
            "avg_decoded_tokens_per_iter",
            "cpu_memory_usage_bytes",
            "generation_perplexity",
            "gpu_memory_usage_bytes",
            "iteration_latency_seconds",
            "kv_cache_",
            "max_batch_size_",
            "max_num_tokens_runtime",
            "model_config_info",
            "num_context_requests",
            "num_generation_requests",
            "num_paused_requests",
            "num_requests_completed",
            "num_scheduled_requests",
            "parallel_config_info",
            "pinned_memory_usage_bytes",
            "prefill_",
            "prompt_cache",
            "request_inference_time_seconds",
            "spec_decode_",
            "speculative_config_info",
            "total_context_tokens",
        )
    ),
)
