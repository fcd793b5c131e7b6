"""The answers: rolled back, graded, tuned; and whether the cache changes them."""

from __future__ import annotations

from insight.recommend.catalogue.advice import ANY, NOT_SET, Action, Advice

_GAP = "to be measured: what the change would do to the answers; nothing tells it beforehand"

ADVICE: tuple[Advice, ...] = (
    Advice(
        id="roll_back",
        title="Roll back what was changed",
        kind="quality assurance",
        rules=("quality_regression", "answer_drift"),
        actions={
            "vllm": (
                Action(
                    "if that was changed",
                    "--kv-cache-dtype",
                    "cache_dtype flag_kv_cache_dtype",
                    "auto",
                    restart=True,
                    done=("auto", NOT_SET, "bfloat16", "float16"),
                ),
                Action(
                    "with a checkpoint of full precision",
                    "--quantization",
                    "flag_quantization",
                    "removed",
                    restart=True,
                    done=(NOT_SET,),
                ),
            ),
            "sglang": (
                Action(
                    "if that was changed",
                    "--kv-cache-dtype",
                    "kv_cache_dtype flag_kv_cache_dtype",
                    "auto",
                    restart=True,
                    done=("auto", NOT_SET, "bf16", "bfloat16"),
                ),
                Action(
                    "with a checkpoint of full precision",
                    "--quantization",
                    "quantization flag_quantization",
                    "removed",
                    restart=True,
                    done=(NOT_SET,),
                ),
            ),
            "tgi": (
                Action(
                    "with a checkpoint of full precision",
                    "--quantize",
                    "flag_quantize",
                    "removed",
                    restart=True,
                    done=(NOT_SET,),
                ),
            ),
            "trtllm": (
                Action(
                    "if that was changed",
                    "--kv_cache_dtype",
                    "flag_kv_cache_dtype",
                    "auto",
                    restart=True,
                    done=("auto", NOT_SET),
                ),
            ),
            "llamacpp": (
                Action(
                    "and -ctv as well, if that was changed",
                    "-ctk",
                    "flag_cache_type_k",
                    "f16",
                    restart=True,
                    done=("f16", "bf16", "f32", NOT_SET),
                ),
            ),
            ANY: (
                Action("one thing at a time, the newest first: version, weights, KV cache, speculation, template"),
                Action("or calibrate what was quantised, and grade it again"),
            ),
        },
        cost="what the change had brought: speed, or room in the KV cache",
        disproved_by="the score stays as low on the same questions: then it was not this change",
        because="what is gained is the gap that was measured; what it costs shows in ITL before and after",
    ),
    Advice(
        id="quality_assurance",
        title="Grade a fixed set around each change",
        kind="quality assurance",
        rules=("quality_regression", "model_drift", "answer_drift"),
        actions={
            ANY: (
                Action("--quality: ask questions with known answers before and after each change, and all the while"),
                Action("keep half of them back and turn them over, so that nothing is tuned to them"),
                Action("add questions like the traffic of now"),
            )
        },
        cost="the tokens of the questions",
        harm="a set that is never renewed is tuned to in the end",
        disproved_by="users see what the set does not",
        because="how small a drop is seen follows from the number of questions: 200 show 5 points in 3 of 4 times",
    ),
    Advice(
        id="fine_tune",
        title="Tune the model on data of now",
        kind="fine-tuning",
        rules=("quality_regression", "model_drift", "answer_drift"),
        actions={
            ANY: (
                Action("only where a gap stays that no change of the configuration explains"),
                Action("grade on questions that are held back; stop early, regularise"),
            )
        },
        cost="data, GPU hours, and a new round of grading",
        harm="a model that is tuned too far answers worse what it was not tuned for",
        disproved_by="the score on questions that were held back is no better",
        because=_GAP,
    ),
    Advice(
        id="cache_consistency",
        title="Tell wrong numbers from a broken cache",
        kind="quality assurance",
        rules=("cache_inconsistency", "kv_transfer_failure"),
        actions={
            "vllm": (
                Action(
                    "for a test, with the same questions",
                    "--no-enable-prefix-caching",
                    "enable_prefix_caching flag_enable_prefix_caching",
                    restart=True,
                    done=("True",),
                ),
                Action(
                    "prefixes that differ never share a key",
                    "--prefix-caching-hash-algo",
                    "flag_prefix_caching_hash_algo",
                    "sha256",
                    restart=True,
                    done=("sha256", "sha256_cbor", "sha256_cbor_64bit", NOT_SET),
                ),
                Action("VLLM_BATCH_INVARIANT=1 (compute capability 8.0 on): what still differs is no rounding"),
                Action("cache_salt in requests keeps tenants apart; POST /reset_prefix_cache (dev mode) empties it"),
            ),
            "sglang": (
                Action(
                    "for a test, with the same questions",
                    "--disable-radix-cache",
                    "disable_radix_cache flag_disable_radix_cache",
                    restart=True,
                    done=("True",),
                ),
                Action(
                    "what still differs is no rounding",
                    "--enable-deterministic-inference",
                    "flag_enable_deterministic_inference",
                    restart=True,
                    done=("True",),
                ),
                Action("POST /flush_cache empties it"),
            ),
            "trtllm": (
                Action(
                    "for a test, in the file of --extra_llm_api_options",
                    "kv_cache_config.enable_block_reuse",
                    then="false",
                    restart=True,
                ),
            ),
            "llamacpp": (
                Action(
                    "for a test, with the same questions",
                    "--no-cache-prompt",
                    "flag_cache_prompt",
                    restart=True,
                    done=("True",),
                ),
            ),
            ANY: (
                Action("the same questions with the cache off; then without what shares it (offloading), then upgrade"),
            ),
        },
        cost="TTFT, for as long as the cache is off",
        disproved_by="answers differ as often with the cache off: then it is rounding, and not the cache",
        because="what is gained is the share of answers that differ",
    ),
)
