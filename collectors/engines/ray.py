"""Ray Serve LLM: vLLM's series as Ray's agent of a node shows them, with `ray_` in front and labels of Ray behind.

Ray leaves out increments of zero, so that a counter which is absent is not 0; and it takes `_total` from the names of
some versions and adds it in others. Each worker process is an engine of its own here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from collectors.engines.dialect import Dialect
from collectors.engines.vllm import VLLM
from collectors.engines.vllm_facts import UNREAD
from metrics.quantity import QUANTITIES, Kind
from metrics.sample import Missing

if TYPE_CHECKING:
    from collectors.engines.rule import Rule

_LATER = "Ray shows it after the first time that it is more than 0"


def _rayed(rule: Rule) -> Rule:
    """Write a rule of vLLM in Ray's names."""
    names = [f"ray_{name}" for name in rule.names]
    if QUANTITIES[rule.quantity].kind is Kind.COUNTER:
        names += [name.removesuffix("_total") for name in names if name.endswith("_total")]
    return replace(rule, names=tuple(names), why="" if rule.optional or rule.detail else _LATER, factor=None)


RAY = Dialect(
    engine="ray",
    title="Ray Serve LLM",
    prefix="ray_vllm:",
    checked="names and labels from the sources of Ray 2.60 and vLLM 0.33; pages written after them",
    rank_label="WorkerId",
    model_label="model_name",
    unsteady=True,
    rules=tuple(
        _rayed(rule)
        for rule in VLLM.rules
        # HTTP and process are Ray's own there, and what one block of `gpu_prefix_cache_*` is cannot be told.
        if rule.quantity not in {"http_requests", "start_time_seconds"} and rule.factor is None
    ),
    absent=(
        *(each for each in VLLM.absent if each.what == "requests that clients abandoned"),
        Missing("kv_cache_capacity_tokens", "Ray does not show it", "how much fits into the KV cache is not known"),
        Missing("start_time_seconds", "Ray does not show it", "a restart is a worker that comes in another's place"),
    ),
    unread=(
        "ray_vllm:cache_config_info",
        "ray_vllm:gpu_prefix_cache_hit_rate",
        "ray_vllm:lora_requests_info",
        "ray_vllm:spec_decode_draft_acceptance_rate",
        *(f"ray_{name}" for name in UNREAD),
    ),
)
