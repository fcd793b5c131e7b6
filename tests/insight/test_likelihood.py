from __future__ import annotations

import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight import likelihood

DAY = 86_400.0


def test_events_by_jeffreys() -> None:
    """65, 82 and 91 % for one, two and three in as long as the horizon, with the counts in the words."""
    found = [likelihood.event(count, 3600) for count in (1, 2, 3)]
    assert [round(each.chance or 0, 2) for each in found] == [0.65, 0.82, 0.91]
    assert [each.bin for each in found] == ["high"] * 3
    assert found[1].text == "82 % within 1 h (2 times in 1 h)"
    assert found[1].named == "high: 82 % within 1 h (2 times in 1 h)"


def test_an_event_never_seen_is_no_chance_but_a_bound() -> None:
    """29 % would be ignorance: it is low, not observed, at most 3 in as long."""
    found = likelihood.event(0, 3600)
    assert (found.bin, found.chance) == ("low", None)
    assert found.text == "not observed in 1 h (at most 3 in as long)"
    assert likelihood.event(0, 0).bin == "unknown"


@given(st.integers(1, 50), st.floats(1, 1e7))
def test_more_episodes_are_likelier(count: int, observed: float) -> None:
    """The chance grows with the count, falls with the time, and is one."""
    one, more = likelihood.event(count, observed), likelihood.event(count + 1, observed)
    assert one.chance is not None
    assert more.chance is not None
    assert 0 < one.chance < more.chance <= 1
    assert one.horizon == min(DAY, observed)
    if observed > DAY:
        longer = likelihood.event(count, observed * 2)
        assert (longer.chance or 0) < one.chance


def test_the_chance_comes_true() -> None:
    """Of Poisson processes with rates as Jeffreys' prior weighs them, as many see another event as was said."""
    draw = random.Random(8)
    said = came = 0.0
    for _ in range(40_000):
        rate = draw.random() ** 2 * 12
        first, second = accumulate(draw.expovariate(rate) for _ in range(2))
        if first < 1 < second:
            said += likelihood.event(1, 3600).chance or 0.0
            came += second < 2
    assert came / said == pytest.approx(1, abs=0.05)


def test_what_flaps_is_one_episode() -> None:
    """Episodes less than 10 min apart are one, in any order; one that goes on swallows what follows."""
    assert likelihood.episodes([(0, 10), (100, 200), (799, 850), (1500, 1600)]) == 2
    assert likelihood.episodes([(1500, 1600), (0, 10)]) == 2
    assert likelihood.episodes([(0, None), (5000, 5100)]) == 1
    assert likelihood.episodes([]) == 0


def test_levels_by_their_share_of_time() -> None:
    """A quarter of an hour above, in 15 runs: medium, with an interval by 40 looks, which are far fewer than polls."""
    found = likelihood.level([(240.0 * k, 240.0 * k + 60.0) for k in range(15)], 3600.0, 3600.0)
    assert (found.bin, found.count, found.horizon) == ("medium", 40, 3600.0)
    assert found.chance == pytest.approx(0.25)
    assert found.text == "25 % of the next 1 h (14-40 %; 15 times in 1 h)"
    assert found.named == f"medium: {found.text}"


def test_one_long_time_above_says_less_than_many_short_ones() -> None:
    """The same half of the time: two looks where it was once, two hundred where it took turns a hundred times."""
    once = likelihood.level([(0.0, 1800.0)], 3600.0, 3600.0)
    often = likelihood.level([(36.0 * k, 36.0 * k + 18.0) for k in range(100)], 3600.0, 3600.0)
    assert (once.count, often.count) == (2, 200)
    assert (once.hi or 0) - (once.lo or 0) > 3 * ((often.hi or 0) - (often.lo or 0))


def test_a_level_that_goes_on_counts_until_now() -> None:
    """From a quarter on until now is three quarters; what never was is not observed; all the time is certain to be."""
    assert likelihood.level([(900.0, None)], 3600.0, 3600.0).chance == pytest.approx(0.75)
    assert likelihood.level([], 3600.0, 3600.0).text == "not observed in 1 h (at most 3 in as long)"
    always = likelihood.level([(0.0, None)], 3600.0, 3600.0)
    assert (always.chance, always.count) == (1.0, 6)


def test_the_interval_of_a_level_holds_its_share() -> None:
    """Of switches that turn at random, 90 % and more of the intervals hold the share that they have for ever."""
    draw, held, tried = random.Random(5), 0, 400
    for _ in range(tried):
        spans, time = [], 0.0
        while time < 7200:
            off = time + draw.expovariate(1 / 300)
            time = off + draw.expovariate(1 / 100)
            spans.append((off, time))
        seen = [(begin, min(end, 7200.0)) for begin, end in spans if begin < 7200]
        found = likelihood.level(seen, 7200.0, 7200.0)
        held += (found.lo or 0.0) <= 0.25 <= (1.0 if found.hi is None else found.hi)
    assert held / tried >= 0.9


def test_hardware_elsewhere() -> None:
    """8 GPUs for a day: 0.24 %, and whose number that is."""
    found = likelihood.gpu_prior(8, DAY)
    assert found.chance == pytest.approx(0.0024, abs=0.0001)
    assert "Llama 3" in found.text


@pytest.mark.parametrize(
    ("chance", "name"), [(0.6, "high"), (0.59, "medium"), (0.2, "medium"), (0.19, "low"), (0.0, "low")]
)
def test_bins(chance: float, name: str) -> None:
    """60 and 20 %."""
    assert likelihood.called(chance) == name
