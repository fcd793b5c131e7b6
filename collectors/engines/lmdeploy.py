"""LMDeploy's `api_server`: https://lmdeploy.readthedocs.io/en/latest/advance/metrics.html."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.engines.dialect import Dialect
from collectors.engines.rule import Fold, Rule
from collectors.engines.served_models import MODELS
from metrics.sample import Missing

if TYPE_CHECKING:
    from collectors.engines.rule import Index

_NO_DRAFTS = "LMDeploy has drafted no token yet"


def _asked(index: Index) -> float | None:
    """Tell whether the hit rate says anything: 1 where it does; before the first prompt it is 0."""
    return 1.0 if any(value > 0 for _, value in index.get("lmdeploy:prompt_tokens_total", ())) else None


def _drafted(index: Index) -> float | None:
    """Tell whether the means of speculation say anything: 1 where they do; both are 0 before the first draft."""
    return 1.0 if any(value > 0 for _, value in index.get("lmdeploy:spec_decode_mean_accept_length", ())) else None


LMDEPLOY = Dialect(
    engine="lmdeploy",
    title="LMDeploy",
    prefix="lmdeploy:",
    checked="names, labels and buckets from the sources of 0.9.2 to 0.16.0; a page written after them",
    rank_label="engine",
    model_label="model_name",
    rules=(
        Rule(
            quantity="ttft_seconds",
            names=("lmdeploy:time_to_first_token_seconds",),
            consequence="TTFT cannot be watched without --probe",
        ),
        Rule(
            quantity="itl_seconds",
            names=("lmdeploy:iter_token_latency",),  # 0.10
            why="LMDeploy before 0.10 does not tell it",
            consequence="inter-token latency cannot be watched without --probe",
        ),
        Rule(
            quantity="tpot_seconds",
            names=("lmdeploy:time_per_output_token_seconds",),
            consequence="time per output token is not known",
        ),
        Rule(
            quantity="e2e_seconds",
            names=("lmdeploy:e2e_request_latency_seconds",),
            consequence="the time that a whole request takes is not known",
        ),
        Rule(
            quantity="queue_seconds",
            names=("lmdeploy:request_queue_time_seconds",),
            consequence="waiting cannot be told apart from working",
        ),
        Rule(
            quantity="prefill_seconds",
            names=("lmdeploy:request_prefill_time_seconds",),
            consequence="TTFT cannot be split into waiting and prefill",
        ),
        Rule(
            quantity="decode_seconds",
            names=("lmdeploy:request_decode_time_seconds",),
            consequence="the time that requests spend generating is not known",
        ),
        Rule(
            quantity="prompt_tokens",
            names=("lmdeploy:request_prompt_tokens",),
            consequence="the length of prompts is not known",
        ),
        Rule(
            quantity="output_tokens",
            names=("lmdeploy:request_generation_tokens",),
            consequence="the length of answers is not known",
        ),
        Rule(
            quantity="tokens_per_step",
            names=("lmdeploy:iteration_tokens_total",),  # a histogram, despite its name
            consequence="how full the steps of the engine are is not known",
        ),
        Rule(
            quantity="engine_steps",
            names=("lmdeploy:iteration_tokens_total_count",),
            consequence="the length of a step and its batch cannot be estimated",
        ),
        Rule(
            quantity="requests_finished",
            names=("lmdeploy:request_success_total",),
            split={"finished_reason": "reason"},
            why="LMDeploy writes it after the first request",
            consequence="the rate of requests is not known",
        ),
        Rule(quantity="requests_failed", names=("lmdeploy:num_requests_failed",), optional=True),  # 0.13
        Rule(
            quantity="prompt_tokens_total",
            names=("lmdeploy:prompt_tokens_total",),
            consequence="prompt throughput is not known",
        ),
        Rule(
            quantity="prompt_tokens_cached",
            names=("lmdeploy:cached_tokens_total",),  # 0.14
            why="LMDeploy before 0.14 does not count cached tokens",
            consequence="what the prefix cache saves is not known",
        ),
        Rule(
            quantity="output_tokens_total",
            names=("lmdeploy:generation_tokens_total",),
            consequence="output throughput is not known, and a stalled engine cannot be recognised",
        ),
        Rule(quantity="spec_drafts", names=("lmdeploy:spec_decode_num_drafts_total",), optional=True),  # 0.14
        Rule(quantity="spec_draft_tokens", names=("lmdeploy:spec_decode_num_draft_tokens_total",), optional=True),
        Rule(quantity="spec_accepted_tokens", names=("lmdeploy:spec_decode_num_accepted_tokens_total",), optional=True),
        Rule(
            quantity="spec_acceptance_rate",
            names=("lmdeploy:spec_decode_mean_accept_rate",),  # 0.14, over the life of the server
            fold=Fold.MAX,
            factor=_drafted,
            why=_NO_DRAFTS,
            optional=True,
            consequence="how many drafted tokens are accepted is not known",
        ),
        Rule(
            quantity="spec_acceptance_length",
            names=("lmdeploy:spec_decode_mean_accept_length",),  # 0.14, the token of the step itself included
            fold=Fold.MAX,
            factor=_drafted,
            why=_NO_DRAFTS,
            optional=True,
            consequence="what a step of speculation brings is not known",
        ),
        Rule(
            quantity="prefix_cache_hit_rate",
            names=("lmdeploy:prefix_cache_hit_rate",),  # 0.14, over the life of the server
            fold=Fold.MAX,
            factor=_asked,
            why="LMDeploy was asked nothing yet",
            optional=True,
            consequence="what the prefix cache saves is not known",
        ),
        Rule(
            quantity="requests_running",
            names=("lmdeploy:num_requests_running",),
            consequence="the load of the engine is not known",
        ),
        Rule(
            quantity="requests_waiting",
            names=("lmdeploy:num_requests_waiting",),
            consequence="a growing queue cannot be seen",
        ),
        Rule(
            quantity="requests_waiting",
            names=("lmdeploy:num_api_requests_waiting",),  # 0.13, in front of the engine
            label={"reason": "api"},
            detail=True,
        ),
        Rule(
            quantity="kv_cache_usage",
            names=("lmdeploy:gpu_cache_usage_perc",),  # a ratio, despite its name
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
        Missing("preemptions", "LMDeploy does not count evicted requests", "KV cache thrashing cannot be recognised"),
        Missing(
            "kv_cache_capacity_tokens",
            "LMDeploy does not export the size of its cache",
            "how many requests fit into the KV cache is not known",
        ),
    ),
    endpoints=(MODELS,),
    unread=tuple(
        f"lmdeploy:{name}"
        for name in (
            "backend_config_info",
            "external_prefix_cache_",
            "multimodal_",
            "num_api_requests_routed",
            "num_requests_finished",
            "num_requests_succeeded",
            "num_requests_unfinished",
            "request_cache",
            "request_inference_time_seconds",
            "spec_decode_num_accepted_tokens_per_pos",
            "spec_decode_per_position_accept_rate",
        )
    ),
)
