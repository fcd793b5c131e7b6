from __future__ import annotations

import random

import pytest

from insight.estimators import littles_law
from metrics.effect import Grade
from tests.captures import load


@pytest.mark.parametrize(
    ("capture", "phase"),
    [
        *(("vllm-prefix-off", phase) for phase in ("m4", "h6.5", "sat")),
        *(("vllm-ramp", phase) for phase in ("r1", "r4", "r7", "sat")),
    ],
)
def test_the_sums_of_a_real_server_are_what_its_clients_saw(capture: str, phase: str) -> None:
    """(ITL sum + TTFT sum) / T is within 2 % the number that the clients had under way."""
    seen = load(capture).phase(phase)
    first, last = seen.samples[0], seen.samples[-1]
    seconds = last.mono - first.mono
    grown = [last.histograms[name].sum - first.histograms[name].sum for name in ("itl_seconds", "ttft_seconds")]
    found = littles_law.by_sums(grown[0], grown[1], seconds)
    under_way = sum(
        max(0.0, min(each["t_send"] + each["total"], last.mono) - max(each["t_send"], first.mono))
        for each in seen.requests
        if each["status"] == 200
    )
    assert found is not None
    assert found.value == pytest.approx(under_way / seconds, rel=0.02)


def test_a_steady_queue_is_consistent_and_a_growing_one_is_not() -> None:
    """M/M/1 at a load of 0.7 agrees within the limit over 3000 s; a number that only grows does not."""
    draw = random.Random(4)
    clock = free = 0.0
    stays: list[tuple[float, float]] = []
    for _ in range(2100):
        clock += draw.expovariate(0.7)
        free = max(free, clock) + draw.expovariate(1.0)
        stays.append((clock, free))
    seconds = clock
    in_server = littles_law.by_sums(0.0, sum(min(end, seconds) - begin for begin, end in stays), seconds)
    done = [(begin, end) for begin, end in stays if end <= seconds]
    mean = sum(end - begin for begin, end in done) / len(done)
    assert in_server is not None
    found = littles_law.consistency(in_server, len(done) / seconds, mean, seconds)
    assert found is not None
    assert found.steady
    growing = littles_law.consistency(in_server, len(done) / seconds / 2, mean, seconds)
    assert growing is not None
    assert growing.steady is False
    assert growing.difference == pytest.approx(0.5, abs=0.05)


def test_a_short_window_cannot_tell_and_gauges_get_more_room() -> None:
    """Below 60 s the answer is None; 20 % off is inconsistent by sums and not by gauges."""
    sums, gauges = littles_law.by_sums(6.0, 4.0, 1.0), littles_law.by_gauges(8.0, 2.0)
    assert sums is not None
    assert (gauges.lo, gauges.hi) == (8.0, 12.0)
    for each, steady in ((sums, False), (gauges, True)):
        long, short = (littles_law.consistency(each, 8.0, 1.0, window) for window in (60.0, 30.0))
        assert long is not None
        assert short is not None
        assert (long.steady, short.steady) == (steady, None)
    assert littles_law.consistency(littles_law.by_gauges(0, 0), 1.0, 1.0, 60) is None
    assert littles_law.by_sums(1.0, 1.0, 0.0) is None


def test_the_wait_is_read_where_it_can_be() -> None:
    """The histogram first; the gauge only where a queue stands; else what would have to be measured."""
    assert littles_law.queue_wait(1.0, 4.0, 60, observed=(0.2, 240)).grade is Grade.A
    by_gauge = littles_law.queue_wait(16.0, 8.0, 60)
    assert (by_gauge.mid, by_gauge.grade) == (2.0, Grade.B)
    assert by_gauge.lo == pytest.approx(1.9)
    bursty = littles_law.queue_wait(1.0, 8.0, 60)
    assert (bursty.mid, bursty.basis) == (None, "unknown")
    assert bursty.needs


def test_a_backlog_drains_at_the_spare_rate() -> None:
    """60 waiting, 10 come and 12 can go: 30 s, from 20 s to never where the capacity may be below the arrivals."""
    found = littles_law.drain(60, 10, lo=11, mid=12, hi=13)
    assert (found.lo, found.mid, found.hi) == (20, 30, 60)
    perhaps = littles_law.drain(60, 10, lo=9, mid=12, hi=13)
    assert (perhaps.lo, perhaps.mid, perhaps.hi, perhaps.grade) == (20, 30, None, Grade.C)
    assert littles_law.drain(60, 10, lo=8, mid=9, hi=10).basis == "unknown"
    assert littles_law.drain(0, 10, lo=8, mid=9, hi=10).mid == 0
