"""What limits the GPUs: said beside a queue or a missed objective, by what GPUs measure or the engine reckons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from insight.report.check import Exit, check
from metrics.finding import RiskState, Severity
from metrics.histogram import Histogram
from metrics.sample import Process, Sample, Source
from tests.insight.conftest import WALL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from metrics.finding import Risk
    from metrics.snapshot import Snapshot
    from tests.insight.conftest import Drive

DECODE, PREFILL = "decode_bandwidth_bound", "prefill_compute_bound"
A100 = "NVIDIA A100-SXM4-80GB"


def server(mono: float, *, waiting: float = 0.0, gap: float = 0.01, counters: dict[str, float] | None = None) -> Sample:
    """Make a server that decodes 1000 tokens a second, each `gap` after the one before."""
    tokens = mono * 1000
    slow = gap > 0.1
    gaps = Histogram((0.1, 1.0), (0.0, tokens, 0.0) if slow else (tokens, 0.0, 0.0), tokens * gap)
    ttft = Histogram((0.1, 10.0), (mono * 5, 0.0, 0.0), mono * 0.25)
    return Sample(
        "http://a",
        Source.SERVER,
        WALL + mono,
        mono,
        gauges={"requests_waiting": waiting, "requests_running": 8.0},
        counters={"output_tokens_total": tokens, **(counters or {})},
        histograms={"itl_seconds": gaps, "ttft_seconds": ttft},
        facts={"model": "m"},
        processes=(Process(1),),
    )


def gpu(mono: float, index: int, gauges: Mapping[str, float] | None, name: str = A100) -> Sample:
    return Sample(
        f"gpu:GPU-{index}",
        Source.GPU,
        WALL + mono,
        mono,
        gauges={"utilisation": 0.99, **(gauges or {})},
        facts={"index": str(index), "uuid": f"GPU-{index}", "name": name},
        processes=(Process(1, "VLLM::Worker"),),
    )


def shares(dram: float, tensor: float) -> dict[str, float]:
    return {"dram_utilisation": dram, "tensor_utilisation": tensor}


def lived(
    driven: Drive,
    *,
    gpm: Mapping[str, float] | None = None,
    reckoned: tuple[float, float] | None = None,
    name: str = A100,
    waiting: float = 0.0,
    gap: float = 0.01,
) -> None:
    """Live through a minute; `reckoned` is the arithmetic and the bytes of a second that the engine tells."""
    for mono in range(60):
        rates = zip(("estimated_flops", "estimated_dram_bytes"), reckoned or (), strict=False)
        counters = {each: rate * mono for each, rate in rates}
        gpus = [gpu(float(mono), index, gpm, name) for index in range(2)]
        driven.poll(float(mono), server(float(mono), waiting=waiting, gap=gap, counters=counters), *gpus)


def of(snapshot: Snapshot, name: str) -> Risk | None:
    return next((risk for risk in snapshot.risks if risk.id == name), None)


def state(driven: Drive, name: str) -> RiskState | None:
    found = of(driven.snapshot(), name)
    return None if found is None else found.state


@pytest.mark.parametrize(("waiting", "gap", "why"), [(60.0, 0.01, "model_overloading"), (0.0, 0.5, "itl_slo")])
def test_slow_decoding_that_reads_all_the_time_is_bound_by_it(
    drive: Callable[[], Drive], waiting: float, gap: float, why: str
) -> None:
    """Beside a queue, or an ITL objective that is missed, an info says what decoding is bound by; the other is not."""
    driven = drive()
    lived(driven, gpm=shares(0.72, 0.12), waiting=waiting, gap=gap)
    snapshot = driven.snapshot()
    found = of(snapshot, DECODE)
    assert found is not None
    assert (found.state, found.severity) == (RiskState.FIRING, Severity.INFO)
    assert found.summary == "72 % of the memory bandwidth and 12 % of the tensor cores in use (GPM)"
    assert state(driven, PREFILL) is RiskState.NOT_OBSERVED
    assert state(driven, why) is RiskState.FIRING


def test_slow_prefill_that_computes_all_the_time_is_bound_by_it(drive: Callable[[], Drive]) -> None:
    """Tensor cores that work for most of the time, and a queue: prefill's arithmetic is the limit, not the reading."""
    driven = drive()
    lived(driven, gpm=shares(0.65, 0.58), waiting=60.0)
    assert state(driven, PREFILL) is RiskState.FIRING
    assert state(driven, DECODE) is RiskState.NOT_OBSERVED


