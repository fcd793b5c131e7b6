from __future__ import annotations

import pytest

from simulator.lengths import Choice
from simulator.scenario import EngineConfig, GpuConfig, Scenario, Workload


@pytest.fixture
def config() -> EngineConfig:
    return EngineConfig(
        model="small",
        max_model_len=2048,
        base_ms=6.0,
        per_sequence_ms=0.4,
        per_prompt_token_ms=0.05,
        max_num_seqs=16,
        max_num_batched_tokens=512,
        num_gpu_blocks=1000,
        block_size=16,
    )


@pytest.fixture
def workload() -> Workload:
    return Workload(
        requests_per_second=5.0,
        prompt_tokens=Choice((50, 200, 600)),
        output_tokens=Choice((32, 64, 128)),
        max_tokens=100,
    )


@pytest.fixture
def silence() -> Workload:
    """No request comes of its own."""
    return Workload(requests_per_second=0.0, prompt_tokens=Choice((1,)), output_tokens=Choice((1,)), max_tokens=1)


@pytest.fixture
def quiet(config: EngineConfig, silence: Workload) -> Scenario:
    return Scenario(
        name="quiet",
        title="Nothing happens",
        warm_up_seconds=0.0,
        engine=config,
        workload=silence,
        gpus=GpuConfig(count=2, tensor_parallel=1, memory_used_gib=70.0),
    )
