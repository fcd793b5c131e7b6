"""What brings about what: which finding on a server is the reason for which others on it.

The reason comes first, in the verdict and in the advice, and it is as bad as what it brings about. From the catalogue's
suppression rules: a full cache (R05) is why requests wait (R04), and waiting is why TTFT is missed (R01); heat (R25) is
why tokens come late (R02), on the server that works on that GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from metrics.finding import Risk, RiskState, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SLOW_GPU = ("hw_slowdown", "thermal_throttle", "gpu_oversubscription", "gpu_straggler", "power_cap")
SLOW_GPU = frozenset(_SLOW_GPU)
"""What makes every step of the engine on that GPU longer."""
_TTFT = ("cache_saturation", "slot_cap", "model_overloading", "prefix_cache_collapse", "host_cpu_starvation")
_DECODING = (*_SLOW_GPU, "host_cpu_starvation", "preemption", "model_drift")
_E2E = (*_SLOW_GPU, "cache_saturation", "slot_cap", "model_overloading")
CAUSES: Mapping[str, tuple[str, ...]] = {
    "cache_saturation": ("model_drift",),
    "preemption": ("model_drift", "cache_saturation"),
    "prefix_cache_collapse": ("model_drift", "cache_saturation"),
    "model_overloading": ("cache_saturation", "slot_cap", "replica_imbalance"),
    "admission_rejections": ("model_overloading",),
    "cold_start": ("server_restart",),
    "ttft_slo": _TTFT,
    "itl_slo": _DECODING,
    "tpot_slo": _DECODING,
    "e2e_slo": _E2E,
    "goodput_slo": tuple(dict.fromkeys((*_E2E, *_TTFT, *_DECODING))),
}
"""What may be the reason for a finding, the deepest first."""
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


def as_bad_as_their_effects(risks: Sequence[Risk], works_for: Mapping[str, str] | None = None) -> list[Risk]:
    """Raise the severity of every firing reason to the worst of what it brings about on the same server.

    `works_for` names the server of a GPU or of the host, by their ids: what ails those ails the server.
    """
    servers = works_for or {}
    firing = [risk for risk in risks if risk.state is RiskState.FIRING]

    def raised(risk: Risk) -> Risk:
        if risk.state is not RiskState.FIRING:
            return risk
        places = {risk.target, servers.get(risk.target or "")}
        effects = [other.severity for other in firing if other.target in places and risk.id in CAUSES.get(other.id, ())]
        return replace(risk, severity=min([risk.severity, *effects], key=_RANK.__getitem__))

    return [raised(risk) for risk in risks]
