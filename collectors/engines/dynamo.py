"""NVIDIA Dynamo: the page of its frontend (8000), and that of a worker that passes no engine's page through.

A worker that passes the page of vLLM or SGLang through is read as that.
"""

from __future__ import annotations

from collectors.engines.dialect import Dialect
from collectors.engines.rule import Fold, Rule, Term
from metrics.sample import Missing


def _names(name: str) -> tuple[str, str]:
    """Name a series of the frontend as it is called today, and as it was before."""
    return f"dynamo_frontend_{name}", f"nv_llm_http_service_{name}"


_OF_THE_FRONTEND = "only the frontend tells it, after the first request"
_OF_A_WORKER = "only a worker tells it, on a port of its own (DYN_SYSTEM_PORT)"

DYNAMO = Dialect(
    engine="dynamo",
    title="Dynamo",
    prefix="dynamo_",
    checked="names, labels and buckets from the sources of 0.7 to 1.6; pages written after them",
    signs={"dynamo_frontend_": "", "dynamo_component_": "", "nv_llm_http_service_": ""},
    model_label="model",
    unsteady=True,
    rules=(
        Rule(
            quantity="ttft_seconds",
            names=_names("time_to_first_token_seconds"),
            why=_OF_THE_FRONTEND,
            consequence="TTFT cannot be watched without --probe",
        ),
        Rule(
            quantity="itl_seconds",
            names=_names("inter_token_latency_seconds"),
            why=_OF_THE_FRONTEND,
            consequence="inter-token latency cannot be watched without --probe",
        ),
        Rule(
            quantity="e2e_seconds",
            names=_names("request_duration_seconds"),
            why=_OF_THE_FRONTEND,
            consequence="the time that a whole request takes is not known",
        ),
        Rule(
            quantity="prompt_tokens",
            names=_names("input_sequence_tokens"),
            why=_OF_THE_FRONTEND,
            consequence="the length of prompts is not known",
        ),
        Rule(
            quantity="output_tokens",
            names=_names("output_sequence_tokens"),
            why=_OF_THE_FRONTEND,
            consequence="the length of answers is not known",
        ),
        Rule(
            quantity="requests_finished",
            names=(*_names("requests_total"), "dynamo_component_requests_total"),
            split={"status": "reason"},
            why=_OF_THE_FRONTEND,
            consequence="the rate of requests is not known",
        ),
        Rule(
            quantity="requests_failed",
            names=_names("requests_total"),
            where={"status": ("error",)},
            optional=True,  # written after the first
        ),
        Rule(quantity="requests_failed", names=("dynamo_component_errors_total",), optional=True),
        Rule(quantity="requests_rejected", names=_names("model_rejection_total"), optional=True),
        Rule(
            quantity="prompt_tokens_total",
            names=_names("input_sequence_tokens_sum"),
            why=_OF_THE_FRONTEND,
            consequence="prompt throughput is not known",
        ),
        Rule(
            quantity="prompt_tokens_cached",
            names=_names("cached_tokens_sum"),
            why=_OF_THE_FRONTEND,
            consequence="what the prefix cache saves is not known",
        ),
        Rule(
            quantity="output_tokens_total",
            names=_names("output_tokens_total"),
            why=_OF_THE_FRONTEND,
            consequence="output throughput is not known",
        ),
        # Before `output_tokens_total`, the sum of the lengths of answers, which moves when an answer ends.
        Rule(quantity="output_tokens_total", names=_names("output_sequence_tokens_sum"), lumpy=True),
        Rule(
            quantity="requests_running",
            names=(
                *_names("active_requests"),
                *_names("inflight_requests"),
                "dynamo_component_inflight_requests",
            ),
            why=_OF_THE_FRONTEND,
            consequence="the load is not known",
        ),
        Rule(
            quantity="requests_waiting",
            names=_names("queued_requests"),  # until the first token, so prefill is in it
            why=_OF_THE_FRONTEND,
            consequence="a growing queue cannot be seen",
        ),
        Rule(
            quantity="kv_cache_usage",
            names=(
                "dynamo_component_gpu_cache_usage_percent",  # a ratio, despite its name
                "dynamo_component_kvstats_gpu_cache_usage_percent",
            ),
            fold=Fold.MAX,
            why=_OF_A_WORKER,
            consequence="a full KV cache cannot be foreseen",
        ),
        Rule(
            quantity="kv_cache_capacity_tokens",
            names=("dynamo_frontend_model_total_kv_blocks",),
            times=Term("dynamo_frontend_model_kv_cache_block_size"),
            fold=Fold.MAX,
            optional=True,
        ),
        Rule(quantity="max_model_len", names=("dynamo_frontend_model_context_length",), fold=Fold.MAX, optional=True),
    ),
    absent=(
        Missing(
            "the queue of the engines",
            "Dynamo counts a request as queued until its first token, prefill included",
            "its queue is longer than that of vLLM under the same load",
        ),
        Missing("preemptions", "Dynamo does not count them", "KV cache thrashing is to be watched at the engines"),
    ),
    unread=("dynamo_",),
)
