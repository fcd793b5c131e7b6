"""Engines, ranks, models and replicas: kept apart on their pages, and added up by rule in the windows."""

from __future__ import annotations

import re

import pytest

from collectors.engines import identify
from collectors.engines.dialect import read
from collectors.exposition import Parser
from metrics.measure import measure, total_gauge
from metrics.sample import Sample, Source
from metrics.store import Store
from metrics.view import SourceView, View
from tests.pages import text

URL = "http://127.0.0.1:8000"


def look(*pages: str) -> SourceView:
    """Poll these pages, one a second."""
    store, parser = Store(), Parser()
    for second, page in enumerate(pages):
        parsed = parser.parse(page.encode())
        dialect = identify(parsed)
        assert dialect is not None
        seen = read(dialect, parsed)
        store.add(
            Sample(
                URL,
                Source.SERVER,
                1e9 + second,
                float(second),
                counters=seen.counters,
                gauges=seen.gauges,
                histograms=seen.histograms,
                facts=seen.facts,
                missing=seen.missing,
            )
        )
    last = len(pages) - 1.0
    return View(store, last, 1e9 + last).of(URL)


def more(page: str, name: str, value: float, **labels: str) -> str:
    """Set the value of the one series of this name that has these labels."""
    inside = "".join(rf'(?=[^}}]*{label}="{re.escape(text)}")' for label, text in labels.items())
    changed, count = re.subn(rf"(?m)^({re.escape(name)}\{{{inside}[^}}]*\}}) .*$", rf"\g<1> {value}", page)
    assert count == 1
    return changed


def _without(page: str, part: str) -> str:
    return "".join(line for line in page.splitlines(keepends=True) if part not in line)


def increase(source: SourceView, quantity: str, window: float = 60.0) -> float | None:
    found = measure(source, quantity, window)
    return None if found is None else found.increase


DP = text("vllm-dp2")


def test_gauges_of_engines_are_added_by_their_rule() -> None:
    """Queues add; the cache is weighted by size (48 000 and 16 000 tokens); one engine of two that sleeps is awake."""
    source = look(DP)
    assert total_gauge(source, "requests_running") == 10.0
    assert total_gauge(source, "requests_waiting") == 6.0
    assert total_gauge(source, "kv_cache_usage") == pytest.approx((0.9 * 48_000 + 0.3 * 16_000) / 64_000)
    assert total_gauge(source, "kv_cache_capacity_tokens") == 64_000.0
    assert total_gauge(source, "sleeping") == 0.0


def test_counters_and_histograms_of_engines_add() -> None:
    """100 tokens of one engine and 10 of the other are 110; each stays to be seen."""
    later = more(DP, "vllm:generation_tokens_total", 3130.0, engine="0")
    later = more(later, "vllm:generation_tokens_total", 920.0, engine="1")
    found = measure(look(DP, later), "output_tokens_total", 60.0)
    assert found is not None
    assert (found.increase, found.rate) == (110.0, 110.0)
    assert {part: each.increase for part, each in found.by.items()} == {"engine=0": 100.0, "engine=1": 10.0}


def test_one_of_two_engines_that_restarts() -> None:
    """Its counters begin anew at 40, the other goes on by 70: 110 were generated, and a restart is noticed."""
    later = more(DP, "vllm:generation_tokens_total", 3100.0, engine="0")
    later = more(later, "vllm:generation_tokens_total", 40.0, engine="1")
    for name in ("prompt_tokens", "prompt_tokens_cached"):
        later = more(later, f"vllm:{name}_total", 0.0, engine="1")
    source = look(DP, later)
    assert increase(source, "output_tokens_total") == 70.0 + 40.0
    assert increase(source, "prompt_tokens_total") == 0.0
    assert [event.kind for event in source.history.events] == ["restart"]


def test_a_reason_beside_the_queue_is_no_second_queue() -> None:
    """The queue by reason splits what the queue is, engine by engine."""
    found = measure(look(DP), "requests_waiting", 60.0)
    assert found is not None
    assert found.value == 6.0
    assert found.by["engine=0,reason=capacity"].value == 4.0


