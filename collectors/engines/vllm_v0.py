"""When the numbers of older vLLM may be believed, and in which unit they are: its page does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collectors.engines.rule import Index


def block_or_token(index: Index) -> float | None:
    """Tell how many tokens one unit of `gpu_prefix_cache_*` is: a block in 0.7.3 to 0.8.5, a token from 0.9.0.

    The page does not say which. Every prompt token is looked up once, so queries in tokens are no fewer than prompt
    tokens, and queries in blocks are fewer by the size of a block, which is 8 at least.
    """
    looked_up = sum(value for _, value in index.get("vllm:gpu_prefix_cache_queries_total", ()))
    prompts = sum(value for _, value in index.get("vllm:prompt_tokens_total", ()))
    if not looked_up or not prompts:
        return None
    if looked_up > prompts / 2:
        return 1.0
    sizes = {each.labels.get("block_size", "") for each, _ in index.get("vllm:cache_config_info", ())}
    size = sizes.pop() if len(sizes) == 1 else ""
    return float(size) if size.isascii() and size.isdigit() else None


def looked_up(index: Index) -> float | None:
    """Tell whether V0's hit rate says anything: 1 where it does; it is -1 without a prefix cache, and 0 at first."""
    rates = [value for _, value in index.get("vllm:gpu_prefix_cache_hit_rate", ())]
    asked = any(value > 0 for _, value in index.get("vllm:prompt_tokens_total", ()))
    return 1.0 if asked and all(value >= 0 for value in rates) else None


def drafted(index: Index) -> float | None:
    """Tell whether V0's acceptance rate says anything: 1 where it does; it is NaN before the first draft."""
    return 1.0 if any(value > 0 for _, value in index.get("vllm:spec_decode_num_draft_tokens_total", ())) else None
