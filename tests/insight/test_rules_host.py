"""The rules about the host and about this program itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from metrics.finding import Severity
from metrics.histogram import Histogram
from metrics.sample import Process, Sample, Source
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.insight.conftest import Drive

WALL = 1_800_000_000.0
GIB = 1024.0**3
HOST_RULES = ("host_cpu_starvation", "host_memory_pressure", "disk_pressure")


def host(mono: float, counters: dict[str, float] | None = None, free_disk: float = 0.5, **gauges: float) -> Sample:
    """Make a host on which nothing runs short but what is given."""
    usual = {
        "cpu_count": 64.0,
        "cpu_usage": 0.3,
        "cpu_steal": 0.0,
        "pressure_cpu": 0.02,
        "pressure_memory_full": 0.0,
        "host_memory_total_bytes": 512 * GIB,
        "host_memory_available_bytes": 300 * GIB,
        "swap_total_bytes": 8 * GIB,
        "swap_used_bytes": 0.0,
        series("disk_total_bytes", mount="/"): 1000 * GIB,
        series("disk_used_bytes", mount="/"): 1000 * GIB * (1 - free_disk),
    }
    return Sample(
        "host",
        Source.HOST,
        WALL + mono,
        mono,
        gauges={**usual, **gauges},
        counters={"swap_in_bytes": 0.0, "oom_kills": 2.0, **(counters or {})},
    )


def lived(drive: Drive, rule: str, seconds: int = 40, *beside: Callable[[float], Sample], **fault: Any) -> str:
    """Live through 20 s without and then `seconds` with a fault; tell the state of the rule."""
    for mono in range(20 + seconds):
        others = [make(float(mono)) for make in beside]
        drive.poll(float(mono), host(float(mono), **(fault if mono >= 20 else {})), *others)
    return drive.states()[rule]


def test_a_host_with_room_has_no_finding(drive: Callable[[], Drive]) -> None:
    """OOM kills from before this program began are none that it saw."""
    driven = drive()
    lived(driven, HOST_RULES[0], 300)
    assert {driven.states()[each] for each in HOST_RULES} == {"not_observed"}


def test_a_host_that_tells_nothing_is_not_called_well(drive: Callable[[], Drive]) -> None:
    """Without pressure, memory and disks it cannot be told."""
    driven = drive()
    driven.poll(0.0, Sample("host", Source.HOST, WALL, 0.0))
    assert {driven.states()[each] for each in HOST_RULES} == {"unknown"}


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ({"pressure_cpu": 0.4}, "firing"),
        ({"pressure_cpu": 0.15}, "not_observed"),  # some task waits, and nobody feels it
        ({"pressure_cpu": 0.15, "cpu_usage": 0.95}, "firing"),
        ({"cpu_usage": 0.95}, "not_observed"),  # busy, and nobody waits
        ({"cpu_steal": 0.2}, "firing"),
    ],
)
def test_cpus_are_short_where_somebody_waits_for_them(
    drive: Callable[[], Drive], fault: dict[str, float], state: str
) -> None:
    """Pressure over 25 %, or over 10 % with busy CPUs, or a fifth taken by the hypervisor; within 30 s."""
    assert lived(drive(), "host_cpu_starvation", 12, **fault) == state


def test_an_engine_at_the_end_of_its_core_makes_little_pressure_count(drive: Callable[[], Drive]) -> None:
    """15 % pressure while the engine's main thread uses a whole core, which is named."""

    def server(mono: float) -> Sample:
        engine = Process(7, "VLLM::EngineCore", cpu_usage=1.0)
        return Sample("http://a", Source.SERVER, WALL + mono, mono, processes=(engine, Process(8, "api")))

    driven = drive()
    assert lived(driven, "host_cpu_starvation", 20, server, pressure_cpu=0.15) == "firing"
    assert "VLLM::EngineCore uses 1 cores" in driven.risk("host_cpu_starvation").summary


@pytest.mark.parametrize(
    ("busy", "said"),
    [
        (0.0, "ran no kernel in 100 % of the time in which requests ran."),
        (0.5, "ran no kernel in 50 % of the time in which requests ran: without such gaps at most 2 times as fast."),
    ],
)
def test_gpus_that_wait_for_the_host_are_told(drive: Callable[[], Drive], busy: float, said: str) -> None:
    """With what it could be without the gaps; where there was nothing else nobody can tell."""
    engine = (Process(7, "vllm"),)
    driven = drive()
    for tick in range(60):
        mono, wall = float(tick), WALL + tick
        seen = Sample("http://a", Source.SERVER, wall, mono, gauges={"requests_running": 8.0}, processes=engine)
        gpu = Sample("gpu:0", Source.GPU, wall, mono, gauges={"utilisation": busy}, processes=engine)
        driven.poll(mono, host(mono, pressure_cpu=0.9), seen, gpu)
    assert driven.risk("host_cpu_starvation").description.endswith(said)


@pytest.mark.parametrize(
    ("throttled", "processes", "state"),
    [
        (4.0, (Process(7, "vllm"),), "firing"),
        (2.0, (Process(7, "vllm"),), "not_observed"),
        (4.0, (), "not_observed"),  # a container of this program alone
    ],
)
def test_a_cpu_limit_that_is_used_up_is_told(
    drive: Callable[[], Drive], throttled: float, processes: tuple[Process, ...], state: str
) -> None:
    """In 40 % of its periods, where the server runs in the same container; 20 % are none of its business."""
    driven = drive()
    for mono in range(30):
        counters = {"cpu_periods": 10.0 * mono, "cpu_periods_throttled": throttled * mono}
        server = Sample("http://a", Source.SERVER, WALL + mono, float(mono), processes=processes)
        driven.poll(float(mono), host(float(mono), counters), server)
    assert driven.states()["host_cpu_starvation"] == state


