from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_top.config import Settings
from chimera_top.judge import judge
from chimera_top.passage import Pace, Passage
from insight.assess import Assessor
from metrics.sample import Sample, Source, State
from metrics.store import Store

if TYPE_CHECKING:
    from metrics.view import View

WALL = 1_700_000_000.0


def seen(mono: float, source: str = "a") -> Sample:
    return Sample(source, Source.SERVER, WALL + mono, mono)


@given(st.sampled_from([0.1, 0.5, 1.0, 2.0, 10.0, 15.0, 60.0, 3600.0]), st.lists(st.floats(-0.02, 0.02), min_size=3))
def test_the_interval_is_that_of_the_recording(interval: float, late: list[float]) -> None:
    """Polls that are some per cent early or late do not change it, nor do sources that are asked less often."""
    pace = Pace()
    for tick, each in enumerate(late):
        pace.add(seen(tick * 3 * interval, "slow"))
        pace.add(seen((tick + each) * interval))
    assert pace.interval == pytest.approx(interval, rel=0.1)


def test_another_run_may_have_another_interval() -> None:
    """After three polls of a run that was recorded with another interval, it is that one."""
    pace = Pace()
    for mono in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 16.0, 26.0):
        pace.add(seen(mono))
        assert pace.interval == 1.0
    pace.add(seen(36.0))
    assert pace.interval == 10.0


class Watched(Assessor):
    """Keeps the moments at which the rules were asked."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[tuple[float, int]] = []

    def observe(self, view: View) -> None:
        self.moments.append((view.mono, sum(each.newest.mono > view.mono - 0.5 for each in view.all(Source.SERVER))))
        super().observe(view)


@pytest.mark.parametrize("interval", [1.0, 10.0])
def test_the_rules_are_asked_once_an_interval_of_recorded_time(interval: float) -> None:
    """However many sources were polled in it and however long it was silent in between, with all of them in place."""
    ticks = [interval * tick for tick in range(20)] + [interval * tick + 500.0 for tick in range(20)]
    samples = [seen(tick + 0.1 * each, str(each)) for tick in ticks for each in range(3)]
    assessor = Watched()
    passage = Passage(Store(), assessor, samples[0])
    for sample in samples[1:]:
        passage.take(sample)
    assert [moment for moment, _ in assessor.moments] == [tick + 0.2 for tick in ticks[:-1]]
    assert {sources for _, sources in assessor.moments} == {3}


def test_while_something_begins_or_ends_the_rules_are_asked_more_often() -> None:
    """Once in 16 s, and once in 4 s while a server that was down is up again and not yet for long enough."""
    assessor = Watched()
    polls = [replace(seen(float(t)), state=State.DOWN if 100 <= t < 130 else State.OK) for t in range(200)]
    passage = Passage(Store(), assessor, polls[0], every=16.0)
    for sample in polls[1:]:
        passage.take(sample)
    asked = [moment for moment, _ in assessor.moments]
    assert asked == [*range(15, 144, 16), 147, 151, 167, 183, 199][: len(asked)]
    assert len(asked) > 12


def test_now_is_the_newest_sample() -> None:
    """A poll that took long comes late and is stamped earlier: time does not go back for it."""
    passage = Passage(Store(), judge(Settings(), "replay"), seen(1.0))
    passage.take(seen(4.0))
    passage.take(seen(2.5, "b"))
    assert passage.view.mono == 4.0
    assert passage.view.wall == WALL + 4.0
