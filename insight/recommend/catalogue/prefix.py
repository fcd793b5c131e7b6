"""What was computed once and is used again: kept in host memory, shared by prompts that begin alike."""

from __future__ import annotations

from insight.recommend.catalogue.advice import ANY, NOT_SET, Action, Advice

_FIRST = Action("put what all prompts share first, in the same order each time")
CACHED: dict[str, tuple[Action, ...]] = {
    "vllm": (
        Action(
            "",
            "--enable-prefix-caching",
            "enable_prefix_caching flag_enable_prefix_caching",
            restart=True,
            done=("True", NOT_SET),
        ),
    ),
    "sglang": (
        Action(
            "the radix cache is on without it",
            "--disable-radix-cache",
            "disable_radix_cache flag_disable_radix_cache",
            "removed",
            restart=True,
            done=("False", NOT_SET),
        ),
    ),
    "trtllm": (
        Action(
            "in the file of --extra_llm_api_options", "kv_cache_config.enable_block_reuse", then="true", restart=True
        ),
    ),
    "llamacpp": (
        Action("", "--cache-prompt", "flag_cache_prompt", restart=True, done=("True", NOT_SET)),
        Action("parts that moved are used again", "--cache-reuse", "flag_cache_reuse", "256", restart=True),
    ),
}
"""How prefix caching is switched on; of TGI it is always on."""

ADVICE: tuple[Advice, ...] = (
    Advice(
        id="enable_prefix_cache",
        title="Switch prefix caching on",
        kind="caching",
        rules=("prefix_cache_opportunity",),
        actions={**CACHED, ANY: (_FIRST,)},
        relieves=("objective",),
        harm="where prompts share nothing it brings nothing, and costs next to nothing",
        disproved_by="the prefix hit rate stays near 0, or TTFT as long",
        because="to be measured: what part of the prompts is shared; it cannot be seen from outside",
    ),
    Advice(
        id="restore_prefix_cache",
        title="Bring the prefix hits back",
        kind="caching",
        rules=("prefix_cache_collapse",),
        actions={
            "vllm": (
                *CACHED["vllm"],
                Action(
                    "tells the cached tokens of each answer",
                    "--enable-prompt-tokens-details",
                    "flag_enable_prompt_tokens_details",
                    restart=True,
                    informs=True,
                    done=("True",),
                ),
            ),
            "sglang": (
                *CACHED["sglang"],
                Action(
                    "requests with a long cached prefix first",
                    "--schedule-policy",
                    "schedule_policy flag_schedule_policy",
                    "lpm",
                    restart=True,
                    done=("lpm",),
                ),
            ),
            "trtllm": CACHED["trtllm"],
            "llamacpp": CACHED["llamacpp"],
            ANY: (
                Action("see what changed: template, order of the parts, a time or an id at the start, salt, router"),
                _FIRST,
                Action("a router should send prompts that begin alike to one replica"),
            ),
        },
        disproved_by="the hit rate stays low with the prompts of before",
        because="to be measured: the hit rate of before, and the step times",
    ),
    Advice(
        id="kv_offload",
        title="Keep pushed-out KV cache in host memory",
        kind="KV cache",
        rules=("cache_saturation", "prefix_cache_collapse"),
        actions={
            "vllm": (
                Action(
                    "host memory for what is pushed out",
                    "--kv-offloading-size",
                    "flag_kv_offloading_size",
                    "a size in GiB",
                    restart=True,
                    not_with="host_memory_pressure",
                ),
            ),
            "sglang": (
                Action(
                    "with --hicache-ratio or --hicache-size",
                    "--enable-hierarchical-cache",
                    "flag_enable_hierarchical_cache",
                    restart=True,
                    done=("True",),
                    not_with="host_memory_pressure",
                ),
            ),
            "trtllm": (
                Action(
                    "host memory, in the file of --extra_llm_api_options",
                    "kv_cache_config.host_cache_size",
                    then="a size in bytes",
                    restart=True,
                    not_with="host_memory_pressure",
                ),
            ),
            "llamacpp": (
                Action(
                    "MiB of host memory for prompts that were pushed out",
                    "-cram",
                    "flag_cache_ram",
                    "higher",
                    restart=True,
                    done=("-1",),
                    not_with="host_memory_pressure",
                ),
            ),
        },
        cost="host memory, and traffic on the link to it",
        harm="where reading a token back takes longer than computing it, TTFT grows",
        disproved_by="tokens are seldom read back, or TTFT of prompts that were is no shorter",
        because="to be measured: the bytes of a token, the speed of the link, and how often a prefix comes again",
    ),
)