def test_slower_decoding_is_told_with_the_pressure(drive: Callable[[], Drive]) -> None:
    """The same 15 % when decoding slowed at the same time: both on one clock."""

    def server(mono: float) -> Sample:
        fast, slow = min(mono, 20.0) * 500, max(0.0, mono - 20.0) * 500
        gaps = Histogram((0.01, 0.1), (0.0, fast + slow, 0.0), fast * 0.02 + slow * 0.04)
        return Sample("http://a", Source.SERVER, WALL + mono, mono, histograms={"itl_seconds": gaps})

    driven = drive()
    assert lived(driven, "host_cpu_starvation", 15, server, pressure_cpu=0.15) == "firing"
    assert driven.risk("host_cpu_starvation").description.startswith("Decode -")


@pytest.mark.parametrize(
    ("fault", "severity"),
    [
        ({"host_memory_available_bytes": 40 * GIB}, Severity.WARNING),
        ({"host_memory_available_bytes": 10 * GIB}, Severity.CRITICAL),
        ({"pressure_memory_full": 0.1}, Severity.WARNING),
        ({"swap_used_bytes": 7 * GIB}, None),  # it was swapped out once, and nobody reads it
        ({"counters": {"oom_kills": 3.0}}, Severity.CRITICAL),
    ],
)
def test_memory_that_runs_out_is_told(
    drive: Callable[[], Drive], fault: dict[str, Any], severity: Severity | None
) -> None:
    """Below 10 % available, tasks that wait for it, or a process that was killed for it."""
    driven = drive()
    assert (lived(driven, "host_memory_pressure", 15, **fault) == "firing") == (severity is not None)
    assert severity is None or driven.risk("host_memory_pressure").severity is severity


def test_swap_counts_once_it_is_read_from(drive: Callable[[], Drive]) -> None:
    """A full swap that is read from is a finding."""
    driven = drive()
    for mono in range(40):
        read = {"swap_in_bytes": mono * 1e6}
        driven.poll(float(mono), host(float(mono), read, swap_used_bytes=7 * GIB))
    assert driven.states()["host_memory_pressure"] == "firing"


def test_a_disk_is_told_when_it_is_full_or_will_be_within_a_day(drive: Callable[[], Drive]) -> None:
    """8 % free fires; 50 % free that fills by 3 % an hour fires after half an hour of it; 1 % an hour does not."""
    assert lived(drive(), "disk_pressure", 20, free_disk=0.08) == "firing"
    for hourly, state in ((0.03, "firing"), (0.01, "not_observed")):
        driven = drive()
        for minute in range(70):
            mono = minute * 30.0
            driven.poll(mono, host(mono, free_disk=0.5 - hourly * mono / 3600))
        assert driven.states()["disk_pressure"] == state


# --- this program


def monitor(mono: float, missed: float = 0.0) -> Sample:
    names = (series("polls_missed", collector="http://a"), series("polls_overrun", collector="http://a"))
    return Sample("monitor", Source.MONITOR, WALL + mono, mono, counters=dict(zip(names, (missed, 0.0), strict=True)))


@pytest.mark.parametrize(
    ("missed_a_second", "seconds", "state"), [(0.0, 0.1, "not_observed"), (0.5, 0.1, "firing"), (0.0, 0.8, "firing")]
)
def test_a_monitor_that_cannot_keep_up_says_so(
    drive: Callable[[], Drive], missed_a_second: float, seconds: float, state: str
) -> None:
    """Half of the polls left out, or polls that take most of the interval: an info, for the rest comes later."""
    driven = drive()
    for mono in range(60):
        slow = Sample("http://a", Source.SERVER, WALL + mono, float(mono), duration=seconds)
        driven.poll(float(mono), monitor(float(mono), mono * missed_a_second), slow)
    risk = driven.risk("monitor_degraded")
    assert risk.state.value == state
    assert risk.severity is Severity.INFO


@pytest.mark.parametrize(("offset", "said"), [(37.0, "37 s ahead of"), (-2.5, "2.5 s behind"), (1.2, "")])
def test_a_clock_that_is_off_is_told(drive: Callable[[], Drive], offset: float, said: str) -> None:
    """Whoever lays the server's log beside these times has to know how far they differ; a second may be rounded."""
    driven = drive()
    for mono in range(60):
        told = {"clock_offset_seconds": offset}
        driven.poll(
            float(mono), monitor(float(mono)), Sample("http://a", Source.SERVER, WALL + mono, mono, gauges=told)
        )
    risk = driven.risk("monitor_degraded")
    assert risk.state.value == ("firing" if said else "not_observed")
    assert said in risk.summary
    assert bool(said) == ("the clock of http://a is" in risk.summary)


def test_polls_that_begin_late_are_told(drive: Callable[[], Drive]) -> None:
    """A tenth of a second in the mean, for want of a CPU; a single late one is nothing."""
    for late, state in ((0.1, "firing"), (0.001, "not_observed")):
        driven = drive()
        for mono in range(60):
            lag = {"loop_lag_seconds": 0.5 if mono == 30 else late}
            driven.poll(float(mono), Sample("monitor", Source.MONITOR, WALL + mono, float(mono), gauges=lag))
        assert driven.states()["monitor_degraded"] == state
