"""What the simulated server answers to questions whose answers are known."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight.quality.consistency import consistency
from metrics.quality import Arm, Graded, Outcome
from simulator.answers import CONSISTENCY_ITEMS, ITEMS, KNOWN, PASS_SECONDS, AnswersCollector
from simulator.faults import Fault, Restart, WrongAnswers
from simulator.simulation import Simulation

if TYPE_CHECKING:
    from metrics.sample import Sample
    from simulator.scenario import Scenario

URL = "http://a"


def asked(quiet: Scenario, passes: int, *faults: Fault) -> list[Graded]:
    """Everything that is asked in so many passes."""
    simulation = Simulation(replace(quiet, faults=faults), seed=1)
    collector = AnswersCollector(simulation, URL, 1, 1e9, 0.0)
    graded: list[Graded] = []
    for second in range(int(passes * PASS_SECONDS)):
        simulation.advance(float(second))
        (sample,) = asyncio.run(_collect(collector))
        graded += sample.graded
    return graded


async def _collect(collector: AnswersCollector) -> list[Sample]:
    return list(await collector.collect())


def share_right(graded: list[Graded]) -> float:
    return sum(each.outcome is Outcome.RIGHT for each in graded) / len(graded)


def test_a_pass_asks_every_question_once_and_some_in_three_arms(quiet: Scenario) -> None:
    """A pass is what the canary's is: one answer to each question, three of those that compare caches."""
    both = asked(quiet, 2)
    first = [each for each in both if each.round == 0]
    assert {each.item for each in both if each.round == 1} == {each.item for each in first}
    assert len({each.item for each in first}) == ITEMS
    assert Counter(each.arm for each in first) == {
        Arm.ONLY: ITEMS - CONSISTENCY_ITEMS,
        Arm.COLD: CONSISTENCY_ITEMS,
        Arm.WARM: CONSISTENCY_ITEMS,
        Arm.AGAIN: CONSISTENCY_ITEMS,
    }
    assert abs(share_right(first) - KNOWN) < 0.1


def test_wrong_answers_are_wrong_however_they_are_asked(quiet: Scenario) -> None:
    """From its moment on a share of the questions is answered wrongly, in every arm alike: caches do not differ."""
    graded = asked(quiet, 6, WrongAnswers(at=180.0, share=0.4))
    before, after = ([each for each in graded if (each.round < 3) is early] for early in (True, False))
    assert share_right(before) - share_right(after) > 0.25
    found = consistency(after)
    assert found is not None
    assert found.p is not None
    assert found.p > 0.05


def test_a_spoilt_cache_shows_in_warm_answers_alone(quiet: Scenario) -> None:
    """The same questions are answered rightly from a cold cache, and the comparison of the arms says so."""
    graded = asked(quiet, 6, WrongAnswers(at=0.0, share=0.5, warm_only=True))
    warm = [each for each in graded if each.arm is Arm.WARM]
    cold = [each for each in graded if each.arm is not Arm.WARM]
    assert share_right(cold) - share_right(warm) > 0.3
    found = consistency(graded)
    assert found is not None
    assert found.p is not None
    assert found.p < 0.001


def test_nobody_answers_while_the_server_is_away(quiet: Scenario) -> None:
    """Questions that meet no server have failed, and say nothing about quality."""
    graded = asked(quiet, 1, Restart(at=10.0, seconds=20.0))
    failed = [each for each in graded if each.outcome is Outcome.FAILED]
    assert 35 <= len(failed) <= 45
    assert all(9.0 < each.wall - 1e9 < 31.0 for each in failed)
