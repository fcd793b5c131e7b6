from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from simulator.faults import Restart
from simulator.page import MARK, render
from simulator.scenario import Scenario, load
from simulator.simulation import Simulation

if TYPE_CHECKING:
    from prometheus_client import Metric

    from simulator.scenario import Workload

REAL = Path(__file__).parent.parent / "fixtures" / "simulator" / "vllm-0.32.prom"
"""A page of vLLM 0.32.0 serving a model of 2048 tokens; HELP, `*_created` and the process's own families left out."""
EPOCH = 1_790_000_000.0


def _families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


@pytest.fixture
def busy(quiet: Scenario, workload: Workload) -> Simulation:
    simulation = Simulation(replace(quiet, workload=workload), seed=1)
    simulation.advance(30.0)
    return simulation


def test_the_page_has_every_family_of_a_real_one(busy: Simulation) -> None:
    """Names, types, label names and bucket bounds are those that vLLM 0.32 serves."""
    real, simulated = _families(REAL.read_text()), _families(render(busy, EPOCH))
    assert real.keys() <= simulated.keys()
    for name, family in real.items():
        assert simulated[name].type == family.type, name
        ours = {(sample.name, *sorted(sample.labels)) for sample in simulated[name].samples}
        theirs = {(sample.name, *sorted(sample.labels)) for sample in family.samples}
        if name == "vllm:cache_config_info":
            # Its labels change with every release.
            assert set(simulated[name].samples[0].labels) <= set(family.samples[0].labels)
            continue
        assert ours == theirs, name
        bounds = {sample.labels["le"] for sample in family.samples if "le" in sample.labels}
        assert {sample.labels["le"] for sample in simulated[name].samples if "le" in sample.labels} == bounds, name
    for name in ("vllm:request_success", "vllm:engine_sleep_state", "vllm:prompt_tokens_cached_by_source"):
        values = {frozenset(sample.labels.items() - {("model_name", "small-llama")}) for sample in real[name].samples}
        own = {
            frozenset(sample.labels.items() - {("model_name", "small")})
            for sample in simulated[name].samples
            if not sample.name.endswith("_created")
        }
        assert own == values


def test_the_page_says_that_it_is_simulated(busy: Simulation) -> None:
    """The first line and a series of its own tell people and programs."""
    page = render(busy, EPOCH)
    assert page.startswith(MARK + "\n")
    samples = _families(page)["chimera_simulated"].samples
    assert [(sample.labels, sample.value) for sample in samples] == [({"scenario": "quiet", "simulated": "true"}, 1.0)]


def test_every_family_says_what_it_is(busy: Simulation) -> None:
    """Each has its HELP and its TYPE once, and no series comes twice."""
    lines = render(busy, EPOCH).splitlines()
    helps = [line.split()[2] for line in lines if line.startswith("# HELP")]
    types = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert helps == types
    assert len(set(types)) == len(types)
    names = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
    assert len(set(names)) == len(names)


def test_the_page_agrees_with_itself(busy: Simulation) -> None:
    """What is told in two ways is told alike: parts add up to their sum, histograms to their counters."""
    values = {
        (sample.name, *(sample.labels.get(label) for label in ("source", "finished_reason", "le"))): sample.value
        for family in _families(render(busy, EPOCH)).values()
        for sample in family.samples
    }

    def value(name: str, source: str | None = None) -> float:
        return float(values[f"vllm:{name}", source, None, None])

    computed = value("prompt_tokens_by_source_total", "local_compute")
    assert value("prompt_tokens_total") == computed + value("prompt_tokens_cached_total")
    assert value("iteration_tokens_total_sum") == computed + value("generation_tokens_total")
    first_tokens = value("time_to_first_token_seconds_count")
    assert value("inter_token_latency_seconds_count") == value("generation_tokens_total") - first_tokens
    (cache,) = _families(render(busy, EPOCH))["vllm:cache_config_info"].samples
    blocks, size = int(cache.labels["num_gpu_blocks"]), int(cache.labels["block_size"])
    assert int(cache.labels["kv_cache_size_tokens"]) == blocks * size  # as on the real page
    ended = sum(v for (name, *_), v in values.items() if name == "vllm:request_success_total")
    assert ended == value("e2e_request_latency_seconds_count") == value("request_params_n_count")
    assert values["vllm:e2e_request_latency_seconds_bucket", None, None, "+Inf"] == ended


def test_refused_requests_are_on_the_page(quiet: Scenario, workload: Workload) -> None:
    """By the limit that refused them, without the engine label, as vLLM has it."""
    engine = replace(quiet.engine, max_num_queued_reqs=2)
    simulation = Simulation(replace(quiet, engine=engine, workload=replace(workload, requests_per_second=60.0)), seed=1)
    simulation.advance(30.0)
    rejected = simulation.engine.counters.rejected
    assert rejected > 0
    series = 'vllm:admission_rejections_total{model_name="small",reason="max_num_queued_reqs"}'
    assert f"{series} {float(rejected)!r}\n" in render(simulation, EPOCH)


def test_created_says_since_when_the_counters_count(quiet: Scenario) -> None:
    """After a restart it is the moment at which the server is back; the process is as old as the restart."""
    simulation = Simulation(replace(quiet, faults=(Restart(at=5.0, seconds=10.0),)), seed=1)
    series = 'vllm:num_preemptions_created{engine="0",model_name="small"}'
    assert f"{series} {EPOCH!r}\n" in render(simulation, EPOCH)
    simulation.advance(20.0)
    assert f"{series} {EPOCH + 15.0!r}\n" in render(simulation, EPOCH)
    assert f"process_start_time_seconds {EPOCH + 5.0!r}\n" in render(simulation, EPOCH)


def test_the_same_seed_gives_the_same_page() -> None:
    """To the byte, and however often it was looked at in between; another seed gives another."""
    scenario = replace(load("overload"), warm_up_seconds=10.0)
    once, often, other = Simulation(scenario, 7), Simulation(scenario, 7), Simulation(scenario, 8)
    once.advance(40.0)
    other.advance(40.0)
    for look in range(1, 131):
        often.advance(look * 0.307)
        render(often, EPOCH)
    often.advance(40.0)
    assert render(once, EPOCH) == render(often, EPOCH)
    assert once.gpus.readings == often.gpus.readings
    assert render(once, EPOCH) != render(other, EPOCH)
