"""A latency that was measured while the monitor itself was late is marked."""

from __future__ import annotations

import asyncio

import pytest

from collectors.clock import Clock
from collectors.probe.lag import BEAT, Lag, keep_beat
from tests.collectors.probe.serving import StepClock


def test_a_loop_that_was_held_taints_what_it_timed() -> None:
    """A beat 60 ms late taints a request of 300 ms during which the loop was held, and none before or after."""
    lag = Lag()
    for index in range(1, 40):
        late = 0.060 if index == 20 else 0.0005
        lag.beat(index * BEAT, index * BEAT + late)
    assert lag.taints(0.8, 1.1, 0.3)
    assert not lag.taints(0.1, 0.6, 0.3)
    assert not lag.taints(1.5, 1.9, 0.3)


@pytest.mark.parametrize(
    ("late", "latency", "tainted"), [(0.009, 0.01, False), (0.011, 0.05, True), (0.06, 0.7, False)]
)
def test_what_is_small_beside_the_latency_does_not_matter(late: float, latency: float, tainted: bool) -> None:
    """Up to 10 ms never taint; above, a tenth of the latency decides."""
    lag = Lag()
    lag.beat(1.0, 1.0 + late)
    assert lag.taints(1.0, 1.0 + latency, latency) is tainted


def test_no_beat_no_taint() -> None:
    """Without a beat in the life of a request nothing is known against it."""
    assert Lag().p99(0.0, 1.0) == 0.0


def test_the_heart_beats_by_the_clock() -> None:
    """Each beat is compared with the moment at which it was due."""
    clock, lag, late = StepClock(), Lag(), iter([0.0, 0.2])

    async def sleep(seconds: float) -> None:
        clock.now += seconds + next(late)

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(keep_beat(lag, Clock(clock.wall, clock.mono), sleep))
    assert lag.p99(0.0, BEAT / 2) == pytest.approx(0.0)
    assert lag.p99(0.0, 1.0) == pytest.approx(0.2)
