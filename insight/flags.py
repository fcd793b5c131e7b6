"""What can be changed on each kind of server against each finding: data, in the words of that server's command line.

Checked against vLLM 0.32 and llama.cpp of 2026; other versions may call a flag something else, which `CHECK` says.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

CHECK = "check the flags against --help of this version"
ANY = ""
"""Stands for whatever server it is."""


class Action(Struct, frozen=True):
    """One thing to do."""

    text: str
    now: str | None = None
    """The fact or gauge that tells the value in force; `flag_*`: what stands on the command line, where it is seen."""
    restart: bool = False
    """It takes a restart of the server."""
    done: tuple[str, ...] = ()
    """Values of `now` with which it has been done already."""
    not_with: str = ""
    """Id of a finding on the same server that it would make worse."""


class Advice(Struct, frozen=True):
    """One way to answer a finding."""

    id: str
    title: str
    rule: str
    """Id of the rule that it answers."""
    actions: Mapping[str, tuple[Action, ...]]
    """By engine; those of `ANY` come behind them."""
    because: str
    """What would have to be measured to say what it brings."""


_NEEDS_STEP_MODEL = "what it brings is not estimated yet: that needs the step times of this engine under other loads"

ADVICE: tuple[Advice, ...] = (
    Advice(
        "admission_control",
        "Cap the queue, so that what is accepted is answered in time",
        "model_overloading",
        {
            "vllm": (
                Action(
                    "--max-num-queued-reqs N, which counts waiting and running requests: what comes above it gets 503",
                    "flag_max_num_queued_reqs",
                    restart=True,
                ),
            ),
            "llamacpp": (
                Action("limit concurrent requests in the proxy before it: llama-server has no switch for it"),
            ),
        },
        "a limit cannot be worked out: this server does not count the requests that end",
    ),
    Advice(
        "scale_out",
        "Add capacity: a replica, or more requests at once",
        "model_overloading",
        {
            "vllm": (
                Action("--data-parallel-size N, where GPUs are free", "flag_data_parallel_size", restart=True),
                Action("--max-num-seqs higher", "flag_max_num_seqs", restart=True, not_with="cache_saturation"),
            ),
            "llamacpp": (
                Action(
                    "-np N (--parallel) higher: the context of -c is shared by the slots",
                    "max_running_requests",
                    restart=True,
                    not_with="cache_saturation",
                ),
            ),
            ANY: (Action("another replica behind a router that sends to the shortest queue"),),
        },
        _NEEDS_STEP_MODEL,
    ),
    Advice(
        "shorten_prefill",
        "Make the prefill shorter",
        "ttft_slo",
        {
            "vllm": (
                Action("--enable-prefix-caching", "enable_prefix_caching", restart=True, done=("True",)),
                Action("put the fixed part of prompts first, so that the prefix cache can hold it"),
                Action(
                    "--max-num-batched-tokens higher: TTFT gains, ITL loses",
                    "flag_max_num_batched_tokens",
                    restart=True,
                ),
            ),
            "llamacpp": (
                Action("--cache-reuse N, the fixed part of prompts first", "flag_cache_reuse", restart=True),
                Action("-b and -ub higher, as long as memory allows", "flag_ubatch_size", restart=True),
            ),
        },
        _NEEDS_STEP_MODEL,
    ),
    Advice(
        "smaller_steps",
        "Make the steps of the engine shorter",
        "itl_slo",
        {
            "vllm": (
                Action(
                    "--max-num-batched-tokens lower: about 2048 favours ITL (vLLM's tuning guide)",
                    "flag_max_num_batched_tokens",
                    restart=True,
                ),
                Action("--max-num-seqs lower: fewer requests share a step", "flag_max_num_seqs", restart=True),
            ),
            "llamacpp": (
                Action("-ub lower: prompts are worked on in smaller pieces", "flag_ubatch_size", restart=True),
                Action("-np lower: fewer requests share a step", "max_running_requests", restart=True),
            ),
        },
        _NEEDS_STEP_MODEL,
    ),
    Advice(
        "kv_cache_capacity",
        "Give the KV cache more room",
        "cache_saturation",
        {
            "vllm": (
                Action(
                    "--gpu-memory-utilization higher, if nothing else is on the GPU", "gpu_memory_utilization", True
                ),
                Action(
                    "--kv-cache-dtype fp8: half the bytes a token; check the answers before and after",
                    "cache_dtype",
                    restart=True,
                    done=("fp8", "fp8_e4m3", "fp8_e5m2"),
                ),
                Action("--max-model-len lower, if no request needs it", "max_model_len", restart=True),
                Action(
                    "--kv-offloading-size GB: keep what is pushed out in host memory",
                    "flag_kv_offloading_size",
                    restart=True,
                ),
            ),
            "llamacpp": (
                Action("-c larger", "max_model_len", restart=True),
                Action(
                    "-ctk q8_0 -ctv q8_0 -fa: fewer bytes a token; check the answers before and after",
                    "flag_cache_type_k",
                    restart=True,
                ),
            ),
        },
        "what it brings is not estimated yet: that needs the step times, and the length of the sequences that run",
    ),
    Advice(
        "lower_max_num_seqs",
        "Run fewer requests at once: none is thrown out, more wait",
        "cache_saturation",
        {
            "vllm": (Action("--max-num-seqs lower", "flag_max_num_seqs", restart=True),),
            "llamacpp": (Action("-np lower", "max_running_requests", restart=True),),
        },
        "what preemptions cost is not estimated yet: that needs the step times and the length of the sequences",
    ),
    Advice(
        "restart_server",
        "Find out where it hangs, then restart it",
        "stuck_server",
        {
            ANY: (
                Action("py-spy dump --pid PID (or gdb) first: after a restart nothing can be found out"),
                Action("restart the server"),
                Action("let the liveness check look at tokens that come, not at /health, which answers all the while"),
            )
        },
        "until then nothing is served: the exposure is every running and waiting request",
    ),
    Advice(
        "bring_back",
        "Bring the server back",
        "server_unreachable",
        {
            ANY: (
                Action("see whether its process lives, and read the end of its log"),
                Action("dmesg: out of memory, Xid"),
                Action("two or more replicas behind a router, so that one can be missing"),
            )
        },
        "until then nothing is served",
    ),
    Advice(
        "give_token",
        "Give a token",
        "server_unauthorised",
        {ANY: (Action("--token-env NAME, with the key in that environment variable"),)},
        "nothing about the server can be seen without it",
    ),
    Advice(
        "cool_gpu",
        "Cool the GPU",
        "thermal_throttle",
        {
            ANY: (
                Action("airflow, inlet air, fans, dust; compare with the GPUs beside it"),
                Action("until then a lower power limit (nvidia-smi -pl) keeps the clock even; or move load away"),
            )
        },
        "how much of the speed comes back depends on how far the work is bound by the clock",
    ),
    Advice(
        "replace_gpu",
        "Take the GPU out of service",
        "gpu_lost",
        {
            ANY: (
                Action("drain the host, keep the output of nvidia-bug-report.sh"),
                Action("reset the GPU or reboot the host; nothing is ever reset from here"),
                Action("if it comes back and goes again, have it replaced"),
            )
        },
        "until then what ran on it is gone",
    ),
    Advice(
        "recover_driver",
        "Find out why the driver is silent",
        "driver_unresponsive",
        {
            ANY: (
                Action("dmesg: look for Xid and NVRM"),
                Action("drain and reboot the host if nvidia-smi hangs as well"),
            )
        },
        "until then GPUs cannot be watched",
    ),
)
