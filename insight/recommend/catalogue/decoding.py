"""How a token is made: drafted ahead, or with weights of fewer bits."""

from __future__ import annotations

from insight.recommend.catalogue.advice import ANY, Action, Advice

_WEIGHTS = ("fp8", "awq", "awq_marlin", "gptq", "gptq_marlin", "compressed-tensors", "modelopt", "modelopt_fp4",
            "mxfp4", "bitsandbytes", "gguf", "w8a8_fp8", "w8a8_int8", "eetq")  # fmt: skip
"""Weights that are quantised already."""

ADVICE: tuple[Advice, ...] = (
    Advice(
        id="speculation_off",
        title="Draft less, or switch speculation off",
        kind="speculation",
        rules=("spec_decode_inefficient",),
        actions={
            "vllm": (
                Action(
                    "",
                    "--spec-tokens",
                    "flag_num_speculative_tokens",
                    "lower",
                    restart=True,
                ),
                Action("", "--speculative-config", "flag_speculative_method", "removed", restart=True),
            ),
            "sglang": (
                Action("", "--speculative-num-steps", "flag_speculative_num_steps", "lower", restart=True),
                Action(
                    "",
                    "--speculative-algorithm",
                    "speculative_algorithm flag_speculative_algorithm",
                    "removed",
                    restart=True,
                ),
            ),
            "tgi": (Action("", "--speculate", "flag_speculate", "lower, or removed", restart=True),),
            "trtllm": (
                Action("in the file of --extra_llm_api_options", "speculative_config", then="removed", restart=True),
            ),
            "llamacpp": (
                Action("", "--spec-draft-n-max", "flag_spec_draft_n_max", "lower", restart=True),
                Action("", "-md", then="removed", restart=True),
            ),
            ANY: (Action("a draft model that is nearer to the model, or fewer drafted tokens"),),
        },
        relieves=("objective",),
        harm="at low load speculation saved time that is lost without it",
        disproved_by="ITL is longer without it at the same load",
        because="to be measured: ITL with it off, at this load",
    ),
    Advice(
        id="speculation_on",
        title="Draft tokens ahead",
        kind="speculation",
        rules=("itl_slo", "tpot_slo"),
        actions={
            "vllm": (
                Action(
                    "pays where few requests run",
                    "--spec-method",
                    "flag_speculative_method",
                    "ngram",
                    restart=True,
                    done=("ngram", "eagle", "eagle3", "mtp", "medusa", "draft_model", "suffix", "mlp_speculator"),
                    not_with="model_overloading",
                ),
            ),
            "sglang": (
                Action(
                    "pays where few requests run",
                    "--speculative-algorithm",
                    "speculative_algorithm flag_speculative_algorithm",
                    "EAGLE3",
                    restart=True,
                    done=("EAGLE", "EAGLE3", "NEXTN", "STANDALONE", "NGRAM"),
                    not_with="model_overloading",
                ),
            ),
            "tgi": (
                Action(
                    "pays where few requests run",
                    "--speculate",
                    "flag_speculate",
                    "2",
                    restart=True,
                    not_with="model_overloading",
                ),
            ),
            "trtllm": (
                Action(
                    "pays where few requests run; in the file of --extra_llm_api_options",
                    "speculative_config",
                    then="a method",
                    restart=True,
                    not_with="model_overloading",
                ),
            ),
            "llamacpp": (
                Action(
                    "a small model that drafts; pays where few requests run",
                    "-md",
                    then="a file",
                    restart=True,
                    not_with="model_overloading",
                ),
            ),
        },
        cost="memory for what drafts",
        harm="under load drafts take the place of other requests' tokens",
        disproved_by="the accepted length is below the ratio of the step times with and without it",
        because="to be measured: the accepted length on this traffic, and the step time with it",
    ),
    Advice(
        id="quantise_weights",
        title="Run the weights in fewer bits",
        kind="quantisation",
        rules=("itl_slo", "tpot_slo", "decode_bandwidth_bound", "prefill_compute_bound"),
        actions={
            "vllm": (
                Action(
                    "or a checkpoint that is quantised already",
                    "--quantization",
                    "flag_quantization",
                    "fp8",
                    restart=True,
                    done=_WEIGHTS,
                    not_with="quality_regression",
                ),
            ),
            "sglang": (
                Action(
                    "or a checkpoint that is quantised already",
                    "--quantization",
                    "quantization flag_quantization",
                    "fp8",
                    restart=True,
                    done=_WEIGHTS,
                    not_with="quality_regression",
                ),
            ),
            "tgi": (
                Action(
                    "or a checkpoint that is quantised already",
                    "--quantize",
                    "flag_quantize",
                    "fp8",
                    restart=True,
                    done=_WEIGHTS,
                    not_with="quality_regression",
                ),
            ),
            "trtllm": (Action("serve a checkpoint in FP8 or NVFP4", restart=True, not_with="quality_regression"),),
            "llamacpp": (
                Action("serve a GGUF of a lower level (Q8_0, Q4_K_M)", restart=True, not_with="quality_regression"),
            ),
        },
        relieves=("objective",),
        cost="a run of questions with known answers before and after",
        harm="answers may become worse",
        disproved_by="quality is lower by more than its interval, or ITL as long at the same load",
        because="what of a step is reading weights follows from the step times",
    ),
)
