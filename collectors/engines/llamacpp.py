"""llama.cpp's `llama-server --metrics`: tools/server/README.md in https://github.com/ggml-org/llama.cpp.

Never read: `prompt_tokens_seconds` and `predicted_tokens_seconds`. They speak of the time since the last poll by anyone
and fall to 0 by being read, so that two monitors take each other's values.
"""

from __future__ import annotations

from pathlib import PurePath

from msgspec import Struct, field

from collectors.engines.dialect import Dialect, Endpoint, Reading, Size
from collectors.engines.rule import Fold, Rule
from metrics.sample import Missing


class _Settings(Struct):
    n_ctx: Size | None = None


class _Props(Struct):
    default_generation_settings: _Settings = field(default_factory=_Settings)
    total_slots: Size | None = None
    model_alias: str | None = None
    model_path: str | None = None
    model_ftype: str | None = None
    build_info: str | None = None


def _props(answer: _Props) -> Reading:
    """Read what the server was started with. `n_ctx` is that of one slot: the longest sequence of a request."""
    gauges = {
        "max_running_requests": answer.total_slots,
        "max_model_len": answer.default_generation_settings.n_ctx,
    }
    facts = {
        "engine_version": answer.build_info,
        "model": answer.model_alias or PurePath(answer.model_path or "").name,
        "model_ftype": answer.model_ftype,
    }
    return Reading(
        gauges={quantity: float(value) for quantity, value in gauges.items() if value},
        facts={fact: value for fact, value in facts.items() if value},
    )


_NO_HISTOGRAM = "llama.cpp exports no latency histogram"
TOKENS = "output_tokens_total"
AT_THE_END = Missing(
    f"{TOKENS} while a request runs",
    "llama.cpp counts generated tokens when their request ends",
    "throughput is that of the requests which ended last, some seconds behind",
)
"""True of the page alone; beside `/slots` (`llamacpp_slots`) it is not."""

LLAMACPP = Dialect(
    engine="llamacpp",
    title="llama.cpp",
    prefix="llamacpp:",
    checked="commit 0c1e570 (2026), pages captured from a real server; older names from the sources since b2366",
    rules=(
        # --- tokens
        Rule(
            quantity="prompt_tokens_total",
            names=("llamacpp:prompt_tokens_total",),  # leaves out cached tokens
            plus="llamacpp:prompt_tokens_cached_total",
            why="llama.cpp before the middle of 2026 does not count prompt tokens taken from the cache",
            consequence="prompt throughput is known only without cached tokens (prompt_tokens_computed)",
        ),
        Rule(
            quantity="prompt_tokens_cached",
            names=("llamacpp:prompt_tokens_cached_total",),
            why="llama.cpp before the middle of 2026 does not count prompt tokens taken from the cache",
            consequence="what the prefix cache saves is not known",
        ),
        Rule(
            quantity="prompt_tokens_computed",
            names=("llamacpp:prompt_tokens_total",),
            consequence="prompt throughput is not known",
        ),
        Rule(
            quantity=TOKENS,
            names=("llamacpp:tokens_predicted_total",),
            lumpy=True,
            consequence="output throughput is not known",
        ),
        Rule(
            quantity="prompt_seconds_total",
            names=("llamacpp:prompt_seconds_total",),
            consequence="the speed of prefill is not known",
        ),
        Rule(
            quantity="output_seconds_total",
            names=("llamacpp:tokens_predicted_seconds_total",),
            lumpy=True,
            consequence="the mean time per token is not known",
        ),
        # --- the engine
        Rule(
            quantity="engine_steps",
            names=("llamacpp:n_decode_total",),  # September 2024
            consequence="a stalled engine cannot be recognised",
        ),
        Rule(quantity="spec_drafts", names=("llamacpp:spec_decode_num_drafts_total",), optional=True),
        Rule(quantity="spec_draft_tokens", names=("llamacpp:spec_decode_num_draft_tokens_total",), optional=True),
        Rule(quantity="spec_accepted_tokens", names=("llamacpp:spec_decode_num_accepted_tokens_total",), optional=True),
        Rule(
            quantity="requests_running",
            names=("llamacpp:requests_processing",),
            consequence="the load of the engine is not known",
        ),
        Rule(
            quantity="requests_waiting",
            names=("llamacpp:requests_deferred",),
            consequence="a growing queue cannot be seen",
        ),
        Rule(
            quantity="kv_cache_usage",
            names=("llamacpp:kv_cache_usage_ratio",),  # until May 2025, llama.cpp pull request 13660
            fold=Fold.MAX,
            why="llama.cpp has exported no KV cache usage since May 2025",
            consequence="a full KV cache cannot be foreseen",
        ),
    ),
    absent=(
        Missing("ttft_seconds", _NO_HISTOGRAM, "TTFT cannot be watched without --probe"),
        Missing(
            "itl_seconds",
            _NO_HISTOGRAM,
            "only the mean time per token of requests that ended is known, over minutes (output_seconds_total)",
        ),
        Missing("e2e_seconds", _NO_HISTOGRAM, "the time that a whole request takes is not known without --probe"),
        Missing("queue_seconds", _NO_HISTOGRAM, "waiting is seen only as the length of the queue"),
        Missing("requests_finished", "llama.cpp counts no requests", "the rate of requests and failures is not known"),
        AT_THE_END,
    ),
    unread=tuple(
        f"llamacpp:{name}"
        for name in (
            "kv_cache_tokens",
            "n_busy_slots_per_decode",  # an average over the life of the server
            "n_past_max",
            "n_tokens_max",
            "predicted_tokens_seconds",
            "prompt_tokens_seconds",
            "spec_decode_num_accepted_tokens_per_pos",
        )
    ),
    endpoints=(Endpoint("/props", _Props, _props),),
)
