"""What vLLM tells in words: its info series and other endpoints. And the names that tell no quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from collectors.engines.dialect import Endpoint, Reading
from collectors.engines.rule import Info
from collectors.engines.served_models import MODELS

if TYPE_CHECKING:
    from collectors.engines.rule import Index, Labels


def _capacity(labels: Labels) -> float | None:
    """Tokens that the KV cache of one engine holds: said outright by newer versions, else blocks times block size."""
    for factors in (("kv_cache_size_tokens",), ("num_gpu_blocks", "block_size")):
        values = [labels.get(factor, "") for factor in factors]
        if all(value.isascii() and value.isdigit() for value in values):  # `None` before the cache is laid out
            tokens = float(values[0]) * float(values[-1] if len(values) > 1 else 1)
            return tokens or None
    return None


def reckoned(index: Index) -> float | None:
    """Tell whether the engine reckons its arithmetic: 1 where it does; without --enable-mfu-metrics it is 0."""
    return 1.0 if any(value > 0 for _, value in index.get("vllm:estimated_flops_per_gpu_total", ())) else None


class _Version(Struct):
    version: str


def _version(answer: _Version) -> Reading:
    return Reading(facts={"engine_version": answer.version})


INFOS = (
    Info(
        name="vllm:cache_config_info",
        facts={
            label: label
            for label in (
                "block_size",
                "cache_dtype",
                "enable_prefix_caching",
                "gpu_memory_utilization",
                "kv_cache_max_concurrency",
                "kv_cache_memory_bytes",
                "num_gpu_blocks",
                "num_gpu_blocks_override",
                "sliding_window",
            )
        },
        gauges={"kv_cache_capacity_tokens": _capacity},
        consequence="how many requests fit into the KV cache is not known",
    ),
    Info(  # Its value is the time of the last change, and every combination that ever was stays on the page.
        name="vllm:lora_requests_info",
        facts={
            "max_lora": "lora_max",
            "running_lora_adapters": "lora_running",
            "waiting_lora_adapters": "lora_waiting",
        },
    ),
    Info(name="chimera_simulated", facts={"simulated": "simulated", "scenario": "scenario"}),  # our own simulator
)

ENDPOINTS = (Endpoint("/version", _Version, _version), MODELS)

UNREAD = tuple(
    f"vllm:{name}"
    for name in (
        "avg_generation_throughput_toks_per_s",
        "avg_prompt_throughput_toks_per_s",
        "corrupted_requests",
        "cpu_cache_usage_perc",
        "cpu_prefix_cache_hit_rate",
        "diffusion",
        "external_prefix_cache_",
        "hf3fs_",
        "hisparse_",
        "kv_block_",
        "kv_offload_",
        "mm_cache_",
        "model_execute_time_milliseconds",
        "model_forward_time_milliseconds",
        "mooncake_",
        "nixl_",
        "num_requests_kv_fetch_by_stage",
        "prefix_cache_queries",
        "prompt_tokens_cached_by_source",
        "request_inference_time_seconds",
        "request_max_num_generation_tokens",
        "request_num_preemptions",
        "request_params_",
        "rl_weight_update_",
        "simple_kv_offload_",
        "sleep_mode_",
        "spec_decode_efficiency",
        "spec_decode_num_accepted_tokens_per_pos",
        "spec_decode_num_emitted_tokens",
        "tokens_total",  # never filled in
        "tool_call_parser_",
        "umbp_",
        "watermark_requests",
        "websocket_",
    )
)
