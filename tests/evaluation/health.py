"""Servers with which nothing is wrong: the one that the rules were tried on, for 20 hours, and others beside it.

Whatever fires on any of them is a false alarm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from simulator.faults import LoadChange
from simulator.lengths import Lognormal
from simulator.scenario import GpuConfig, Speculation, Truth, load
from tests.evaluation.labels import Run, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.faults import Fault
    from simulator.scenario import Scenario

HOUR = 3600.0
HOURS = 20
CAPACITY = 18.5
"""Requests per second at which the healthy server's slots are full."""


def hour(name: str, seed: int) -> Run:
    """Watch an hour of one of them, by its name, with a probe and questions as well."""
    scenario = VARIANTS[name]()
    return judge(replace(scenario, name=name, truth=Truth(watch_seconds=HOUR)), seed, asked=name not in _UNASKED)


def _at(share: float) -> Callable[[], Scenario]:
    return lambda: _loaded(share)


def _loaded(share: float, *faults: Fault) -> Scenario:
    healthy = load("healthy")
    workload = replace(healthy.workload, requests_per_second=share * CAPACITY)
    return replace(healthy, workload=workload, faults=faults)


def _bursts() -> Scenario:
    """Half a minute at 85 % of the capacity in every five minutes, at 45 % else."""
    starts = range(60, int(HOUR), 300)
    changes = [(float(at), 1.9) for at in starts] + [(at + 30.0, 1.0) for at in starts]
    return _loaded(0.45, *(LoadChange(at=at, multiplier=times) for at, times in changes))


def _day() -> Scenario:
    """A day's rise and fall within an hour: from 20 % to 80 % of the capacity and back."""
    return _loaded(
        0.2,
        LoadChange(at=0.0, multiplier=4.0, over=HOUR / 2),
        LoadChange(at=HOUR / 2, multiplier=1.0, over=HOUR / 2),
    )


def _night() -> Scenario:
    """Load falls to a request in three seconds, and comes back."""
    return _loaded(
        0.5,
        LoadChange(at=600.0, multiplier=0.035, over=300.0),
        LoadChange(at=2400.0, multiplier=1.0, over=300.0),
    )


def _small() -> Scenario:
    """An 8B model on one GPU, at half of its capacity."""
    healthy = load("healthy")
    engine = replace(
        healthy.engine,
        model="meta-llama/Llama-3.1-8B-Instruct",
        base_ms=6.0,
        per_sequence_ms=0.08,
        per_prompt_token_ms=0.05,
        max_num_seqs=256,
        num_gpu_blocks=20_000,
    )
    return replace(healthy, engine=engine, gpus=GpuConfig(count=1, tensor_parallel=1, memory_used_gib=73.0))


def _documents() -> Scenario:
    """Long prompts that share nothing, short answers."""
    healthy = load("healthy")
    workload = replace(
        healthy.workload,
        requests_per_second=3.0,
        prompt_tokens=Lognormal(median=2500, sigma=0.6, most=7000),
        output_tokens=Lognormal(median=80, sigma=0.5, most=500),
        shared_prefix_share=0.0,
    )
    return replace(healthy, workload=workload)


def _writing() -> Scenario:
    """Short prompts, long answers."""
    healthy = load("healthy")
    workload = replace(
        healthy.workload,
        requests_per_second=3.0,
        prompt_tokens=Lognormal(median=120, sigma=0.6, most=2000),
        output_tokens=Lognormal(median=900, sigma=0.5, most=3000),
        max_tokens=4000,
        shared_prefix_share=0.0,
    )
    return replace(healthy, workload=workload)


def _few() -> Scenario:
    """A request in five seconds."""
    return _loaded(0.2 / CAPACITY)


def _replicas() -> Scenario:
    """Two engines behind one address that share evenly, at two thirds of what both can do."""
    healthy = load("healthy")
    return replace(
        healthy,
        engine=replace(healthy.engine, replica_shares=(0.5, 0.5)),
        workload=replace(healthy.workload, requests_per_second=24.0),
        gpus=replace(healthy.gpus, tensor_parallel=4),
    )


def _speculation() -> Scenario:
    """Speculation whose drafts are mostly accepted."""
    healthy = load("healthy")
    speculation = Speculation(tokens=3, acceptance=0.85, draft_ms=2.0)
    return replace(healthy, engine=replace(healthy.engine, speculation=speculation))


def _slow_steps() -> Scenario:
    """A large model with steps of 40 ms, at half of its capacity."""
    healthy = load("healthy")
    engine = replace(healthy.engine, base_ms=40.0, per_sequence_ms=0.2, per_prompt_token_ms=0.02, max_num_seqs=64)
    return replace(healthy, engine=engine, workload=replace(healthy.workload, requests_per_second=2.5))


VARIANTS: dict[str, Callable[[], Scenario]] = {
    "healthy": lambda: load("healthy"),
    "healthy, probed and asked": lambda: load("healthy"),
    "load 20 %": _at(0.2),
    "load 40 %": _at(0.4),
    "load 60 %": _at(0.6),
    "load 80 %": _at(0.8),
    "a request in 5 s": _few,
    "bursts to 85 %": _bursts,
    "a day in an hour, 20 to 80 %": _day,
    "a quiet night": _night,
    "8B on one GPU": _small,
    "long prompts": _documents,
    "long answers": _writing,
    "slow steps": _slow_steps,
    "two replicas": _replicas,
    "speculation": _speculation,
}
_UNASKED = ("healthy",)
