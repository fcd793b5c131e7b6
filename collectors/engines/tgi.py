"""Hugging Face TGI: https://huggingface.co/docs/text-generation-inference/reference/metrics. Maintained no more."""

from __future__ import annotations

from msgspec import Struct

from collectors.engines.dialect import Dialect, Endpoint, Reading, Size
from collectors.engines.rule import Fold, Rule, Term
from metrics.sample import Missing


class _Server(Struct):
    model_id: str | None = None
    version: str | None = None
    max_concurrent_requests: Size | None = None
    max_input_tokens: Size | None = None
    max_total_tokens: Size | None = None


def _info(answer: _Server) -> Reading:
    length = answer.max_total_tokens
    facts = {
        "model": answer.model_id,
        "engine_version": answer.version,
        "max_concurrent_requests": answer.max_concurrent_requests,
        "max_input_tokens": answer.max_input_tokens,
    }
    return Reading(
        gauges={"max_model_len": float(length)} if length else {},
        facts={name: str(value) for name, value in facts.items() if value},
    )


_FIRST_USE = "TGI writes it after the first request"

TGI = Dialect(
    engine="tgi",
    title="TGI",
    prefix="tgi_",
    checked="names, labels and buckets from the sources of 0.9.4 to 3.3.7; a page written after them",
    rules=(
        Rule(
            quantity="tpot_seconds",
            names=("tgi_request_mean_time_per_token_duration",),
            why=_FIRST_USE,
            consequence="time per output token cannot be watched without --probe",
        ),
        Rule(
            quantity="e2e_seconds",
            names=("tgi_request_duration",),
            why=_FIRST_USE,
            consequence="the time that a whole request takes is not known",
        ),
        Rule(
            quantity="queue_seconds",
            names=("tgi_request_queue_duration",),
            why=_FIRST_USE,
            consequence="waiting cannot be told apart from working",
        ),
        Rule(
            quantity="prompt_tokens",
            names=("tgi_request_input_length",),
            why=_FIRST_USE,
            consequence="the length of prompts is not known",
        ),
        Rule(
            quantity="output_tokens",
            names=("tgi_request_generated_tokens",),
            why=_FIRST_USE,
            consequence="the length of answers is not known",
        ),
        Rule(
            quantity="requests_finished",
            names=("tgi_request_success",),
            why=_FIRST_USE,
            consequence="the rate of requests is not known",
        ),
        Rule(
            quantity="requests_failed",
            names=("tgi_request_failure",),
            where={"err": ("generation", "incomplete", "dropped")},
            optional=True,  # written after the first
        ),
        Rule(
            quantity="requests_rejected",
            names=("tgi_request_failure",),
            where={"err": ("overloaded", "validation", "template")},
            split={"err": "reason"},
            optional=True,
        ),
        Rule(
            quantity="prompt_tokens_total",
            names=("tgi_request_input_length_sum",),  # when a request arrives
            why=_FIRST_USE,
            consequence="prompt throughput is not known",
        ),
        Rule(
            quantity="output_tokens_total",
            names=("tgi_request_generated_tokens_sum",),
            lumpy=True,
            why=_FIRST_USE,
            consequence="output throughput is not known",
        ),
        Rule(
            quantity="engine_steps",
            names=("tgi_batch_inference_count",),
            why=_FIRST_USE,
            consequence="a stalled engine cannot be recognised",
        ),
        Rule(
            quantity="requests_running",
            names=("tgi_batch_current_size",),
            why=_FIRST_USE,
            consequence="the load of the engine is not known",
        ),
        Rule(
            quantity="requests_waiting",
            names=("tgi_queue_size",),
            why=_FIRST_USE,
            consequence="a growing queue cannot be seen",
        ),
        Rule(
            quantity="kv_cache_usage",
            names=("tgi_batch_current_max_tokens",),  # what the running requests may grow to, of the budget for tokens
            over=Term("tgi_batch_max_total_tokens"),
            fold=Fold.MAX,
            why="TGI before 2.4 does not tell its token budget",
            consequence="a full KV cache cannot be foreseen",
        ),
        Rule(
            quantity="kv_cache_capacity_tokens",
            names=("tgi_batch_max_total_tokens",),  # 2.4
            why="TGI before 2.4 does not tell its token budget",
            consequence="how many requests fit into the KV cache is not known",
        ),
    ),
    absent=(
        Missing("ttft_seconds", "TGI exports no time to first token", "TTFT cannot be watched without --probe"),
        Missing(
            "itl_seconds",
            "TGI times batches, not tokens",
            "only the mean time per token of each request is known (tpot_seconds)",
        ),
        Missing("prompt_tokens_cached", "TGI does not count cached tokens", "what the prefix cache saves is not known"),
        Missing("preemptions", "TGI reserves room for whole answers and preempts nothing", "long queues come instead"),
    ),
    endpoints=(Endpoint("/info", _Server, _info),),
    unread=tuple(
        f"tgi_{name}"
        for name in (
            "batch_",
            "request_count",
            "request_inference_duration",
            "request_max_new_tokens",
            "request_skipped_tokens",
            "request_validation_duration",
        )
    ),
)
