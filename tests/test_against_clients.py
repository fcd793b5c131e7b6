"""What is measured from the pages of real servers, against what their client measured in the same seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metrics.measure import measure
from metrics.store import Store
from metrics.view import View
from tests.captures import URL, Phase, load

if TYPE_CHECKING:
    from metrics.histogram import Quantile
    from metrics.observed import Measure
    from metrics.sample import Sample

VLLM_PHASES = ["load", "overload", "load-after-restart"]
LLAMACPP_PHASES = ["load", "overload", "load-after-restart"]


def measured(samples: list[Sample], quantity: str) -> Measure:
    store = Store()
    for sample in samples:
        store.add(sample)
    now = samples[-1]
    found = measure(View(store, now.mono, now.wall).of(URL), quantity, now.mono - samples[0].mono)
    assert found is not None
    return found


def usage(phase: Phase, kind: str) -> int:
    return sum(request["usage"][kind] for request in phase.requests if request.get("usage"))


def truth(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


@pytest.mark.parametrize("name", VLLM_PHASES)
def test_vllm_tokens_and_requests_are_exact(name: str) -> None:
    """Over a phase, tokens and finished requests are those that the client counted, to the last one."""
    phase = load("vllm").phase(name)
    assert measured(phase.samples, "prompt_tokens_total").increase == usage(phase, "prompt_tokens")
    assert measured(phase.samples, "output_tokens_total").increase == usage(phase, "completion_tokens")
    finished = measured(phase.samples, "requests_finished")
    assert finished.increase == len(phase.requests)
    assert finished.rate == pytest.approx(len(phase.requests) / (phase.samples[-1].mono - phase.samples[0].mono))


@pytest.mark.parametrize("name", VLLM_PHASES)
@pytest.mark.parametrize(("quantity", "field"), [("ttft_seconds", "ttft"), ("e2e_seconds", "total")])
def test_vllm_latencies_hold_what_the_client_measured(name: str, quantity: str, field: str) -> None:
    """Means agree within 10 %, and the client's p50 and p95 lie within the bounds that are printed."""
    phase = load("vllm").phase(name)
    values = [request[field] for request in phase.requests]
    found = measured(phase.samples, quantity)
    assert found.count == len(values)
    assert found.mean == pytest.approx(sum(values) / len(values), rel=0.10)
    for q, quantile in ((0.50, found.p50), (0.95, found.p95)):
        assert holds(quantile, truth(values, q))


def holds(quantile: Quantile | None, value: float) -> bool:
    return quantile is not None and quantile.lo <= value and (quantile.hi is None or value <= quantile.hi)


@pytest.mark.parametrize("name", LLAMACPP_PHASES)
def test_llamacpp_tokens_are_exact(name: str) -> None:
    """llama.cpp counts tokens when their request ends; over a phase they are all there, cached prompt tokens too."""
    phase = load("llamacpp").phase(name)
    assert measured(phase.samples, "prompt_tokens_total").increase == usage(phase, "prompt_tokens")
    assert measured(phase.samples, "output_tokens_total").increase == usage(phase, "completion_tokens")


def test_lora_adapters_are_counted_with_their_server() -> None:
    """Requests for two adapters on one vLLM are all of that server's traffic."""
    phase = load("vllm-lora").phase("load")
    assert measured(phase.samples, "output_tokens_total").increase == usage(phase, "completion_tokens")
    assert measured(phase.samples, "requests_finished").increase == len(phase.requests)


@pytest.mark.parametrize("name", ["vllm", "llamacpp"])
def test_a_real_restart_loses_no_token(name: str) -> None:
    """Over kill, 55 s of refused polls and restart, the tokens of both lives are those that the client was given."""
    capture = load(name)
    begin, end = capture.phase("overload"), capture.phase("load-after-restart")
    restart = next(e["t"] for e in capture.events if e["event"] == "server_sigterm")
    samples = [s for s in capture.samples if begin.samples[0].mono <= s.mono <= end.samples[-1].mono]
    # What was generated for streams that were open at the restart, after the last poll, nobody can know.
    lost = [r for r in capture.client if r["phase"] == "inflight-at-restart"]
    assert all(r["t_send"] <= restart for r in lost)
    counted = measured(samples, "output_tokens_total").increase
    expected = usage(begin, "completion_tokens") + usage(end, "completion_tokens")
    assert counted is not None
    assert expected <= counted <= expected + 3 * 128
