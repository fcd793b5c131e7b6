"""SGLang with `--enable-metrics`: https://docs.sglang.io/references/production_metrics.html.

Never asked for: `/health`, which runs a request of its own since 0.5.1. Never read: `cache_hit_rate`, which is that of
the last prefill batch alone and fell to 0 at each log line before 0.5.10 (the counters of cached tokens tell it over
any window), and `gen_throughput`, which keeps its last value on an idle server and is 0 for the first steps of a busy.
"""

from __future__ import annotations

from collectors.engines.dialect import Dialect
from collectors.engines.rule import Fold, Rule
from collectors.engines.served_models import MODELS
from collectors.engines.sglang_facts import FACTS
from collectors.engines.sglang_gauges import NO_DRAFTS, NOT_YET, fresh, speculates
from collectors.engines.sglang_unread import UNREAD
from metrics.sample import Missing

_NOT_SERVED = (
    "/metrics",
    "/health",
    "/health_generate",
    "/ping",
    "/model_info",
    "/get_model_info",
    "/server_info",
    "/get_server_info",
    "/v1/models",
    "/v1/loads",
)
"""What monitors ask for, this one included."""
_PREFILL = ("prefill_compute", "prefill_cache")
_REALTIME = "sglang:realtime_tokens_total"
_FIRST_USE = "SGLang writes it after the first request that has something to tell"