@pytest.mark.parametrize("gpm", [shares(0.9, 0.1), shares(0.2, 0.9)])
def test_a_gpu_that_is_used_well_is_no_finding(drive: Callable[[], Drive], gpm: dict[str, float]) -> None:
    """At its limit, with no queue and no objective missed, nothing fires: the verdict is quiet and check is ok."""
    driven = drive()
    lived(driven, gpm=gpm)
    snapshot = driven.snapshot()
    for name in (DECODE, PREFILL):
        found = of(snapshot, name)
        assert found is not None
        assert found.state is RiskState.NOT_OBSERVED
        assert "of the memory bandwidth" in found.summary
    assert snapshot.verdict.state == "quiet"
    assert snapshot.recommendations == ()
    assert check(snapshot)[1] is Exit.OK


def test_it_never_fires_alone(drive: Callable[[], Drive]) -> None:
    """From the queue's first second to long after its last, it is at no moment what the verdict speaks of."""
    driven = drive()
    fired = 0
    for mono in range(150):
        waiting = 60.0 if 40 <= mono < 80 or 95 <= mono < 100 else 0.0
        gpus = [gpu(float(mono), index, shares(0.8, 0.1)) for index in range(2)]
        driven.poll(float(mono), server(float(mono), waiting=waiting), *gpus)
        snapshot = driven.snapshot()
        firing = {risk.id for risk in snapshot.risks if risk.state is RiskState.FIRING}
        fired += DECODE in firing
        assert DECODE not in firing or "model_overloading" in firing
        assert "memory bandwidth" not in snapshot.verdict.text
    assert fired > 20


def test_without_gpm_the_engine_reckons(drive: Callable[[], Drive]) -> None:
    """On a card before Hopper, what vLLM reckons is held against the card's peaks."""
    driven = drive()
    lived(driven, waiting=60.0, reckoned=(31.2e12, 1.5e12))
    found = of(driven.snapshot(), DECODE)
    assert found is not None
    assert found.state is RiskState.FIRING
    assert found.summary.startswith("73.6 % of the memory bandwidth and 10 % of the tensor cores in use (as the engine")
    other = drive()
    lived(other, waiting=60.0, reckoned=(187.2e12, 0.5e12))
    assert state(other, PREFILL) is RiskState.FIRING


def test_two_engines_share_what_they_reckon(drive: Callable[[], Drive]) -> None:
    """Each engine counts for its own GPUs, so that of two engines the mean counts, not the sum."""
    driven = drive()
    for mono in range(60):
        counters = {
            f'{name}{{engine="{engine}"}}': each * mono
            for engine in (0, 1)
            for name, each in (("estimated_flops", 31.2e12), ("estimated_dram_bytes", 1.5e12))
        }
        gpus = [gpu(float(mono), index, None) for index in range(2)]
        driven.poll(float(mono), server(float(mono), waiting=60.0, counters=counters), *gpus)
    found = of(driven.snapshot(), DECODE)
    assert found is not None
    assert found.summary.startswith("73.6 %")


@pytest.mark.parametrize(
    ("gpm", "reckoned", "name"),
    [
        (None, None, A100),
        ({"dram_utilisation": 0.9}, None, A100),
        (None, (31.2e12, 1.5e12), "NVIDIA GeForce RTX 4090"),
    ],
)
def test_where_nobody_tells_no_row_says_so(
    drive: Callable[[], Drive], gpm: dict[str, float] | None, reckoned: tuple[float, float] | None, name: str
) -> None:
    """Neither GPM nor the engine's count, half of GPM, or a card without known peaks: it is not asked."""
    driven = drive()
    lived(driven, gpm=gpm, reckoned=reckoned, name=name, waiting=60.0)
    snapshot = driven.snapshot()
    assert of(snapshot, DECODE) is None
    assert of(snapshot, PREFILL) is None


def test_without_gpus_it_is_not_asked(drive: Callable[[], Drive]) -> None:
    """A server whose GPUs nobody sees has neither row."""
    driven = drive()
    for mono in range(30):
        driven.poll(float(mono), server(float(mono), waiting=60.0))
    assert of(driven.snapshot(), DECODE) is None


def test_what_is_bound_gets_advice_with_a_bound(drive: Callable[[], Drive]) -> None:
    """Beside a queue, spreading the model over more GPUs answers it, and says what it rests on."""
    driven = drive()
    lived(driven, gpm=shares(0.72, 0.12), waiting=60.0)
    given = {each.id: each for each in driven.snapshot().recommendations}
    assert DECODE in given["scale_out"].risks
    assert any("memory bandwidth" in each for each in given["scale_out"].because)
