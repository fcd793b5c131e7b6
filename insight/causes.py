"""What brings about what: which finding on a server is the reason for which others on it.

The reason comes first, in the verdict and in the advice, and it is as bad as what it brings about. From the catalogue's
suppression rules: a full cache (R05) is why requests wait (R04), and waiting is why TTFT is missed (R01).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from metrics.snapshot import Risk, RiskState, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CAUSES: Mapping[str, tuple[str, ...]] = {
    "model_overloading": ("cache_saturation",),
    "ttft_slo": ("cache_saturation", "model_overloading"),
    "e2e_slo": ("cache_saturation", "model_overloading"),
}
"""What may be the reason for a finding, the deepest first."""
ANSWERED_BY_THE_CAUSE = frozenset(("ttft_slo", "e2e_slo"))
"""A latency that something explains needs no advice of its own; a queue does, whatever made it."""
_RANK = {severity: rank for rank, severity in enumerate(Severity)}


def cause(risk_id: str, present: set[str]) -> str | None:
    """Name the deepest finding among those present on the same server that brings this one about."""
    return next((each for each in CAUSES.get(risk_id, ()) if each in present), None)


def as_bad_as_their_effects(risks: Sequence[Risk]) -> list[Risk]:
    """Raise the severity of every firing reason to the worst of what it brings about on the same server."""
    firing = {(risk.id, risk.target): risk for risk in risks if risk.state is RiskState.FIRING}

    def raised(risk: Risk) -> Risk:
        if risk.state is not RiskState.FIRING:
            return risk
        effects = [
            other.severity
            for (name, target), other in firing.items()
            if target == risk.target and risk.id in CAUSES.get(name, ())
        ]
        return replace(risk, severity=min([risk.severity, *effects], key=_RANK.__getitem__))

    return [raised(risk) for risk in risks]