SGLANG = Dialect(
    engine="sglang",
    title="SGLang",
    prefix="sglang:",
    checked="0.5.23, pages captured from a real server; names and labels from the sources of 0.3.4 to 0.5.23",
    rank_label="dp_rank",
    model_label="model_name",
    mirrors=("tp_rank", "pp_rank", "moe_ep_rank", "pid"),
    total_label="priority",
    rules=(
        # --- latencies
        Rule(
            quantity="ttft_seconds",
            names=("sglang:time_to_first_token_seconds",),
            why=_FIRST_USE,
            consequence="TTFT cannot be watched without --probe",
        ),
        Rule(
            quantity="itl_seconds",
            names=("sglang:inter_token_latency_seconds", "sglang:time_per_output_token_seconds"),  # 0.4.4
            why=_FIRST_USE,
            consequence="inter-token latency cannot be watched without --probe",
        ),
        Rule(
            quantity="tpot_seconds",
            names=("sglang:request_time_per_output_token_seconds",),  # 0.5.22
            why="SGLang before 0.5.22 does not tell it, and later not before the first answer",
            consequence="time per output token cannot be told apart from inter-token latency",
        ),
        Rule(
            quantity="e2e_seconds",
            names=("sglang:e2e_request_latency_seconds",),
            why=_FIRST_USE,
            consequence="the time that a whole request takes is not known",
        ),
        Rule(
            quantity="queue_seconds",
            names=("sglang:queue_time_seconds", "sglang:queue_time_s"),  # 0.5.3, 0.5.2
            why="SGLang before 0.5.2 does not tell it, and later not before the first request",
            consequence="waiting cannot be told apart from working",
        ),
        Rule(
            quantity="prefill_seconds",
            names=("sglang:per_stage_req_latency_seconds",),  # 0.5.3
            where={"stage": ("prefill_forward",)},
            optional=True,
        ),
        # --- lengths
        Rule(
            quantity="prompt_tokens",
            names=("sglang:prompt_tokens_histogram",),
            why="SGLang before 0.5.12 tells it only with --collect-tokens-histogram",
            consequence="the length of prompts is not known",
        ),
        Rule(
            quantity="output_tokens",
            names=("sglang:generation_tokens_histogram",),
            why="SGLang before 0.5.12 tells it only with --collect-tokens-histogram",
            consequence="the length of answers is not known",
        ),
        # --- requests
        Rule(
            quantity="requests_finished",
            names=("sglang:num_requests_total",),
            why=_FIRST_USE,
            consequence="the rate of requests is not known",
        ),
        Rule(
            quantity="requests_finished",
            names=("sglang:num_aborted_requests_total", "sglang:num_aborted_requests"),  # 0.4.7
            label={"reason": "abort"},
            detail=True,
        ),
        Rule(
            quantity="http_requests",
            names=("sglang:http_responses_total",),  # 0.5.7
            unless={"endpoint": _NOT_SERVED},
            split={"status_code": "status"},
            why="SGLang before 0.5.7 does not count HTTP answers",
            consequence="requests that were refused (HTTP status 4xx, 5xx) are not seen",
        ),
        # --- tokens: as they are worked on since 0.5.7, before that when their request ends
        Rule(
            quantity="prompt_tokens_total",
            names=(_REALTIME,),
            where={"mode": _PREFILL},
            consequence="prompt throughput is not known",
        ),
        Rule(quantity="prompt_tokens_total", names=("sglang:prompt_tokens_total",), lumpy=True),
        Rule(
            quantity="prompt_tokens_cached",
            names=(_REALTIME,),
            where={"mode": ("prefill_cache",)},
            why=_FIRST_USE,
            consequence="what the prefix cache saves is not known",
        ),
        # A `total` beside its parts would be counted twice.
        Rule(
            quantity="prompt_tokens_cached",
            names=("sglang:cached_tokens_total",),
            where={"cache_source": ("total",)},
            lumpy=True,
        ),
        Rule(quantity="prompt_tokens_cached", names=("sglang:cached_tokens_total",), lumpy=True),
        Rule(
            quantity="prompt_tokens_computed",
            names=(_REALTIME,),
            where={"mode": ("prefill_compute",)},
            why="SGLang before 0.5.7 does not tell it",
            consequence="prefill work cannot be told apart from cached tokens",
        ),
        Rule(
            quantity="output_tokens_total",
            # The first token of a request comes from its prefill and is not among them (0.5.23: 7 and one request with
            # 8 tokens), but TTFT is observed for each.
            names=(_REALTIME,),
            where={"mode": ("decode",)},
            plus="sglang:time_to_first_token_seconds_count",
            together=True,
            consequence="output throughput is not known, and a stalled engine cannot be recognised",
        ),
        Rule(quantity="output_tokens_total", names=("sglang:generation_tokens_total",), lumpy=True),
        # --- the engine
        Rule(
            quantity="preemptions",
            names=("sglang:num_retracted_requests_total", "sglang:num_retractions_sum"),  # 0.5.7, 0.5.5
            why="SGLang before 0.5.5 does not count retractions, and later not before the first",
            consequence="KV cache thrashing cannot be recognised",
        ),
        Rule(quantity="kv_transfers", names=("sglang:kv_transfer_latency_ms_count",), optional=True),  # 0.5.10
        Rule(quantity="kv_transfers_failed", names=("sglang:num_transfer_failed_reqs_total",), optional=True),
        Rule(
            quantity="requests_running",
            names=("sglang:num_running_reqs",),
            factor=fresh,
            why=NOT_YET,
            consequence="the load of the engine is not known",
        ),
        Rule(
            quantity="requests_waiting",
            names=("sglang:num_queue_reqs",),
            consequence="a growing queue cannot be seen",
        ),
        Rule(
            quantity="requests_waiting",
            names=("sglang:num_grammar_queue_reqs",),  # 0.4.7, beside the queue
            label={"reason": "grammar"},
            detail=True,
        ),
        Rule(
            quantity="kv_cache_usage",
            names=("sglang:token_usage",),  # rounded to 0.01; what the prefix cache could give up is not in use
            fold=Fold.MAX,
            factor=fresh,
            why=NOT_YET,
            consequence="a full KV cache cannot be foreseen",
        ),
        Rule(
            quantity="kv_cache_capacity_tokens",
            names=("sglang:max_total_num_tokens",),  # 0.5.6
            why="SGLang before 0.5.6 does not tell it",
            consequence="how many requests fit into the KV cache is not known",
        ),
        # --- speculation: nothing is counted, these are means of the last log interval
        Rule(
            quantity="spec_acceptance_rate",
            names=("sglang:spec_accept_rate",),  # 0.5.4
            fold=Fold.MAX,
            factor=speculates,
            why=NO_DRAFTS,
            consequence="how many drafted tokens are accepted is not known",
        ),
        Rule(
            quantity="spec_acceptance_length",
            names=("sglang:spec_accept_length",),  # 0.4.2
            fold=Fold.MAX,
            factor=speculates,
            why=NO_DRAFTS,
            consequence="what a step of speculation brings is not known",
        ),
        Rule(quantity="max_model_len", names=("sglang:context_len",), fold=Fold.MAX, optional=True),  # 0.5.12
    ),
    absent=(
        Missing(
            "start_time_seconds",
            "SGLang's page is written by several processes and tells no start time",
            "a restart is seen only when counters fall",
        ),
    ),
    endpoints=(
        *FACTS,
        MODELS,
    ),
    unread=UNREAD,
)
