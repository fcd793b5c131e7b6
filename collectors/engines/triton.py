"""NVIDIA Triton Inference Server, on its port for metrics (8002), with the TensorRT-LLM or the vLLM backend.

Times are counters in microseconds, so of most latencies only the mean is known. An ensemble counts each request once
for itself and once for each of its models: where there is a model `tensorrt_llm`, that one alone is counted.
"""

from __future__ import annotations

from itertools import chain

from msgspec.structs import replace

from collectors.engines.dialect import Dialect
from collectors.engines.rule import Fold, Rule, Term
from metrics.sample import Missing

_BLOCKS = "nv_trt_llm_kv_cache_block_metrics"
_REQUESTS = "nv_trt_llm_request_metrics"
_ONLY_TRTLLM = "only the TensorRT-LLM backend tells it"
_ONLY_VLLM = "only the vLLM backend tells it, with REPORT_CUSTOM_METRICS"

_VLLM = {
    "ttft_seconds": "vllm:time_to_first_token_seconds",
    "e2e_seconds": "vllm:e2e_request_latency_seconds",
}
_COUNTED_BY_EACH_MODEL = (
    Rule(
        quantity="ttft_seconds",
        names=("nv_inference_first_response_histogram_ms",),
        scale=1e-3,
        why="Triton tells it only with --metrics-config histogram_latencies=true, or by the vLLM backend",
        consequence="TTFT cannot be watched without --probe",
    ),
    Rule(
        quantity="e2e_seconds",
        names=("nv_inference_request_duration_us",),
        count="nv_inference_request_success",
        scale=1e-6,
        consequence="the time that a whole request takes is not known",
    ),
    Rule(
        quantity="queue_seconds",
        names=("nv_inference_queue_duration_us",),
        count="nv_inference_request_success",
        scale=1e-6,
        consequence="waiting cannot be told apart from working",
    ),
    Rule(
        quantity="requests_finished",
        names=("nv_inference_request_success",),
        consequence="the rate of requests is not known",
    ),
    Rule(
        quantity="requests_failed",
        names=("nv_inference_request_failure",),
        where={"reason": ("", "BACKEND", "OTHER")},
        consequence="failing requests are not seen",
    ),
    Rule(
        quantity="requests_rejected",
        names=("nv_inference_request_failure",),
        where={"reason": ("REJECTED",)},
        split={"reason": "reason"},
        optional=True,  # 24.0x
    ),
)


def _alone(rule: Rule) -> Rule:
    return replace(rule, where={**rule.where, "model": ("tensorrt_llm",)})


TRITON = Dialect(
    engine="triton",
    title="Triton",
    prefix="nv_",
    checked="names and labels from the documentation of the server and of both backends; pages written after them",
    signs={"nv_inference_": ""},
    model_label="model",
    unsteady=True,
    rules=(
        # The histograms of the vLLM backend tell more than the means of the server.
        *(replace(rule, names=(_VLLM[rule.quantity],), scale=1.0, count="") for rule in _COUNTED_BY_EACH_MODEL[:2]),
        *chain.from_iterable((_alone(rule), rule) for rule in _COUNTED_BY_EACH_MODEL),
        Rule(
            quantity="itl_seconds",
            names=("vllm:time_per_output_token_seconds",),
            why=_ONLY_VLLM,
            consequence="inter-token latency cannot be watched without --probe",
        ),
        Rule(
            quantity="prompt_tokens",
            names=("vllm:request_prompt_tokens",),
            why=_ONLY_VLLM,
            consequence="the length of prompts is not known",
        ),
        Rule(
            quantity="output_tokens",
            names=("vllm:request_generation_tokens",),
            why=_ONLY_VLLM,
            consequence="the length of answers is not known",
        ),
        Rule(
            quantity="prompt_tokens_total",
            names=("vllm:prompt_tokens_total",),
            why=_ONLY_VLLM,
            consequence="prompt throughput is not known",
        ),
        Rule(
            quantity="output_tokens_total",
            names=("vllm:generation_tokens_total",),
            why=_ONLY_VLLM,
            consequence="output throughput is not known",
        ),
        Rule(
            quantity="engine_steps",
            names=("nv_trt_llm_general_metrics",),
            where={"general_type": ("iteration_counter",)},
            why=_ONLY_TRTLLM,
            consequence="a stalled engine cannot be recognised",
        ),
        Rule(
            quantity="requests_running",
            names=(_REQUESTS,),
            where={"request_type": ("active",)},
            why=_ONLY_TRTLLM,
            consequence="the load of the engine is not known",
        ),
        Rule(
            quantity="requests_waiting",
            names=(_REQUESTS,),
            where={"request_type": ("waiting",)},
            why="Triton before 23.12 does not tell it",
            consequence="a growing queue cannot be seen",
        ),
        Rule(quantity="requests_waiting", names=("nv_inference_pending_request_count",)),
        Rule(quantity="max_running_requests", names=(_REQUESTS,), where={"request_type": ("max",)}, optional=True),
        Rule(
            quantity="kv_cache_usage",
            names=(_BLOCKS,),
            where={"kv_cache_block_type": ("fraction",)},
            fold=Fold.MAX,
            why=_ONLY_TRTLLM,
            consequence="a full KV cache cannot be foreseen",
        ),
        Rule(
            quantity="kv_cache_capacity_tokens",
            names=(_BLOCKS,),
            where={"kv_cache_block_type": ("max",)},
            times=Term(_BLOCKS, {"kv_cache_block_type": ("tokens_per",)}),
            fold=Fold.MAX,
            why=_ONLY_TRTLLM,
            consequence="how many requests fit into the KV cache is not known",
        ),
    ),
    absent=(
        Missing("prompt_tokens_cached", "Triton counts only its own response cache", "prefix caching is not seen"),
        Missing("preemptions", "Triton does not count them", "KV cache thrashing cannot be recognised"),
        Missing("start_time_seconds", "Triton tells no start time", "a restart is seen only when counters fall"),
    ),
    unread=("nv_",),
)
