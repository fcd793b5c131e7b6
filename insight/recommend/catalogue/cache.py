"""The KV cache: how much it holds, and in how many bytes."""

from __future__ import annotations

from insight.recommend.catalogue.advice import ANY, NOT_SET, OTHERS, Action, Advice

_FULL = ("cache_saturation", "preemption")
_TOKENS = "what it brings is not estimated: that needs the step times, and the length of the sequences that run"

ADVICE: tuple[Advice, ...] = (
    Advice(
        id="kv_cache_capacity",
        title="Give the KV cache more room",
        kind="KV cache",
        rules=_FULL,
        actions={
            "vllm": (
                Action(
                    "if nothing else is on the GPU",
                    "--gpu-memory-utilization",
                    "gpu_memory_utilization flag_gpu_memory_utilization",
                    "higher",
                    restart=True,
                    not_with="gpu_oversubscription",
                ),
                Action(
                    "if no request needs more: bounds what one may take",
                    "--max-model-len",
                    "max_model_len flag_max_model_len",
                    "lower",
                    restart=True,
                ),
            ),
            "sglang": (
                Action(
                    "as long as 5 to 8 GB of the GPU stay free",
                    "--mem-fraction-static",
                    "mem_fraction_static flag_mem_fraction_static",
                    "higher",
                    restart=True,
                    not_with="gpu_oversubscription",
                ),
            ),
            "tgi": (
                Action(
                    "if nothing else is on the GPU",
                    "--cuda-memory-fraction",
                    "flag_cuda_memory_fraction",
                    "higher",
                    restart=True,
                    done=(NOT_SET, "1.0", "1"),
                    not_with="gpu_oversubscription",
                ),
                Action(
                    "as far as memory allows",
                    "--max-batch-total-tokens",
                    "kv_cache_capacity_tokens flag_max_batch_total_tokens",
                    "higher",
                    restart=True,
                ),
            ),
            "trtllm": (
                Action(
                    "0.9 is the default",
                    "--kv_cache_free_gpu_memory_fraction",
                    "flag_kv_cache_free_gpu_memory_fraction",
                    "higher",
                    restart=True,
                    not_with="gpu_oversubscription",
                ),
            ),
            "llamacpp": (
                Action("as far as memory allows", "-c", "flag_ctx_size", "higher", restart=True),
                Action(
                    "all slots share one cache",
                    "--kv-unified",
                    "flag_kv_unified",
                    restart=True,
                    done=("True",),
                ),
            ),
            ANY: (Action("shorter prompts and answers, or a replica more: the sequences share what there is"),),
        },
        relieves=("kv_cache",),
        cost="memory of the GPU",
        harm="with too little left free, a long prompt can end the server for want of memory",
        disproved_by="the cache stays as full with as many requests running, or the server runs out of memory",
        because=_TOKENS,
    ),
    Advice(
        id="lower_max_num_seqs",
        title="Run fewer requests at once",
        kind="engine parameters",
        rules=_FULL,
        actions={
            "vllm": (
                Action(
                    "none is thrown out, more wait",
                    "--max-num-seqs",
                    "flag_max_num_seqs",
                    "{slots}",
                    "lower",
                    "flag_data_parallel_size",
                    restart=True,
                    not_with="slot_cap",
                ),
            ),
            "sglang": (
                Action(
                    "none is thrown out, more wait",
                    "--max-running-requests",
                    "max_running_requests flag_max_running_requests",
                    "{slots}",
                    "lower",
                    restart=True,
                    not_with="slot_cap",
                ),
                Action(
                    "it then expects longer answers",
                    "--schedule-conservativeness",
                    "flag_schedule_conservativeness",
                    "1.3",
                    restart=True,
                ),
            ),
            "tgi": (Action("", "--max-batch-size", "flag_max_batch_size", "{slots}", "lower", restart=True),),
            "trtllm": (
                Action("", "--max_batch_size", "flag_max_batch_size", "{slots}", "lower", restart=True),
                Action("GUARANTEED_NO_EVICT, the default policy of its scheduler, never puts off what has begun"),
            ),
            "llamacpp": (
                Action(
                    "each slot gets more of the context",
                    "-np",
                    "flag_parallel max_running_requests",
                    "{slots}",
                    "lower",
                    restart=True,
                    not_with="slot_cap",
                ),
            ),
            OTHERS: (Action("let fewer requests run at once: none is thrown out, more wait", not_with="slot_cap"),),
        },
        relieves=("kv_cache",),
        cost="a longer queue: TTFT",
        harm="too few, and the engine has room that nobody may use",
        disproved_by="preemptions go on, or fewer requests are finished than before",
        because="what preemptions cost is not estimated: that needs the step times and the length of the sequences",
    ),
    Advice(
        id="kv_quantisation",
        title="Halve the bytes of the KV cache",
        kind="quantisation",
        rules=_FULL,
        actions={
            "vllm": (
                Action(
                    "half the bytes a token; calibrate its scales",
                    "--kv-cache-dtype",
                    "cache_dtype flag_kv_cache_dtype",
                    "fp8",
                    restart=True,
                    done=("fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc", "fp8_ds_mla", "nvfp4"),
                ),
            ),
            "sglang": (
                Action(
                    "half the bytes a token",
                    "--kv-cache-dtype",
                    "kv_cache_dtype flag_kv_cache_dtype",
                    "fp8_e4m3",
                    restart=True,
                    done=("fp8_e4m3", "fp8_e5m2", "fp4_e2m1"),
                ),
            ),
            "tgi": (
                Action(
                    "half the bytes a token",
                    "--kv-cache-dtype",
                    "flag_kv_cache_dtype",
                    "fp8_e4m3fn",
                    restart=True,
                    done=("fp8_e4m3fn", "fp8_e5m2"),
                ),
            ),
            "trtllm": (
                Action(
                    "half the bytes a token",
                    "--kv_cache_dtype",
                    "flag_kv_cache_dtype",
                    "fp8",
                    restart=True,
                    done=("fp8", "nvfp4"),
                ),
            ),
            "llamacpp": (
                Action("", "-ctk", "flag_cache_type_k", "q8_0", restart=True, done=("q8_0", "q4_0", "q4_1", "q5_0")),
                Action(
                    "takes -fa on",
                    "-ctv",
                    "flag_cache_type_v",
                    "q8_0",
                    restart=True,
                    done=("q8_0", "q4_0", "q4_1", "q5_0"),
                ),
            ),
        },
        relieves=("kv_cache",),
        cost="a run of questions with known answers before and after",
        harm="answers may become worse, in long contexts first",
        disproved_by="quality is lower by more than its interval, or the cache holds no more tokens",
        because=_TOKENS,
    ),
)
