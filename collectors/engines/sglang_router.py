"""SGLang's router, now Model Gateway (`smg_*`, before 0.3 `sgl_router_*`), on a port of its own (29000).

Its page is written by a library that turns histograms without buckets into summaries: then only the mean is read.
"""

from __future__ import annotations

from collectors.engines.dialect import Dialect
from collectors.engines.rule import Fold, Rule
from metrics.sample import Missing

_HTTP_MODE = "the gateway tells it only for workers that it speaks gRPC with"

SGLANG_ROUTER = Dialect(
    engine="sglang-router",
    title="SGLang Model Gateway",
    prefix="smg_",
    checked="sglang-router 0.3, pages captured from a real gateway; `sgl_router_` from the sources of 0.1.9 and 0.2.4",
    signs={"smg_": "", "sgl_router_": ""},
    model_label="model",
    unsteady=True,
    rules=(
        Rule(
            quantity="ttft_seconds",
            names=("smg_router_ttft_seconds",),
            why=_HTTP_MODE,
            consequence="TTFT is to be watched at the workers, or by --probe",
        ),
        Rule(
            quantity="tpot_seconds",
            names=("smg_router_tpot_seconds",),
            why=_HTTP_MODE,
            consequence="time per output token is to be watched at the workers, or by --probe",
        ),
        Rule(
            quantity="e2e_seconds",
            names=("smg_router_generation_duration_seconds", "sgl_router_generate_duration_seconds"),
            # `smg_router_request_duration_seconds` ends with the headers of a stream: 60 answers took 0.36 s together.
            why=_HTTP_MODE,
            consequence="the time that a whole request takes is not known",
        ),
        Rule(
            quantity="requests_finished",
            names=("smg_router_requests_total", "sgl_router_requests_total"),
            why="the gateway writes it after the first request",
            consequence="the rate of requests is not known",
        ),
        Rule(
            quantity="requests_failed",
            names=("smg_router_request_errors_total", "sgl_router_request_errors_total"),
            optional=True,  # written after the first
        ),
        Rule(
            quantity="requests_rejected",
            names=("smg_http_rate_limit_total",),
            where={"result": ("rejected", "denied", "limited")},
            optional=True,
        ),
        Rule(
            quantity="http_requests",
            names=("smg_http_responses_total", "sgl_router_upstream_http_responses_total"),
            split={"status_code": "status"},
            why="the gateway writes it after the first request",
            consequence="requests that were refused (HTTP status 4xx, 5xx) are not seen",
        ),
        Rule(
            quantity="prompt_tokens_total",
            names=("smg_router_tokens_total",),
            where={"token_type": ("input",)},
            why=_HTTP_MODE,
            consequence="prompt throughput is to be watched at the workers",
        ),
        Rule(
            quantity="output_tokens_total",
            names=("smg_router_tokens_total",),
            where={"token_type": ("output",)},
            why=_HTTP_MODE,
            lumpy=True,
            consequence="output throughput is to be watched at the workers",
        ),
        Rule(
            quantity="requests_running",
            names=("smg_worker_requests_active", "sgl_router_running_requests"),
            why="the gateway writes it after the first request",
            consequence="the load is not known",
        ),
        Rule(quantity="requests_waiting", names=("sgl_router_job_queue_depth",), fold=Fold.MAX, optional=True),
    ),
    absent=(
        Missing("kv_cache_usage", "a gateway has no KV cache", "it is to be watched at the workers"),
        Missing(
            "the health of workers",
            "a worker that was killed stays healthy on the page (smg 0.3: for more than 10 s)",
            "a dead worker is seen only by watching the workers themselves",
        ),
    ),
    unread=("smg_",),
)
