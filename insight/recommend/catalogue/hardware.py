"""GPUs: heat, power, links, memory errors, and who works on them. Nothing is ever reset from here."""

from __future__ import annotations

from insight.recommend.catalogue.advice import ANY, Action, Advice

_KEEP = Action("keep the output of nvidia-bug-report.sh before anything is reset")
_DRAIN = Action("drain: no new requests to what runs on it")

ADVICE: tuple[Advice, ...] = (
    Advice(
        id="replace_gpu",
        title="Take the GPU out of service",
        kind="repair",
        rules=("gpu_lost", "ecc_uncorrected", "row_remap"),
        actions={
            ANY: (
                _DRAIN,
                _KEEP,
                Action("lost: reset the GPU or reboot the host; a pending remapping: reset it at the next maintenance"),
                Action("lost again, a failed remapping, or more than 4 errors in on-chip memory: have it replaced"),
            )
        },
        cost="what runs on it, until another GPU takes its place",
        disproved_by="another GPU in the same slot fails as well: then it is the board, the riser or the power",
        because="until then what ran on it is gone, or may be wrong",
    ),
    Advice(
        id="xid_action",
        title="Do what the catalogue says for this XID",
        kind="repair",
        rules=("xid",),
        actions={
            ANY: (
                _KEEP,
                Action("13, 31, 94: restart the server; 63: reset the GPU at the next maintenance"),
                Action("46, 62, 64, 95, 109, 119, 120, 140, 143: drain, then reset the GPU"),
                Action("48: the workflow for double-bit errors; 74, 145, 149: that for NVLink; 79: restart the host"),
                Action("154: nvidia-smi -q tells the recovery action that the driver asks for now"),
            )
        },
        cost="what runs on it",
        disproved_by="the same XID comes again after it",
        because="what an XID costs is the work that it ended",
    ),
    Advice(
        id="recover_driver",
        title="Find out why the driver is silent",
        kind="repair",
        rules=("driver_unresponsive",),
        actions={
            ANY: (
                Action("dmesg: look for Xid and NVRM"),
                Action("drain and reboot the host if nvidia-smi hangs as well"),
            )
        },
        cost="all that runs on the host",
        disproved_by="nvidia-smi answers at once: then only this program waits",
        because="until then GPUs cannot be watched",
    ),
    Advice(
        id="hardware_check",
        title="Have the board and its links looked at",
        kind="repair",
        rules=("hw_slowdown", "pcie_degraded", "nvlink_degraded"),
        actions={
            ANY: (
                _DRAIN,
                _KEEP,
                Action("power brake: inputs and redundancy of the power supply, the budget of the rack"),
                Action("PCIe: reseat the board or its riser, firmware, ACS and ASPM; NVLink: reset the GPUs, then RMA"),
                Action("until then place what talks much on GPUs whose links are whole"),
            )
        },
        cost="the host, for as long as it is looked at",
        disproved_by="the clock or the link is as slow after it",
        because="to be measured: ITL without it, at a load like that of now",
    ),
    Advice(
        id="cool_gpu",
        title="Cool the GPU",
        kind="power and thermal",
        rules=("thermal_throttle",),
        actions={
            ANY: (
                Action("airflow, inlet air, fans, dust; compare with the GPUs beside it"),
                Action("until then a lower power limit (nvidia-smi -pl) keeps the clock even; or move load away"),
            )
        },
        disproved_by="the clock comes back and ITL stays as long at the same load",
        because="how much of the speed comes back depends on how far the work is bound by the clock",
    ),
    Advice(
        id="power_limit",
        title="Choose the power limit by measuring",
        kind="power and thermal",
        rules=("power_cap", "efficiency_regression"),
        actions={
            ANY: (
                Action("see whether the limit is meant: nvidia-smi -q -d POWER"),
                Action("measure tokens per joule and ITL at two or three limits, at the same load, in a maintenance"),
            )
        },
        cost="a higher limit: power and heat; a lower one: speed",
        harm="the rack's supply and cooling have to carry a higher limit",
        disproved_by="ITL and tokens per joule are the same at another limit",
        because="to be measured: tokens per second and watts at two limits, at the same load",
    ),
    Advice(
        id="exclusive_gpu",
        title="Give the server its GPU alone",
        kind="dynamic allocation",
        rules=("gpu_oversubscription",),
        actions={
            ANY: (
                Action("move what is not the server's to another GPU"),
                Action("MIG slices in place of time-slicing or MPS, which keep neither memory nor faults apart"),
            ),
            "vllm": (
                Action(
                    "its share, where both have to stay",
                    "--gpu-memory-utilization",
                    "gpu_memory_utilization flag_gpu_memory_utilization",
                    "lower",
                    restart=True,
                    not_with="cache_saturation",
                ),
            ),
            "sglang": (
                Action(
                    "its share, where both have to stay",
                    "--mem-fraction-static",
                    "mem_fraction_static flag_mem_fraction_static",
                    "lower",
                    restart=True,
                    not_with="cache_saturation",
                ),
            ),
            "tgi": (
                Action(
                    "its share, where both have to stay",
                    "--cuda-memory-fraction",
                    "flag_cuda_memory_fraction",
                    "lower",
                    restart=True,
                    not_with="cache_saturation",
                ),
            ),
            "trtllm": (
                Action(
                    "its share, where both have to stay",
                    "--kv_cache_free_gpu_memory_fraction",
                    "flag_kv_cache_free_gpu_memory_fraction",
                    "lower",
                    restart=True,
                    not_with="cache_saturation",
                ),
            ),
            "llamacpp": (
                Action("its share, where both have to stay", "-ngl", "flag_gpu_layers", "lower", restart=True),
            ),
        },
        cost="a GPU for what is moved",
        disproved_by="ITL is as long at the same load once the server is alone",
        because="to be measured: ITL without the neighbour, at a load like that of now",
    ),
    Advice(
        id="isolate_straggler",
        title="Take the slow GPU out of the group",
        kind="dynamic allocation",
        rules=("gpu_straggler",),
        actions={
            ANY: (
                Action("compare its clocks, limits, temperature and links with those of the others"),
                Action("drain the replica, and move the rank to another GPU"),
            )
        },
        cost="the replica, while its rank is moved",
        disproved_by="the group is as slow with another GPU in its place",
        because="to be measured: ITL without it, at a load like that of now",
    ),
)
