"""vLLM: https://docs.vllm.ai/en/latest/usage/metrics.html."""

from __future__ import annotations

from collectors.engines.dialect import Dialect
from collectors.engines.rule import Fold, Rule
from collectors.engines.vllm_facts import ENDPOINTS, INFOS, UNREAD, reckoned
from collectors.engines.vllm_v0 import block_or_token, drafted, looked_up
from metrics.sample import Missing

VLLM = Dialect(
    engine="vllm",
    title="vLLM",
    prefix="vllm:",
    checked="0.32.0, pages captured from a real server; names and labels from the sources of 0.2.4 to 0.33.0",
    rank_label="engine",
    model_label="model_name",
    rules=(
        # --- latencies, by the engine's clock
        Rule(
            quantity="ttft_seconds",
            names=("vllm:time_to_first_token_seconds",),
            consequence="TTFT cannot be watched without --probe",
        ),
        Rule(
            quantity="itl_seconds",
            # Until 0.14 the older name carried the same data.
            names=("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
            consequence="inter-token latency cannot be watched without --probe",
        ),
        Rule(
            quantity="tpot_seconds",
            names=("vllm:request_time_per_output_token_seconds",),  # 0.11; a request with one token counts as 0
            consequence="time per output token cannot be told apart from inter-token latency",
        ),
        Rule(
            quantity="e2e_seconds",
            names=("vllm:e2e_request_latency_seconds",),
            consequence="the time that a whole request takes is not known",
        ),
        Rule(
            quantity="queue_seconds",
            names=("vllm:request_queue_time_seconds", "vllm:time_in_queue_requests"),
            consequence="waiting cannot be told apart from working",
        ),
        Rule(
            quantity="prefill_seconds",
            names=("vllm:request_prefill_time_seconds",),
            consequence="TTFT cannot be split into waiting and prefill",
        ),
        Rule(
            quantity="decode_seconds",
            names=("vllm:request_decode_time_seconds",),
            consequence="the time that requests spend generating is not known",
        ),
        # --- lengths
        Rule(
            quantity="prompt_tokens",
            names=("vllm:request_prompt_tokens",),
            consequence="the length of prompts is not known",
        ),
        Rule(
            quantity="output_tokens",
            names=("vllm:request_generation_tokens",),
            consequence="the length of answers is not known",
        ),
        Rule(
            quantity="tokens_per_step",
            names=("vllm:iteration_tokens_total",),  # a histogram, despite its name
            consequence="how full the steps of the engine are is not known",
        ),
        # --- requests
        Rule(
            quantity="requests_finished",
            names=("vllm:request_success_total",),
            split={"finished_reason": "reason"},
            consequence="the rate of requests is not known",
        ),
        Rule(
            quantity="requests_failed",
            names=("vllm:request_success_total",),
            where={"finished_reason": ("error",)},
            why="vLLM before 0.13 does not count requests that ended in an error",
            consequence="failing requests are seen only as HTTP status 5xx",
        ),
        Rule(
            quantity="requests_rejected",
            names=("vllm:admission_rejections_total",),  # 0.32
            split={"reason": "reason"},
            optional=True,
        ),
        Rule(
            quantity="http_requests",
            names=("http_requests_total",),
            split={"status": "status"},
            why="vLLM has counted no HTTP request yet (before 0.8.3 it never does)",
            consequence="requests that were refused (HTTP status 4xx, 5xx) are not seen",
        ),
        # --- tokens
        Rule(
            quantity="prompt_tokens_total",
            names=("vllm:prompt_tokens_total",),
            consequence="prompt throughput is not known",
        ),
        Rule(
            quantity="prompt_tokens_cached",
            # The older pair counts again what is scheduled again (vllm issue 43736).
            names=("vllm:prompt_tokens_cached_total", "vllm:prefix_cache_hits_total"),
            consequence="what the prefix cache saves is not known",
        ),
        Rule(
            quantity="prompt_tokens_cached",
            names=("vllm:gpu_prefix_cache_hits_total",),  # 0.7.3 to 0.9.1
            factor=block_or_token,
            why="it cannot be told whether vLLM counts blocks (until 0.8.5) or tokens before the first prompt",
            consequence="what the prefix cache saves is not known",
        ),
        Rule(
            quantity="prompt_tokens_computed",
            names=("vllm:prompt_tokens_by_source_total",),  # 0.16
            where={"source": ("local_compute",)},
            consequence="prefill work cannot be told apart from cached tokens",
        ),
        Rule(
            quantity="prompt_tokens_prefilled",
            # Its requests are those of `prefill_seconds`: the two give what a token of prefill costs.
            names=("vllm:request_prefill_kv_computed_tokens_sum",),
            optional=True,
        ),
        Rule(
            quantity="prompt_tokens_recomputed",
            names=("vllm:prompt_tokens_recomputed_total",),  # 0.16 to 0.19
            optional=True,
        ),
        Rule(
            quantity="output_tokens_total",
            names=("vllm:generation_tokens_total",),
            consequence="output throughput is not known, and a stalled engine cannot be recognised",
        ),
        # --- the engine
        Rule(
            quantity="preemptions",
            names=("vllm:num_preemptions_total",),
            consequence="KV cache thrashing cannot be recognised",
        ),
        Rule(
            quantity="engine_steps",
            names=("vllm:iteration_tokens_total_count",),
            consequence="the length of a step and its batch cannot be estimated",
        ),
        Rule(quantity="kv_transfers", names=("vllm:nixl_xfer_time_seconds_count",), optional=True),  # 0.11.1, NIXL
        Rule(quantity="kv_transfers_failed", names=("vllm:nixl_num_failed_transfers_total",), optional=True),
        Rule(
            quantity="estimated_flops",
            names=("vllm:estimated_flops_per_gpu_total",),  # 0.17.1
            factor=reckoned,
            optional=True,
        ),
        Rule(
            quantity="estimated_dram_bytes",
            names=("vllm:estimated_read_bytes_per_gpu_total",),
            plus="vllm:estimated_write_bytes_per_gpu_total",
            factor=reckoned,
            optional=True,
        ),
        Rule(quantity="spec_drafts", names=("vllm:spec_decode_num_drafts_total",), optional=True),
        Rule(quantity="spec_draft_tokens", names=("vllm:spec_decode_num_draft_tokens_total",), optional=True),
        Rule(quantity="spec_accepted_tokens", names=("vllm:spec_decode_num_accepted_tokens_total",), optional=True),
        Rule(
            quantity="spec_acceptance_rate",
            names=("vllm:spec_decode_draft_acceptance_rate",),  # 0.5.3 to 0.9.2, V0
            fold=Fold.MAX,
            factor=drafted,
            why="vLLM has drafted no token yet",
            optional=True,
            consequence="how many drafted tokens are accepted is not known",
        ),
        Rule(
            quantity="prefix_cache_hit_rate",
            names=("vllm:gpu_prefix_cache_hit_rate",),  # 0.5.5 to 0.9.0, V0
            fold=Fold.MAX,
            factor=looked_up,
            why="vLLM's prefix cache is off, or nothing was asked yet",
            optional=True,
            consequence="what the prefix cache saves is not known",
        ),
        Rule(
            quantity="requests_running",
            names=("vllm:num_requests_running",),
            consequence="the load of the engine is not known",
        ),
        Rule(
            quantity="requests_waiting",
            names=("vllm:num_requests_waiting",),
            consequence="a growing queue cannot be seen",
        ),
        Rule(
            quantity="requests_waiting",
            names=("vllm:num_requests_waiting_by_reason",),  # 0.20.1
            split={"reason": "reason"},
            detail=True,
        ),
        Rule(
            quantity="requests_waiting",
            names=("vllm:num_requests_swapped",),  # until 0.9.0, beside those that wait
            label={"reason": "swapped"},
            detail=True,
        ),
        Rule(
            quantity="kv_cache_usage",
            names=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),  # a ratio, despite its name
            fold=Fold.MAX,
            consequence="a full KV cache cannot be foreseen",
        ),
        Rule(
            quantity="sleeping",
            names=("vllm:engine_sleep_state",),  # 0.11.1
            where={"sleep_state": ("weights_offloaded", "discard_all")},
            fold=Fold.MAX,
            optional=True,
        ),
        Rule(
            quantity="start_time_seconds",
            names=("process_start_time_seconds",),
            why="several API server processes share the page, which then tells no start time",
            consequence="a restart is seen only when counters fall",
        ),
    ),
    infos=INFOS,
    absent=(
        Missing(
            "max_running_requests",
            "vLLM does not export --max-num-seqs",
            "how near the batch is to its limit is not known",
        ),
        Missing(
            "requests that clients abandoned",
            "vLLM does not count a client that went away (0.32: finished_reason=abort stays 0, HTTP status is 2xx)",
            "users who give up are seen only by --probe",
        ),
    ),
    endpoints=ENDPOINTS,
    unread=UNREAD,
)
