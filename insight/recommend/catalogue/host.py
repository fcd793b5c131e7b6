"""The machine around the GPUs: cores, memory, disks."""

from __future__ import annotations

from insight.recommend.catalogue.advice import ANY, NOT_SET, OTHERS, Action, Advice

_CORES = Action("two physical cores and one for each GPU, pinned to its NUMA node; no CPU limit on the container")
_NEIGHBOURS = Action("move neighbours to other cores or hosts")

ADVICE: tuple[Advice, ...] = (
    Advice(
        id="host_cpu",
        title="Give the engine its cores",
        kind="dynamic allocation",
        rules=("host_cpu_starvation",),
        actions={
            "vllm": (
                _CORES,
                _NEIGHBOURS,
                Action(
                    "the host works while the GPU does",
                    "--async-scheduling",
                    "flag_async_scheduling",
                    restart=True,
                    done=("True", NOT_SET),
                ),
                Action(
                    "one process for requests is the least; each more takes a core",
                    "--api-server-count",
                    "flag_api_server_count",
                    "lower",
                    restart=True,
                    done=(NOT_SET, "1"),
                ),
            ),
            "sglang": (
                _CORES,
                _NEIGHBOURS,
                Action(
                    "the host works while the GPU does",
                    "--disable-overlap-schedule",
                    "flag_disable_overlap_schedule",
                    "removed",
                    restart=True,
                    done=("False", NOT_SET),
                ),
            ),
            "llamacpp": (
                _CORES,
                _NEIGHBOURS,
                Action("as many as there are physical cores", "-t", "flag_threads", "a number", restart=True),
            ),
            OTHERS: (_CORES, _NEIGHBOURS),
        },
        cost="cores that others used",
        disproved_by="the GPU is idle as often while requests run",
        because="to be measured: ITL without it, at a load like that of now",
    ),
    Advice(
        id="host_memory",
        title="Free memory of the host",
        kind="dynamic allocation",
        rules=("host_memory_pressure",),
        actions={
            "vllm": (
                Action(
                    "",
                    "--kv-offloading-size",
                    "flag_kv_offloading_size",
                    "lower",
                    restart=True,
                    done=(NOT_SET, "0"),
                ),
            ),
            "sglang": (Action("", "--hicache-size", "flag_hicache_size", "lower", restart=True, done=(NOT_SET, "0")),),
            "llamacpp": (Action("", "-cram", "flag_cache_ram", "lower", restart=True, done=("0",)),),
            ANY: (Action("set memory limits for neighbours, move them, or add memory"),),
        },
        harm="what was kept in host memory is computed again",
        disproved_by="available memory goes on falling",
        because="to be measured: which process grows, and how fast",
    ),
    Advice(
        id="disk_space",
        title="Free space on the disk",
        kind="repair",
        rules=("disk_pressure",),
        actions={ANY: (Action("rotate logs; remove old models, compile caches and core dumps"),)},
        disproved_by="it fills again as fast: find out what writes",
        because="what is gained is the time until it is full",
    ),
)
