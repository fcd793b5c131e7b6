"""What brings about what: which finding on a server is the reason for which others on it.

The reason comes first, in the verdict and in the advice, and it is as bad as what it brings about. From the catalogue's
suppression rules: a full cache (R05) is why requests wait (R04), and waiting is why TTFT is missed (R01); heat (R25) is
why tokens come late (R02), on the server that works on that GPU.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from metrics import units
from metrics.finding import Risk, RiskState, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SLOW_GPU = ("hw_slowdown", "thermal_throttle", "gpu_oversubscription", "gpu_straggler", "power_cap")
SLOW_GPU = frozenset(_SLOW_GPU)
"""What makes every step of the engine on that GPU longer."""
_SLOW = (*_SLOW_GPU, "host_cpu_starvation")
_MORE_WORK = ("model_drift", "prefix_cache_collapse", "cold_start")
"""What makes the same number of requests take longer."""
_QUEUE = ("cache_saturation", "slot_cap", "replica_imbalance")
_BROKEN = ("gpu_lost", "ecc_uncorrected", "xid")
_TTFT = (*_SLOW, *_MORE_WORK, *_QUEUE, "model_overloading")
_DECODING = (*_SLOW, "preemption", "model_drift", "cold_start")
_E2E = (*_SLOW, *_QUEUE, "model_overloading")
CAUSES: Mapping[str, tuple[str, ...]] = {
    "server_unreachable": (*_BROKEN, "host_memory_pressure"),
    "stuck_server": _BROKEN,
    "error_rate": _BROKEN,
    "cache_saturation": ("model_drift", "prefix_cache_collapse", *_SLOW),
    "preemption": ("model_drift", "prefix_cache_collapse", "cache_saturation"),
    "prefix_cache_collapse": ("model_drift", "cache_saturation"),
    "slot_cap": (*_SLOW, *_MORE_WORK, "model_overloading", "admission_rejections"),
    "model_overloading": (*_SLOW, *_MORE_WORK, *_QUEUE),
    "admission_rejections": (*_SLOW, *_MORE_WORK, *_QUEUE, "model_overloading"),
    "cold_start": ("server_restart",),
    "ttft_slo": _TTFT,
    "itl_slo": _DECODING,
    "tpot_slo": _DECODING,
    "e2e_slo": _E2E,
    "goodput_slo": tuple(dict.fromkeys((*_E2E, *_TTFT, *_DECODING))),
}
"""What may be the reason for a finding, the deepest first."""
SEEN_LATE_SECONDS = 30.0
"""A reason may be seen so much later than what it brings about: windows differ, the longest (power) is of 30 s."""
_SEEN_LATER = {"model_drift": 120.0}
"""A drift takes 200 requests to be told."""
RECENT_SECONDS = 600.0
"""What happened longer before a server broke, or a queue began, is no reason for it: another has to have come since."""
_FOLLOWS_SOON = frozenset(
    ("server_unreachable", "stuck_server", "error_rate", "slot_cap", "model_overloading", "admission_rejections")
)
MASKS: Mapping[str, tuple[str, ...]] = {
    "gpu_lost": ("xid", "nvlink_degraded", "gpu_straggler"),
}
"""What is not told of a source while something worse fires on it, because it is the same thing once more (R31). What a
silent or a stuck server hides (R20, R21) is `insight.assess.blindness`."""
ANSWERED_BY_THE_CAUSE = frozenset(("ttft_slo", "e2e_slo"))
"""A latency that something explains needs no advice of its own; a queue does, whatever made it."""
_RANK = {severity: rank for rank, severity in enumerate(Severity)}


def cause(risk_id: str, present: set[str]) -> str | None:
    """Name the deepest finding among those present on the same server that brings this one about."""
    return next((each for each in CAUSES.get(risk_id, ()) if each in present), None)


def explains(reason: Risk, effect: Risk) -> bool:
    """Tell whether a finding may be the reason for another on the same server: by its kind, and by when both began.

    Of two that may each bring about the other (a full cache throws prefixes out, prompts that share nothing fill it)
    the first is the reason. A GPU that merely stands at its limit of power, which is normal at full load, is none.
    """
    if reason.id not in CAUSES.get(effect.id, ()) or (reason.id in SLOW_GPU and reason.severity is Severity.INFO):
        return False
    enough = _slots_would_do(reason, effect)
    return _in_time(reason, effect) if enough is None else enough is (reason.id == "slot_cap")


def _in_time(reason: Risk, effect: Risk) -> bool:
    """Tell whether one began early enough to be the reason for the other, and lately enough."""
    if reason.since is None or effect.since is None:
        return True
    lead = (datetime.fromisoformat(effect.since) - datetime.fromisoformat(reason.since)).total_seconds()
    if effect.id in CAUSES.get(reason.id, ()):
        return lead > 0
    if effect.id in _FOLLOWS_SOON and lead > RECENT_SECONDS:
        return False
    return lead >= -_SEEN_LATER.get(reason.id, SEEN_LATE_SECONDS)


def _slots_would_do(one: Risk, other: Risk) -> bool | None:
    """Tell whether with more slots all could be served that arrives; None where it is not about slots, or not known.

    More slots serve at most as many times as much as the KV cache holds times what is in it. Where more arrives than
    that, the limit of running requests is not why they wait: the load is why the slots are full.
    """
    slots = next((each for each in (one, other) if each.id == "slot_cap"), None)
    usage = _of(slots, "kv_cache_usage") if slots is not None else None
    needed = _times_served(one) or _times_served(other)
    return None if usage is None or needed is None else needed * usage <= 1.0


def _times_served(risk: Risk) -> float | None:
    """Tell how many times as much arrives as is served; None where a finding does not tell it."""
    finished, arrived = _of(risk, "requests_finished"), _of(risk, "requests_arrived")
    if finished and arrived is not None:
        return arrived / finished
    refused = _of(risk, "requests_rejected") if risk.id == "admission_rejections" else None
    return 1.0 / (1.0 - refused) if refused is not None and refused < 1 else None


def _of(risk: Risk, quantity: str) -> float | None:
    return next((each.value for each in risk.evidence if each.quantity == quantity), None)


def as_bad_as_their_effects(risks: Sequence[Risk], works_for: Mapping[str, str] | None = None) -> list[Risk]:
    """Raise every firing reason to the worst of what it brings about on the same server, and put it before that.

    `works_for` names the server of a GPU or of the host, by their ids: what ails those ails the server. What nothing
    explains comes first, then what only that explains, and so on; those that are alike keep their order.
    """
    servers = works_for or {}
    firing = [risk for risk in risks if risk.state is RiskState.FIRING]
    reasons = {
        id(effect): [
            each
            for each in firing
            if effect.target in {each.target, servers.get(each.target or "")} and explains(each, effect)
        ]
        for effect in firing
    }
    worst: dict[int, Severity] = {}
    for effect in firing:
        for reason in reasons[id(effect)]:
            before = worst.get(id(reason), reason.severity)
            worst[id(reason)] = min(before, effect.severity, key=_RANK.__getitem__)
    depths = _depths(firing, reasons)
    ordered = sorted(risks, key=lambda risk: depths.get(id(risk), 0))
    return [
        replace(risk, severity=worst.get(id(risk), risk.severity), summary=_said(risk, reasons.get(id(risk), ())))
        for risk in ordered
    ]


def _said(effect: Risk, reasons: Sequence[Risk]) -> str:
    """Say of a server that is silent that its GPU was lost, where it was: nothing else is to be asked then."""
    gone = next((each for each in reasons if each.id == "gpu_lost"), None)
    if effect.id != "server_unreachable" or gone is None or gone.since is None or effect.since is None:
        return effect.summary
    lead = (datetime.fromisoformat(effect.since) - datetime.fromisoformat(gone.since)).total_seconds()
    when = f"{units.duration(abs(lead))} {'before' if lead > 0 else 'after'}" if abs(lead) >= 1 else "at the same time"
    silence, gpu = effect.summary.partition(":")[0], gone.summary.partition(":")[0]
    return f"{silence}: the GPU it ran on ({gpu}) was lost {when}"


def _depths(firing: Sequence[Risk], reasons: Mapping[int, Sequence[Risk]]) -> dict[int, int]:
    """Count the reasons behind each finding, one behind the other: 0 for one that nothing explains."""
    depths = {id(each): 0 for each in firing}
    for _ in firing:  # no chain is longer than all of them
        behind = {key: max((depths[id(each)] + 1 for each in found), default=0) for key, found in reasons.items()}
        if behind == depths:
            break
        depths = behind
    return depths
