"""TensorRT-LLM's page `/metrics`: a JSON list of what each step of the engine was like.

A step is on it once: reading it takes it away from everybody else who reads. So what a poll reads is an increase, to be
added to what was counted before; with a second reader, the counters are too low. The list stays empty unless the
server was started with `enable_iter_perf_stats: true`.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from collectors.engines.dialect import Reading
from metrics.quantity import impossibility
from metrics.sample import Missing


class _Cache(Struct, rename="camel"):
    max_num_blocks: float = 0.0
    used_num_blocks: float = 0.0
    tokens_per_block: float = 0.0


class _Batch(Struct, rename="camel"):
    num_ctx_tokens: float = 0.0
    num_gen_requests: float = 0.0
    num_paused_requests: float = 0.0
    avg_num_decoded_tokens_per_iter: float = 1.0


class _Drafts(Struct, rename="camel"):
    num_draft_tokens: float = 0.0
    num_accepted_tokens: float = 0.0


class _Step(Struct, rename="camel"):
    iter: float | None = None
    num_active_requests: float | None = None
    num_queued_requests: float | None = None
    num_completed_requests: float = 0.0
    max_num_active_requests: float | None = None
    kv_cache_stats: _Cache | None = None
    inflight_batching_stats: _Batch | None = None
    spec_decoding_stats: _Drafts | None = None


_COUNTED = ("requests_finished", "prompt_tokens_computed", "output_tokens_total", "engine_steps")
_SHARED = Missing(
    "steps that another reader took",
    "reading this page takes steps away from everybody else who reads it",
    "with a second reader, throughput is too low here and there: give the page /prometheus/metrics instead",
)
_NO_HISTOGRAM = "this page of TensorRT-LLM holds no latencies; /prometheus/metrics does (return_perf_metrics: true)"
ABSENT = (
    _SHARED,
    Missing("ttft_seconds", _NO_HISTOGRAM, "TTFT cannot be watched without --probe"),
    Missing("tpot_seconds", _NO_HISTOGRAM, "time per output token cannot be watched without --probe"),
    Missing("e2e_seconds", _NO_HISTOGRAM, "the time that a whole request takes is not known"),
    Missing("prompt_tokens_total", "this page counts only prompt tokens that were worked on", "see computed tokens"),
)


def read_steps(body: bytes, before: dict[str, float] | None = None) -> Reading | None:
    """Read a page; None where it is none of these. `before` are the counters of the reading before, to be added to.

    Gauges are those of the newest step; an empty page has none, and its counters are those from before.
    """
    try:
        steps = msgspec.json.decode(body, type=list[_Step])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if any(step.iter is None for step in steps):
        return None
    counters = dict.fromkeys(_COUNTED, 0.0) | (before or {})
    for step in steps:
        for name, value in _increase(step).items():
            counters[name] = counters.get(name, 0.0) + (0.0 if impossibility(name, value) else value)
    missing = ABSENT if steps else (*ABSENT, _nothing())
    facts = {"engine": "trtllm"}
    return Reading(counters=counters, gauges=_gauges(steps[-1]) if steps else {}, facts=facts, missing=missing)


def _increase(step: _Step) -> dict[str, float]:
    batch, drafts = step.inflight_batching_stats or _Batch(), step.spec_decoding_stats
    counted = {
        "requests_finished": step.num_completed_requests,
        "prompt_tokens_computed": batch.num_ctx_tokens,
        "output_tokens_total": batch.num_gen_requests * batch.avg_num_decoded_tokens_per_iter,
        "engine_steps": 1.0,
    }
    if drafts is not None:
        counted |= {"spec_draft_tokens": drafts.num_draft_tokens, "spec_accepted_tokens": drafts.num_accepted_tokens}
    return counted


def _gauges(step: _Step) -> dict[str, float]:
    cache = step.kv_cache_stats
    told = {
        "requests_running": step.num_active_requests,
        "requests_waiting": step.num_queued_requests,
        "max_running_requests": step.max_num_active_requests,
    }
    if cache is not None and cache.max_num_blocks > 0:
        told["kv_cache_usage"] = cache.used_num_blocks / cache.max_num_blocks
        told["kv_cache_capacity_tokens"] = cache.max_num_blocks * cache.tokens_per_block or None
    return {name: value for name, value in told.items() if value is not None and not impossibility(name, value)}


def _nothing() -> Missing:
    why = "the page is empty: no step since the last poll, or enable_iter_perf_stats is off"
    return Missing("requests_running", why, "the load of the engine is not known")
