from __future__ import annotations

import random

import pytest

from insight.estimators import littles_law
from metrics.effect import Effect, Grade
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
    found = littles_law.in_server(grown[0], grown[1], seconds)
    under_way = sum(
        max(0.0, min(each["t_send"] + each["total"], last.mono) - max(each["t_send"], first.mono))
        for each in seen.requests
        if each["status"] == 200
    )
    assert found is not None
    assert found == pytest.approx(under_way / seconds, rel=0.02)


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
    held = littles_law.in_server(0.0, sum(min(end, seconds) - begin for begin, end in stays), seconds)
    done = [(begin, end) for begin, end in stays if end <= seconds]
    mean = sum(end - begin for begin, end in done) / len(done)
    assert held is not None
    assert not littles_law.doubt(held, len(done) / seconds * mean, held, seconds)
    assert "50" in littles_law.doubt(held, len(done) / seconds * mean / 2, None, seconds)


def test_a_short_window_cannot_tell_and_gauges_get_more_room() -> None:
    """Below 50 s nothing is said; 20 % off is a contradiction by rate times time and not by gauges, 30 % is by both."""
    assert "20 % apart" in littles_law.doubt(10.0, 8.0, None, 60.0)
    assert not littles_law.doubt(10.0, 8.0, None, 30.0)
    assert not littles_law.doubt(10.0, None, 8.0, 60.0)
    assert "its gauges show 7: 30 % apart" in littles_law.doubt(10.0, 10.0, 7.0, 60.0)
    assert not littles_law.doubt(0.0, 1.0, 1.0, 60.0)
    assert littles_law.in_server(1.0, 1.0, 0.0) is None


def test_a_gauge_is_not_held_against_few_requests() -> None:
    """With two in the server in the mean a gauge that is read once a second misses half of them by chance."""
    assert not littles_law.doubt(2.0, 2.0, 1.0, 60.0)


def capacity(lo: float, mid: float, hi: float) -> Effect:
    return Effect("requests_finished", mid, lo, mid, hi, "1/s", "measured", Grade.A, n=120.0, window_seconds=60.0)


def test_a_backlog_drains_at_the_spare_rate() -> None:
    """60 waiting, 10 come and 12 can go: 30 s, from 20 s to never where the capacity may be below the arrivals."""
    found = littles_law.drain(60, 10, capacity(11, 12, 13))
    assert (found.lo, found.mid, found.hi, found.n, found.window_seconds) == (20, 30, 60, 120, 60)
    perhaps = littles_law.drain(60, 10, capacity(9, 12, 13))
    assert (perhaps.lo, perhaps.mid, perhaps.hi, perhaps.grade) == (20, 30, None, Grade.C)
    assert littles_law.drain(60, 10, capacity(8, 9, 10)).basis == "unknown"
    assert littles_law.drain(0, 10, capacity(8, 9, 10)).mid == 0
