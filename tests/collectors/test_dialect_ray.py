"""Ray's dialect on pages written after its sources: two replicas, in the names of before and after vLLM 0.11."""

from __future__ import annotations

import pytest

from collectors.engines.ray import RAY
from tests.pages import counts, reading

A = 'engine="aaaaaaaaaaaaaaaa",model="org/model-g"'
B = 'engine="bbbbbbbbbbbbbbbb",model="org/model-g"'


@pytest.mark.parametrize("name", ["ray", "ray-colon"])
def test_replicas_are_kept_apart(name: str) -> None:
    """Each worker is an engine; counters are found with and without `_total`, names with `:` and with `_`."""
    result = reading(name, RAY)
    assert result.counters == {
        f'requests_finished{{{A},reason="stop"}}': 9.0,
        f'requests_finished{{{B},reason="stop"}}': 6.0,
        f"prompt_tokens_total{{{A}}}": 900.0,
        f"prompt_tokens_total{{{B}}}": 600.0,
        f"output_tokens_total{{{A}}}": 300.0,
        f"output_tokens_total{{{B}}}": 200.0,
    }
    assert result.gauges[f"requests_waiting{{{B}}}"] == 2.0
    assert result.gauges[f"kv_cache_usage{{{A}}}"] == 0.2
    assert counts(result) == {f"ttft_seconds{{{A}}}": (9.0, 2.0), f"ttft_seconds{{{B}}}": (6.0, 1.0)}


def test_what_ray_has_not_shown_yet_is_not_zero() -> None:
    """Ray leaves out increments of 0: a counter that is absent is not known, and that is said."""
    result = reading("ray", RAY)
    assert not any(name.startswith("preemptions") for name in result.counters)
    assert {each.what: each.why for each in result.missing}["preemptions"] == (
        "Ray shows it after the first time that it is more than 0"
    )
