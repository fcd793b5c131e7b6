from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from insight.lifecycle import FLAP_EPISODES, FLAP_KEEP, MAX_EPISODES, Life, Phase, step
from insight.rules.rule import HOLDS_NOT, Condition, Timing, unknown
from metrics.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMING = Timing(enter=5.0, keep=10.0)
HOLDS = Condition(holds=True, summary="it is so")
UNKNOWN = unknown("nobody can tell")
CONDITIONS = {"+": HOLDS, "-": HOLDS_NOT, "?": UNKNOWN}


def lives(said: Iterable[str]) -> list[Life]:
    """Go through one condition a second."""
    life: Life | None = None
    found = []
    for second, each in enumerate(said):
        life = step(life, TIMING, CONDITIONS[each], float(second))
        found.append(life)
    return found


def phases(said: Iterable[str]) -> list[Phase]:
    return [life.phase for life in lives(said)]


def test_it_fires_only_after_it_held_long_enough() -> None:
    """The condition holds from second 1 on: pending until second 6, firing from there, since second 1."""
    found = lives("-" + "+" * 7)
    assert [life.phase for life in found] == [Phase.INACTIVE, *[Phase.PENDING] * 5, *[Phase.FIRING] * 2]
    assert found[-1].since == 1.0
    assert found[-1].episodes[-1].begin == 1.0
    assert found[-1].episodes[-1].end is None


def test_a_poll_that_comes_a_little_early_is_not_one_too_few() -> None:
    """Polled every 5 s or so, 4.96 s are 5 s, and 4 s are not."""
    for seconds, phase in ((4.96, Phase.FIRING), (4.0, Phase.PENDING)):
        assert step(step(None, TIMING, HOLDS, 0.0), TIMING, HOLDS, seconds).phase is phase


def test_a_short_disturbance_never_fires() -> None:
    """A condition that goes before its time is forgotten, and the next one begins anew."""
    assert Phase.FIRING not in phases(("+" * 5 + "-") * 20)


def test_it_is_over_only_after_it_was_gone_long_enough() -> None:
    """Resolving lasts 10 s; the episode ends when the condition ceased."""
    found = lives("+" * 7 + "-" * 11)
    assert [life.phase for life in found[7:]] == [*[Phase.RESOLVING] * 10, Phase.INACTIVE]
    assert found[-1].episodes[-1].end == 7.0


def test_what_comes_back_while_resolving_is_the_same_episode() -> None:
    """A finding that returns before it is over goes on firing since its first beginning."""
    last = lives("+" * 7 + "-" * 5 + "+")[-1]
    assert (last.phase, last.since, len(last.episodes)) == (Phase.FIRING, 0.0, 1)


def test_no_data_is_no_recovery() -> None:
    """However long nothing can be told, what fires goes on."""
    last = lives("+" * 7 + "?" * 1000)[-1]
    assert last.phase is Phase.FIRING
    assert last.held is HOLDS


def test_no_data_is_no_fault() -> None:
    """A pending finding whose data goes away does not fire."""
    assert phases("+++" + "?" * 100)[-1] is Phase.INACTIVE
    assert set(phases("?" * 100)) == {Phase.INACTIVE}


def test_the_data_may_show_since_when() -> None:
    """A condition that the data shows to have held for long fires at once."""
    assert step(None, TIMING, replace(HOLDS, since=-5.0), 0.0).phase is Phase.FIRING


def test_what_flaps_is_one_long_finding() -> None:
    """After three firings in ten minutes it is kept for two minutes."""
    flap = "+" * 6 + "-" * 11
    found = lives(flap * FLAP_EPISODES + "-" * int(FLAP_KEEP))
    ends = [index for index, life in enumerate(found) if life.phase is Phase.INACTIVE and index > 2 * len(flap)]
    last_ceased = 2 * len(flap) + 6
    assert ends[0] == last_ceased + FLAP_KEEP
    assert found[ends[0] - 1].flapping(float(ends[0] - 1))


@given(st.text("+-?", max_size=200))
def test_any_story_keeps_the_order_of_life(said: str) -> None:
    """Whatever is told: phases follow one another in order, times never go back, episodes do not overlap."""
    allowed = {
        Phase.INACTIVE: {Phase.INACTIVE, Phase.PENDING},
        Phase.PENDING: {Phase.PENDING, Phase.FIRING, Phase.INACTIVE},
        Phase.FIRING: {Phase.FIRING, Phase.RESOLVING},
        Phase.RESOLVING: {Phase.RESOLVING, Phase.FIRING, Phase.INACTIVE},
    }
    before = Phase.INACTIVE
    for second, life in enumerate(lives(said)):
        assert life.phase in allowed[before]
        before = life.phase
        assert life.since is None or life.since <= second
        assert (life.phase is Phase.INACTIVE) == (life.since is None)
        ended = [each for each in life.episodes if each.end is not None]
        assert len(life.episodes) - len(ended) == (1 if life.active else 0)
        bounds = [moment for each in ended for moment in (each.begin, each.end or 0.0)]
        assert bounds == sorted(bounds)


@given(st.text("+-?", max_size=100))
def test_the_same_story_is_the_same_life(said: str) -> None:
    """There is nothing in it but what was told and when."""
    assert phases(said) == phases(said)


def test_episodes_are_bounded() -> None:
    """A finding that comes and goes for days keeps its last episodes only."""
    life: Life | None = None
    for index in range(3 * MAX_EPISODES):
        life = step(life, TIMING, replace(HOLDS, since=index * 1000.0 - 10), index * 1000.0)
        for after in (1.0, 500.0):
            life = step(life, TIMING, HOLDS_NOT, index * 1000.0 + after)
    assert life is not None
    assert len(life.episodes) == MAX_EPISODES


def test_a_severity_rises_at_once_and_falls_late() -> None:
    """A finding that is critical every few seconds stays critical; once it is not for 10 s, it is a warning."""
    life: Life | None = None
    severities = []
    for second in range(40):
        worse = second in {8, 12, 16}
        condition = replace(HOLDS, severity=Severity.CRITICAL if worse else Severity.WARNING)
        life = step(life, TIMING, condition, float(second))
        severities.append(life.severity)
    changes = [second for second in range(1, 40) if severities[second] is not severities[second - 1]]
    assert changes == [8, 26]
