"""LiteLLM's proxy with `callbacks: ["prometheus"]`; its page is at `/metrics/`, and wants the proxy's key since 1.109.

Its labels name users, keys and teams. Only the model is kept: all others are added up.
"""

from __future__ import annotations

from collectors.engines.dialect import Dialect
from collectors.engines.rule import Rule
from metrics.sample import Missing

_FIRST_USE = "LiteLLM writes it after the first request"

LITELLM = Dialect(
    engine="litellm",
    title="LiteLLM",
    prefix="litellm_",
    checked="names, labels and buckets from 1.109; a page written after it",
    signs={"litellm_": ""},
    model_label="model",
    unsteady=True,
    rules=(
        Rule(
            quantity="ttft_seconds",
            names=("litellm_llm_api_time_to_first_token_metric",),  # streams alone
            why="LiteLLM writes it after the first stream",
            consequence="TTFT cannot be watched without --probe",
        ),
        Rule(
            quantity="tpot_seconds",
            names=("litellm_deployment_latency_per_output_token",),
            why=_FIRST_USE,
            consequence="time per output token cannot be watched without --probe",
        ),
        Rule(
            quantity="e2e_seconds",
            names=("litellm_request_total_latency_metric",),
            why=_FIRST_USE,
            consequence="the time that a whole request takes is not known",
        ),
        Rule(
            quantity="queue_seconds",
            names=("litellm_request_queue_time_seconds",),
            why=_FIRST_USE,
            consequence="waiting cannot be told apart from working",
        ),
        # By the model that was asked for: the label `model` is not on these two.
        Rule(
            quantity="requests_finished",
            names=("litellm_proxy_total_requests_metric_total", "litellm_proxy_total_requests_metric"),
            split={"requested_model": "model"},
            why=_FIRST_USE,
            consequence="the rate of requests is not known",
        ),
        Rule(
            quantity="requests_failed",
            names=("litellm_proxy_failed_requests_metric_total", "litellm_proxy_failed_requests_metric"),
            split={"requested_model": "model"},
            optional=True,  # written after the first
        ),
        Rule(
            quantity="http_requests",
            names=("litellm_proxy_total_requests_metric_total", "litellm_proxy_total_requests_metric"),
            split={"status_code": "status"},
            why=_FIRST_USE,
            consequence="requests that were refused (HTTP status 4xx, 5xx) are not seen",
        ),
        Rule(
            quantity="prompt_tokens_total",
            names=("litellm_input_tokens_metric_total", "litellm_input_tokens_metric"),
            lumpy=True,
            why=_FIRST_USE,
            consequence="prompt throughput is not known",
        ),
        Rule(
            quantity="prompt_tokens_cached",
            names=("litellm_input_cached_tokens_metric_total", "litellm_input_cached_tokens_metric"),
            lumpy=True,
            optional=True,
        ),
        Rule(
            quantity="output_tokens_total",
            names=("litellm_output_tokens_metric_total", "litellm_output_tokens_metric"),
            lumpy=True,
            why=_FIRST_USE,
            consequence="output throughput is not known",
        ),
    ),
    absent=(
        Missing("requests_running", "LiteLLM does not tell it", "the load is to be watched at the engines"),
        Missing("requests_waiting", "LiteLLM does not tell it", "a growing queue is to be watched at the engines"),
        Missing("kv_cache_usage", "a proxy has no KV cache", "it is to be watched at the engines"),
    ),
    unread=("litellm_",),
)
