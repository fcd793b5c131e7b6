"""GPUs: heat, power, links, memory errors, and who works on them. Nothing is ever reset from here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from insight.recommend.catalogue.advice import ANY, OTHERS, Action, Advice
from insight.rules import xids

if TYPE_CHECKING:
    from metrics.finding import Risk

_KEEP = Action("keep the output of nvidia-bug-report.sh before anything is reset")
_DRAIN = Action("drain what runs on it (no new requests)")
_MOVE = "move what is not the server's away"
_MOVED = Action(f"{_MOVE} to another GPU")
_MIG = Action("MIG slices in place of time-slicing or MPS, which keep neither memory nor faults apart")
_PUT_BACK = "put it back"


def _its_xid(risk: Risk, usual: tuple[Action, ...]) -> tuple[Action, ...]:
    """Ask for what the XIDs that happened ask for, in place of all that there are."""
    codes = dict.fromkeys(int(each.value) for each in risk.evidence if each.quantity == "xid" and each.value)
    if not codes:
        return usual
    asked = ((code, xids.known(code).action or "nothing at once") for code in codes)
    return (_KEEP, *(Action(f"XID {code}, {action}") for code, action in asked))


def _put_back(risk: Risk, usual: tuple[Action, ...]) -> tuple[Action, ...]:
    """Undo a limit of power that was lowered; what was measured of a limit that is meant comes after that."""
    found = next((each for each in risk.evidence if each.quantity == "power_limit_watts"), None)
    if found is None or found.threshold is None:
        return usual
    gpu = re.match(r"GPU (\d+)", risk.summary)
    return (Action(f"{_PUT_BACK}: nvidia-smi -i {gpu[1] if gpu else 'N'} -pl {found.threshold:.0f}"),)


def _neighbours(risk: Risk, usual: tuple[Action, ...]) -> tuple[Action, ...]:
    """Name who is to go, first of all; flags are for where both have to stay."""
    names = (re.match(r"(.+ \(\d+\)) holds ", each.text) for each in risk.evidence if each.quantity == "processes")
    strangers = [each[1] for each in names if each]
    first = Action(f"{_MOVE}: {', '.join(strangers)}") if strangers else _MOVED
    return (first, *(each for each in usual if each is not _MOVED))


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
                Action(
                    "reset the GPU or reboot the host if it is lost; at the next maintenance if a remapping is pending"
                ),
                Action("have it replaced if it is lost again, a remapping failed, or on-chip memory had over 4 errors"),
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
                Action("do what the finding says of the XID that happened, and no more than that"),
                Action("nvidia-smi -q tells the recovery action that the driver asks for now"),
            )
        },
        for_finding=_its_xid,
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
                Action("look into dmesg for Xid and NVRM"),
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
                Action("for a power brake, inputs and redundancy of the power supply, the budget of the rack"),
                Action(
                    "for PCIe, reseat the board or its riser, firmware, ACS, ASPM; for NVLink, reset the GPUs, then RMA"
                ),
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
                Action("see whether the limit is meant (nvidia-smi -q -d POWER); one that was lowered, put back"),
                Action("measure tokens per joule and ITL at two or three limits, at the same load, in a maintenance"),
            )
        },
        for_finding=_put_back,
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
            "vllm": (
                _MOVED,
                _MIG,
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
                _MOVED,
                _MIG,
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
                _MOVED,
                _MIG,
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
                _MOVED,
                _MIG,
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
                _MOVED,
                _MIG,
                Action("its share, where both have to stay", "-ngl", "flag_gpu_layers", "lower", restart=True),
            ),
            OTHERS: (_MOVED, _MIG),
        },
        for_finding=_neighbours,
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
