"""`chimera_top.promised`: a recording is judged by the objectives that it was made with."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins

from chimera_top import promised
from chimera_top.config import Settings
from chimera_top.judge import judge
from chimera_top.lookback import look_back
from chimera_top.recorder import Recorder
from chimera_top.session import Session
from collectors.clock import Clock
from collectors.server import ServerCollector
from insight.objectives import PRESETS, parse_objectives
from insight.settings import Settings as Asked
from metrics.sample import Sample, Source
from simulator.http import serve_in_thread
from simulator.scenario import load

if TYPE_CHECKING:
    from pathlib import Path

SLO = "ttft_p95=0.8s,itl_p50=12.5ms,itl_p99=50ms"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made of a server on a real socket, with objectives."""
    path = tmp_path_factory.mktemp("recorded") / "run.rec"
    clock = Clock()
    server = serve_in_thread(load("healthy"), seed=1, clock=clock)
    polled = threading.Event()
    session = Session(
        [ServerCollector(server.url, clock=clock)],
        judge(Settings(slo=SLO), "live"),
        interval=0.1,
        clock=clock,
        publish=lambda snapshot: polled.set() if snapshot.targets else None,
        recorder=Recorder(path),
    )
    try:
        session.start()
        assert polled.wait(30)
    finally:
        session.stop()
        server.close()
    return path


def test_a_replay_judges_by_what_was_promised(recording: Path) -> None:
    """Without objectives of the reader's own, those of the recording stand; they were stated, and are no defaults."""
    found = look_back(Settings(), str(recording)).objectives
    assert to_builtins(found) == to_builtins(parse_objectives(SLO))
    assert not any(each.default for each in found)


def test_who_states_objectives_is_judged_by_those(recording: Path) -> None:
    """`--slo` of a replay wins, and what it does not name is the default and not the recording's."""
    found = look_back(Settings(slo="ttft_p95=3s"), str(recording)).objectives
    assert to_builtins(found) == to_builtins(parse_objectives("ttft_p95=3s"))


def test_defaults_are_not_recorded() -> None:
    """A later version may have better ones, and a recording without objectives is judged by them."""
    assert promised.facts(Asked().objectives) == {}


def monitor(text: str, kind: Source = Source.MONITOR) -> Sample:
    return Sample("monitor", kind, 0.0, 0.0, facts={promised.FACT: text})


@pytest.mark.parametrize("sample", [monitor("ttft_p95=soon"), monitor("=" * 10_000), monitor(SLO, Source.SERVER)])
def test_what_is_no_objective_changes_nothing(sample: Sample) -> None:
    """A recording may come from anywhere, and a server has no say in it."""
    assert promised.adopted(Asked(), sample) == Asked()


@given(st.sampled_from(["ttft", "itl", "e2e"]), st.integers(1, 99), st.integers(1, 10**9))
def test_what_is_kept_is_what_was_stated(quantity: str, percentile: int, microseconds: int) -> None:
    """Down to the microsecond, and up to a quarter of an hour."""
    stated = parse_objectives(f"{quantity}_p{percentile}={microseconds}us")
    (kept,) = (each for each in promised.adopted(Asked(), monitor(promised.facts(stated)[promised.FACT])).objectives
               if not each.default)  # fmt: skip
    (first,) = (each for each in stated if not each.default)
    assert (kept.quantity, kept.q) == (first.quantity, first.q)
    assert kept.limit == pytest.approx(first.limit, rel=1e-9)


@pytest.mark.parametrize("model", PRESETS)
def test_those_of_mlperf_are_kept_as_numbers(model: str) -> None:
    """The class of a model is written down as the limits that it stands for."""
    stated = parse_objectives(f"mlperf:{model}")
    kept = promised.adopted(Asked(), monitor(promised.facts(stated)[promised.FACT])).objectives
    assert to_builtins(kept) == to_builtins(stated)
