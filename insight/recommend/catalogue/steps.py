"""The steps of the engine: how many tokens and requests share one."""

from __future__ import annotations

from insight.recommend.catalogue.advice import ANY, OTHERS, Action, Advice
from insight.recommend.catalogue.prefix import CACHED

_STEP_TIMES = "what it brings is not estimated: that needs the step times of this engine under other loads"


def _budget(flag: str, now: str, vague: str) -> Action:
    """Set how many tokens a step may hold."""
    return Action("ITL against TTFT", flag, now, "{budget}", vague, restart=True)


def _budgets(vague: str) -> dict[str, tuple[Action, ...]]:
    """Set it on each engine that has such a limit."""
    return {
        "vllm": (_budget("--max-num-batched-tokens", "flag_max_num_batched_tokens", vague),),
        "sglang": (_budget("--chunked-prefill-size", "chunked_prefill_size flag_chunked_prefill_size", vague),),
        "tgi": (_budget("--max-batch-prefill-tokens", "flag_max_batch_prefill_tokens", vague),),
        "trtllm": (_budget("--max_num_tokens", "flag_max_num_tokens", vague),),
        "llamacpp": (_budget("-ub", "flag_ubatch_size", vague),),
    }


_SMALLER = _budgets("lower")
ADVICE: tuple[Advice, ...] = (
    Advice(
        id="token_budget",
        title="Change the token budget of a step",
        kind="chunked prefill",
        rules=("token_budget_bound",),
        actions={
            **_budgets("lower or higher"),
            OTHERS: (Action("more tokens a step shorten TTFT, fewer shorten ITL: choose by which is missed"),),
        },
        relieves=("objective",),
        cost="a smaller budget lengthens TTFT, a larger one ITL",
        harm="below about 512 tokens a step the GPU is no longer busy with prompts",
        disproved_by="p99 of ITL (or TTFT, for a larger one) stays where it was at the same load",
        because="how long a step with a full budget takes follows from the step times",
    ),
    Advice(
        id="smaller_steps",
        title="Make the steps shorter",
        kind="chunked prefill",
        rules=("itl_slo", "tpot_slo", "e2e_slo", "goodput_slo"),
        actions={
            "vllm": (
                *_SMALLER["vllm"],
                Action(
                    "a long prompt takes no more of a step",
                    "--long-prefill-token-threshold",
                    "flag_long_prefill_token_threshold",
                    "lower",
                    restart=True,
                ),
            ),
            "sglang": _SMALLER["sglang"],
            "tgi": (
                *_SMALLER["tgi"],
                Action(
                    "running requests are stopped less often for new ones",
                    "--max-waiting-tokens",
                    "flag_max_waiting_tokens",
                    "higher",
                    restart=True,
                ),
            ),
            "trtllm": (
                Action(
                    "prompts are worked on in pieces",
                    "--enable_chunked_prefill",
                    "flag_enable_chunked_prefill",
                    restart=True,
                    done=("True",),
                ),
                *_SMALLER["trtllm"],
            ),
            "llamacpp": _SMALLER["llamacpp"],
            ANY: (Action("long prompts to servers of their own: prefill apart from decode"),),
        },
        relieves=("objective",),
        cost="a smaller budget lengthens TTFT",
        harm="below about 512 tokens a step the GPU is no longer busy with prompts",
        disproved_by="p99 of ITL stays where it was at the same load",
        because="how long a step with a full budget takes follows from the step times",
    ),
    Advice(
        id="shorten_prefill",
        title="Make the prefill shorter",
        kind="caching",
        rules=("ttft_slo", "e2e_slo", "goodput_slo"),
        actions={
            **CACHED,
            ANY: (
                Action("put what all prompts share first, so that the prefix cache can hold it"),
                Action("shorter prompts: less history, fewer examples, fewer retrieved passages"),
            ),
        },
        relieves=("objective",),
        disproved_by="prefill seconds stay as long at the same load",
        because=_STEP_TIMES,
    ),
    Advice(
        id="retune",
        title="Tune the engine for the load of now",
        kind="engine parameters",
        rules=("model_drift", "efficiency_regression"),
        actions={
            "vllm": (
                Action(
                    "for the lengths of now",
                    "--max-num-batched-tokens",
                    "flag_max_num_batched_tokens",
                    "another value",
                    restart=True,
                ),
                Action("for the lengths of now", "--max-num-seqs", "flag_max_num_seqs", "another value", restart=True),
            ),
            "sglang": (
                Action(
                    "for the lengths of now",
                    "--chunked-prefill-size",
                    "chunked_prefill_size flag_chunked_prefill_size",
                    "another value",
                    restart=True,
                ),
                Action(
                    "0.3 where the cache is half empty and requests wait",
                    "--schedule-conservativeness",
                    "flag_schedule_conservativeness",
                    "another value",
                    restart=True,
                ),
                Action(
                    "as large as the batch becomes",
                    "--cuda-graph-max-bs",
                    "flag_cuda_graph_max_bs",
                    "another value",
                    restart=True,
                ),
            ),
            "tgi": (
                Action(
                    "for the lengths of now",
                    "--max-total-tokens",
                    "max_model_len flag_max_total_tokens",
                    "another value",
                    restart=True,
                ),
            ),
            "trtllm": (
                Action(
                    "for the lengths of now", "--max_num_tokens", "flag_max_num_tokens", "another value", restart=True
                ),
                Action(
                    "for the lengths of now", "--max_batch_size", "flag_max_batch_size", "another value", restart=True
                ),
            ),
            "llamacpp": (
                Action("for the lengths of now", "-c", "flag_ctx_size", "another value", restart=True),
                Action(
                    "for the lengths of now", "-np", "flag_parallel max_running_requests", "another value", restart=True
                ),
            ),
            ANY: (Action("one setting at a time, and compare before and after at the same load"),),
        },
        cost="a restart for each setting that is tried",
        disproved_by="no setting is better than that of now at the same load",
        because="what the new traffic needs follows from the step times",
    ),
)
