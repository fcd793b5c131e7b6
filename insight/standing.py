"""The nine risks that a report is read for: each has a row, also where nothing was found and where nothing can be."""

from __future__ import annotations

from msgspec import Struct


class Standing(Struct, frozen=True):
    """A risk that no rule watches yet."""

    id: str
    title: str
    why: str
    """Why it cannot be told."""
    impact: str
    mitigation: str


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

STANDING = (
    Standing(
        "data_quality",
        "Data quality issues",
        "not measured: the metrics of a server do not show what is in the requests",
        "medium: bad requests take prefill time and give bad answers",
        "Validate and normalise requests before the server: template, UTF-8, length.",
    ),
    Standing(
        "data_latency",
        "Data latency",
        "not measured: needs --probe, the server's clock starts only when a request has arrived",
        "medium: users wait longer than the server's TTFT says",
        "Keep connections alive, place clients near, switch off buffering in proxies.",
    ),
    Standing(
        "resource_overprovisioning",
        "Resource over-provisioning",
        "not judged: needs the load of a day or more",
        "low: money and energy, not service",
        "Compare the busiest hour of a week with what the hardware can do before taking any away.",
    ),
    Standing(
        "quality_regression",
        "Quality regression after optimisation",
        "not judged: needs the answers to the same --quality items before and after a change",
        "high: wrong answers that no latency shows",
        "Grade a fixed set before and after each change of quantisation, cache, or version.",
    ),
    Standing(
        "gpu_oversubscription",
        "GPU over-subscription",
        "not judged: which processes belong to the server is not known yet",
        "medium: latency varies with what the neighbour does",
        "One server a GPU, or MIG slices; no time-slicing.",
    ),
    Standing(
        "cache_inconsistency",
        "Caching inconsistency",
        "not judged: --quality tells how often answers from a cold and a warm cache agree",
        "high: wrong answers that no latency shows",
        "Compare answers with the prefix cache on and off after each upgrade.",
    ),
    Standing(
        "model_drift",
        "Model drift due to data shifts",
        "not judged: needs a reference window of prompt and output lengths",
        "medium: limits and objectives were set for other traffic",
        "Keep a recording of a good day and compare its report with today's.",
    ),
)
