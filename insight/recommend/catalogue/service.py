"""Servers that do not answer, start, or fail: what to do at once, and what to do about the next time."""

from __future__ import annotations

from insight.recommend.catalogue.advice import ANY, NOT_SET, Action, Advice

_UNTIL = "until then nothing is served"

ADVICE: tuple[Advice, ...] = (
    Advice(
        id="restart_server",
        title="Find out where it hangs, then restart it",
        kind="repair",
        rules=("stuck_server",),
        actions={
            "sglang": (Action("let the liveness check ask /health_generate, which wants a token"),),
            ANY: (
                Action("py-spy dump --pid PID (or gdb) first: after a restart nothing can be found out"),
                Action("restart the server"),
                Action("let the liveness check look at tokens that come, not at /health, which answers all the while"),
            ),
        },
        cost="what runs and waits is lost",
        disproved_by="it hangs again: then send the dump to those who make the engine",
        because=f"{_UNTIL}: the exposure is every running and waiting request",
    ),
    Advice(
        id="bring_back",
        title="Bring the server back",
        kind="repair",
        rules=("server_unreachable",),
        actions={
            ANY: (
                Action("see whether its process lives, and read the end of its log"),
                Action("look into dmesg for out of memory and Xid"),
            )
        },
        disproved_by="it answers on its own host: then the way to it is broken, and not the server",
        because=_UNTIL,
    ),
    Advice(
        id="redundancy",
        title="Let another replica answer meanwhile",
        kind="repair",
        rules=("server_unreachable", "server_restart"),
        actions={
            ANY: (
                Action("read the end of its log for why it ended, if nobody restarted it"),
                Action("two or more replicas behind a router, so that one can be missing"),
                Action("ready only once it is warm; a disruption budget, so that never two go at once"),
            )
        },
        cost="GPUs for a replica more",
        disproved_by="requests fail while one replica is away",
        because="to be measured: how often a server is away, and for how long",
    ),
    Advice(
        id="faster_start",
        title="Make the start faster",
        kind="warm-up",
        rules=("server_starting", "cold_start", "server_restart"),
        actions={
            "vllm": (
                Action("keep its compile cache (VLLM_CACHE_ROOT) on a disk that stays"),
                Action(
                    "wakes in seconds in place of a start",
                    "--enable-sleep-mode",
                    "flag_enable_sleep_mode",
                    restart=True,
                    done=("True",),
                ),
            ),
            "trtllm": (Action("keep the built engine on a disk that stays"),),
            "llamacpp": (Action("", "--mmap", "flag_mmap", restart=True, done=("True", NOT_SET)),),
            ANY: (Action("weights on a local disk, and cores enough, for a start is mostly work of the CPU"),),
        },
        cost="disk space, and host memory for a server that sleeps",
        disproved_by="the next start takes as long",
        because="to be measured: how long this start takes, and which part of it",
    ),
    Advice(
        id="warm_up",
        title="Warm it up before it gets traffic",
        kind="warm-up",
        rules=("cold_start",),
        actions={
            "sglang": (
                Action("names of requests that it sends itself first", "--warmups", then="some names", restart=True),
            ),
            "llamacpp": (Action("", "--warmup", "flag_warmup", restart=True, done=("True", NOT_SET)),),
            ANY: (
                Action("replay the most frequent prefixes before it is ready"),
                Action("let its share of the traffic rise slowly"),
            ),
        },
        cost="a start that takes longer by the replay",
        disproved_by="the first requests after a start are as slow as without it",
        because="to be measured: TTFT just after a restart, and once it is warm",
    ),
    Advice(
        id="find_metrics_page",
        title="Find its metrics page",
        kind="repair",
        rules=("no_metrics_page",),
        actions={
            ANY: (
                Action("see whether host, port and path of the URL are this server's"),
                Action("start it with the flag that makes it export metrics"),
                Action("give the URL of the page itself where it is not /metrics"),
            )
        },
        disproved_by="curl gets a page of metrics from that URL",
        because="nothing about the server can be seen without it",
    ),
    Advice(
        id="give_token",
        title="Give a token",
        kind="repair",
        rules=("server_unauthorised",),
        actions={ANY: (Action("--token-env NAME, with the key in that environment variable"),)},
        disproved_by="it is still refused: the key is another one",
        because="nothing about the server can be seen without it",
    ),
    Advice(
        id="error_causes",
        title="Find out what the errors are",
        kind="repair",
        rules=("error_rate",),
        actions={
            ANY: (
                Action("read the server's log for the errors, by their status"),
                Action("one replica alone, take it out and restart it; all of them, see what was changed last"),
                Action("503 under load, cap the queue and add capacity; 4xx, check requests before the server"),
            )
        },
        disproved_by="the share of errors stays",
        because="what is gained is what fails now",
    ),
    Advice(
        id="kv_transfer",
        title="Mend the transfer of KV cache",
        kind="repair",
        rules=("kv_transfer_failure",),
        actions={
            "vllm": (
                Action("see that both ends agree on --kv-transfer-config, versions, block size, type of the KV cache"),
            ),
            "sglang": (
                Action("see that both ends agree on --disaggregation-mode, versions, page size, type of the KV cache"),
            ),
            ANY: (
                Action("read the logs of both ends; look at the link and at the memory of what is sent to"),
                Action("as many GPUs for prefill and decode as each has to do; until then serve without transfer"),
            ),
        },
        cost="without transfer, prompts are computed where they are decoded: ITL",
        disproved_by="transfers fail as often over another link",
        because="what is gained is the prompts that are computed twice",
    ),
    Advice(
        id="monitor",
        title="Give this program more room",
        kind="repair",
        rules=("monitor_degraded",),
        actions={
            ANY: (
                Action("poll less often (--interval)"),
                Action("a core of its own, or another host; clocks kept by chrony"),
            )
        },
        cost="what is shorter than the interval is no longer seen",
        disproved_by="polls are still missed",
        because="until then numbers have gaps, and findings come later",
    ),
)
