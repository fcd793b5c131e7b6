"""GPUs: heat, power, links, memory errors, and who works on them. Nothing is ever reset from here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from insight.recommend.catalogue.advice import ANY, OTHERS, Action, Advice
from insight.rules import xids
from insight.rules.gpu import REASON_WORDS

if TYPE_CHECKING:
    from metrics.finding import Risk

_KEEP = Action("keep the output of nvidia-bug-report.sh before anything is reset")
_DRAIN = Action("drain what runs on it (no new requests)")
_MOVE = "move what is not the server's away"
_MOVED = Action(f"{_MOVE} to another GPU")
_MIG = Action("MIG slices in place of time-slicing or MPS, which keep neither memory nor faults apart")
_PUT_BACK = "put it back"
_WITHOUT = "to be measured: ITL without it, at a load like that of now"


def _its_xid(risk: Risk, usual: tuple[Action, ...]) -> tuple[Action, ...]:
    """Ask for what the XIDs that happened ask for, in place of all that there are."""
    codes = dict.fromkeys(int(each.value) for each in risk.evidence if each.quantity == "xid" and each.value)
    if not codes:
        return usual
    asked = ((code, xids.known(code).action or "nothing at once") for code in codes)
    return (_KEEP, *(Action(f"XID {code}, {action}") for code, action in asked))


def _remap_pending(risk: Risk, usual: tuple[Action, ...]) -> tuple[Action, ...]:
    """Leave a board that is to be replaced to that."""
    worse = {"remapped_rows_failed", "remapped_rows_uncorrectable"}
    told = {each.quantity for each in risk.evidence}
    return usual if "remapped_rows_pending" in told or not told & worse else ()


def _remap_failed(risk: Risk, usual: tuple[Action, ...]) -> tuple[Action, ...]:
    """Drain for a row that could not be remapped; 512 that were are replaced at the next maintenance."""
    told = {each.quantity for each in risk.evidence}
    if "remapped_rows_failed" in told:
        return usual
    return (Action("have the board replaced at the next maintenance"),) if "remapped_rows_uncorrectable" in told else ()


def _braked(risk: Risk, usual: tuple[Action, ...]) -> tuple[Action, ...]:
    """Ask for the power supply where the power brake is what holds the clock down."""
    return usual if any(REASON_WORDS["hw_power_brake"] in each.text for each in risk.evidence) else ()


def _slowed(risk: Risk, usual: tuple[Action, ...]) -> tuple[Action, ...]:
    return () if _braked(risk, usual) else usual


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
        rules=("gpu_lost",),
        actions={
            ANY: (
                _DRAIN,
                _KEEP,
                Action("reset the GPU, or reboot the host where that does not bring it back"),
                Action("have it replaced if it is lost again"),
            )
        },
        cost="what runs on the host, until the GPU is back",
        disproved_by="another GPU in the same slot fails as well: then it is the board, the riser or the power",
        because="what ran on it is gone, and nothing runs there until it is back",
    ),
    Advice(
        id="reset_after_ecc",
        title="Drain the GPU and reset it",
        kind="repair",
        rules=("ecc_uncorrected",),
        actions={
            ANY: (
                _DRAIN,
                _KEEP,
                Action("restart what ran on it, and reset the GPU"),
                Action("have it replaced if on-chip memory had over 4 errors"),
            )
        },
        cost="what runs on it, until it is reset",
        disproved_by="errors are counted again after the reset: then have it replaced",
        because="what was computed with that memory may be wrong; how much of it cannot be told",
    ),
    Advice(
        id="remap_at_maintenance",
        title="Reset the GPU at the next maintenance",
        kind="repair",
        rules=("row_remap",),
        actions={ANY: (Action("in the next maintenance window, drain it and reset it: then the row is remapped"),)},
        for_finding=_remap_pending,
        cost="what runs on it, for as long as the reset takes",
        disproved_by="a row still waits after the reset, or could not be remapped",
        because="no speed is gained: the row that failed is replaced by a spare one",
    ),
    Advice(
        id="replace_memory",
        title="Have the board replaced",
        kind="repair",
        rules=("row_remap",),
        actions={ANY: (_DRAIN, _KEEP, Action("have the board replaced: no spare row is left for one that failed"))},
        for_finding=_remap_failed,
        cost="what runs on it, until another GPU takes its place",
        disproved_by="the next board in the same slot fails as well",
        because="memory errors hit what runs, and how often cannot be told",
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
        id="power_supply",
        title="Look at the power supply",
        kind="repair",
        rules=("hw_slowdown",),
        actions={
            ANY: (
                Action("inputs and redundancy of the power supply, and the budget of the rack"),
                Action("until then move load to another host"),
            )
        },
        for_finding=_braked,
        cost="what runs on the host, where a supply can only be changed while it is off",
        disproved_by="the brake holds the clock down with every input whole and the rack within its budget",
        because=_WITHOUT,
    ),
    Advice(
        id="hardware_check",
        title="Have the board looked at",
        kind="repair",
        rules=("hw_slowdown",),
        actions={
            ANY: (_DRAIN, _KEEP, Action("have the board looked at: its power connectors, its supply, its sensors"))
        },
        for_finding=_slowed,
        cost="the GPU, for as long as it is looked at",
        disproved_by="the clock is as low after it",
        because=_WITHOUT,
    ),
    Advice(
        id="pcie_link",
        title="Look at the PCIe link",
        kind="repair",
        rules=("pcie_degraded",),
        actions={
            ANY: (
                Action("at the next maintenance, reseat the board or its riser; look at firmware, ACS, ASPM"),
                Action("until then place what talks much on GPUs with NVLink"),
            )
        },
        cost="the host, while the board is reseated",
        disproved_by="the link is as slow, or sends as many packets again, after it",
        because=_WITHOUT,
    ),
    Advice(
        id="nvlink_reset",
        title="Reset the GPUs for their NVLinks",
        kind="repair",
        rules=("nvlink_degraded",),
        actions={
            ANY: (
                _DRAIN,
                _KEEP,
                Action("reset the GPUs that the links join; if it stays, send the board in"),
                Action("until then place what talks much on GPUs whose links are whole"),
            )
        },
        cost="what runs on these GPUs, until they are reset",
        disproved_by="links are down, or errors grow, after the reset",
        because=_WITHOUT,
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
