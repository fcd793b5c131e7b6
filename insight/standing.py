"""The nine risks that a report is read for: each has a row, also where nothing was found and where nothing can be."""

from __future__ import annotations

RISK_IDS = (
    "model_overloading",
    "data_quality",
    "data_latency",
    "resource_overprovisioning",
    "quality_regression",
    "cache_saturation",
    "gpu_oversubscription",
    "cache_inconsistency",
    "model_drift",
)
"""The nine, in the order of the reports."""
