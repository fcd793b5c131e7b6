"""NVIDIA NIM for LLMs, 1.x, at `/v1/metrics`: the names of vLLM's first engine, without a prefix.

From 2.0 the container shows the page of the engine inside it, vLLM or SGLang, and is read as that.
"""

from __future__ import annotations

from collectors.engines.dialect import Dialect
from collectors.engines.rule import Fold, Rule
from collectors.engines.served_models import MODELS
from metrics.sample import Missing

NIM = Dialect(
    engine="nim",
    title="NVIDIA NIM",
    prefix="",
    checked="1.x: a page published by others was read; a page written after it",
    signs={"num_request_max": ""},
    model_label="model_name",
    rules=(
        Rule(
            quantity="ttft_seconds",
            names=("time_to_first_token_seconds",),
            consequence="TTFT cannot be watched without --probe",
        ),
        Rule(
            quantity="itl_seconds",
            names=("time_per_output_token_seconds",),  # one observation a token, as in vLLM of that time
            consequence="inter-token latency cannot be watched without --probe",
        ),
        Rule(
            quantity="e2e_seconds",
            names=("e2e_request_latency_seconds",),
            consequence="the time that a whole request takes is not known",
        ),
        Rule(
            quantity="prompt_tokens",
            names=("request_prompt_tokens",),
            consequence="the length of prompts is not known",
        ),
        Rule(
            quantity="output_tokens",
            names=("request_generation_tokens",),
            consequence="the length of answers is not known",
        ),
        Rule(
            quantity="requests_finished",
            names=("request_finish_total",),
            split={"finished_reason": "reason"},
            consequence="the rate of requests is not known",
        ),
        Rule(quantity="requests_finished", names=("request_success_total",)),
        Rule(
            quantity="requests_failed",
            names=("request_failure_total",),
            consequence="failing requests are not seen",
        ),
        Rule(
            quantity="prompt_tokens_total",
            names=("prompt_tokens_total",),
            consequence="prompt throughput is not known",
        ),
        Rule(
            quantity="output_tokens_total",
            names=("generation_tokens_total",),
            consequence="output throughput is not known, and a stalled engine cannot be recognised",
        ),
        Rule(
            quantity="requests_running",
            names=("num_requests_running",),
            consequence="the load of the engine is not known",
        ),
        Rule(
            quantity="requests_waiting",
            names=("num_requests_waiting",),
            consequence="a growing queue cannot be seen",
        ),
        Rule(quantity="max_running_requests", names=("num_request_max",), optional=True),
        Rule(
            quantity="kv_cache_usage",
            names=("gpu_cache_usage_perc",),  # a ratio, despite its name
            fold=Fold.MAX,
            consequence="a full KV cache cannot be foreseen",
        ),
        Rule(
            quantity="start_time_seconds",
            names=("process_start_time_seconds",),
            why="several processes share the page, which then tells no start time",
            consequence="a restart is seen only when counters fall",
        ),
    ),
    absent=(
        Missing("queue_seconds", "NIM 1.x does not export it", "waiting is seen only as the length of the queue"),
        Missing("prompt_tokens_cached", "NIM 1.x does not export it", "what the prefix cache saves is not known"),
        Missing("preemptions", "NIM 1.x does not export it", "KV cache thrashing cannot be recognised"),
    ),
    endpoints=(MODELS,),
)