def test_a_replica_that_comes_and_one_that_goes() -> None:
    """A worker of Ray that appears counts with the other, and one that has gone keeps what it counted in the window."""
    page = text("ray")
    alone = _without(page, 'ReplicaId="r1"')
    grown = more(page, "ray_vllm_generation_tokens_total", 340.0, ReplicaId="r0")
    grown = more(grown, "ray_vllm_generation_tokens_total", 210.0, ReplicaId="r1")
    come = look(alone, page, grown)
    assert increase(come, "output_tokens_total", 1.0) == 40.0 + 10.0
    assert total_gauge(come, "requests_running") == 7.0
    gone = look(page, grown, _without(grown, 'ReplicaId="r1"'))
    assert increase(gone, "output_tokens_total") == 40.0 + 10.0
    assert total_gauge(gone, "requests_running") == 4.0


def test_a_model_that_comes_later_leaves_the_names_of_the_first() -> None:
    """A proxy that has served one model names it all the same, so that a second one breaks no series."""
    page = text("litellm")
    grown = more(page, "litellm_input_tokens_metric_total", 2700.0, model="a", end_user="bob")
    grown = more(grown, "litellm_input_tokens_metric_total", 770.0, model="b", end_user="bob")
    source = look(_without(page, 'model="b"'), page, grown)
    assert increase(source, "prompt_tokens_total", 1.0) == 700.0 + 70.0
    found = measure(source, "prompt_tokens_total", 60.0)
    assert found is not None
    assert set(found.by) == {"model=a", "model=b"}


def test_models_with_other_buckets_have_a_common_mean() -> None:
    """Where the bounds differ, those that all have stay: count and mean are exact, quantiles no narrower than that."""
    head = 'vllm:num_requests_running{model_name="%s"} 1\n'

    def histogram(model: str, bounds: dict[str, int], total: float) -> str:
        name, label = "vllm:request_prompt_tokens", f'model_name="{model}"'
        buckets = "".join(f'{name}_bucket{{{label},le="{le}"}} {count}\n' for le, count in bounds.items())
        return head % model + buckets + f"{name}_sum{{{label}}} {total}\n"

    def page(n: int) -> str:
        small = histogram("a", {"10.0": 4 * n, "20.0": 8 * n, "+Inf": 8 * n}, 80.0 * n)
        return small + histogram("b", {"10.0": 2 * n, "50.0": 6 * n, "+Inf": 7 * n}, 200.0 * n)

    found = measure(look(page(0), page(10)), "prompt_tokens", 60.0)
    assert found is not None
    assert (found.count, found.mean) == (150.0, 2800.0 / 150.0)
    assert found.p50 is not None
    assert (found.p50.lo, found.p50.hi) == (10.0, None)
    assert found.by["model=a"].p50 is not None


def test_a_page_of_several_processes_without_start_time_still_restarts() -> None:
    """Every counter falls and no start time is there: a restart, and nothing of the first life is lost."""
    fresh = re.sub(r"(?m)^(vllm:\S*_(?:total|count|sum|bucket)\{.*\}) .*$", r"\1 0", DP)
    again = more(fresh, "vllm:generation_tokens_total", 15.0, engine="0")
    source = look(DP, fresh, again)
    assert increase(source, "output_tokens_total") == 15.0
    assert [event.kind for event in source.history.events] == ["restart"]


def test_a_latency_of_which_only_the_mean_is_told_has_no_quantile() -> None:
    """Triton's counters of microseconds give 2 s on average over 50 requests, and no p95 that nobody measured."""
    page = text("triton")
    name = {"model": "tensorrt_llm"}
    later = more(page, "nv_inference_request_success", 250, **name)
    later = more(later, "nv_inference_request_duration_us", 500_000_000, **name)
    found = measure(look(page, later), "e2e_seconds", 60.0)
    assert found is not None
    assert found.count == 50.0
    assert found.mean == pytest.approx(2.0)
    assert found.p50 is None or (found.p50.estimate, found.p50.hi) == (None, None)
