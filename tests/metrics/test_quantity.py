from __future__ import annotations

import math

import pytest

from metrics.quantity import MOST, QUANTITIES, impossibility


@pytest.mark.parametrize(
    ("quantity", "value", "why"),
    [
        ("requests_running", 0.0, ""),
        ("kv_cache_usage", 0.0, ""),
        ("prefix_cache_hit_rate", -1.0, "is below 0, which cannot be"),
        ("temperature_celsius", -5.0, ""),
        ("requests_running", math.nan, "is not a finite number"),
        ("requests_running", math.inf, "is not a finite number"),
        ("requests_running", 2 * MOST, "is larger than anything that is measured"),
    ],
)
def test_what_cannot_be_is_said(quantity: str, value: float, why: str) -> None:
    """A count of 0 is one; what is no number, too large, or below 0 where nothing can be, is none."""
    assert impossibility(quantity, value) == why


@pytest.mark.parametrize(
    "quantity", ["kv_cache_capacity_tokens", "max_running_requests", "max_model_len", "start_time_seconds"]
)
def test_a_limit_of_0_is_none(quantity: str) -> None:
    """A cache of no token and a process of 1970 are servers that do not know."""
    assert quantity in QUANTITIES
    assert impossibility(quantity, 0.0) == "is 0, which cannot be"
    assert impossibility(quantity, 1.0) == ""
