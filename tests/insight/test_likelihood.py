from __future__ import annotations

import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight import likelihood
from insight.estimators.trend import time_to, trend

DAY = 86_400.0


def test_events_by_jeffreys() -> None:
    """65, 82 and 91 % for one, two and three in as long as the horizon, with the counts in the words."""
    found = [likelihood.event(count, 3600) for count in (1, 2, 3)]
    assert [round(each.chance or 0, 2) for each in found] == [0.65, 0.82, 0.91]
    assert [each.bin for each in found] == ["high"] * 3
    assert found[1].text == "82 % within 1 h (2 times in 1 h)"
    assert likelihood.again(2, 3600) == found[1].text


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
    """A quarter of an hour above, in runs: medium, with an interval by looks, which are far fewer than polls."""
    above = ([True] * 60 + [False] * 180) * 15
    found = likelihood.level(above, 1.0)
    assert found.bin == "medium"
    assert found.chance == pytest.approx(0.25)
    assert found.lo is not None
    assert found.hi is not None
    assert found.lo < 0.25 < found.hi
    assert found.count < len(above) / 20
    assert found.text.startswith("beyond its threshold for 25 % of 1 h (")


def test_the_looks_of_noise_are_all_independent() -> None:
    """Coin flips count each, runs of ten about a tenth."""
    draw = random.Random(3)
    flips = [draw.random() < 0.4 for _ in range(300)]
    runs = [flip for flip in flips[:30] for _ in range(10)]
    assert likelihood.level(flips, 1.0).count > 150
    assert likelihood.level(runs, 1.0).count < 60


def test_a_level_that_never_moved_was_hardly_looked_at() -> None:
    """Half an hour without a change is three looks of 10 min: at most 56 %, not 0.2 %."""
    found = likelihood.level([False] * 1800, 1.0)
    assert (found.bin, found.count) == ("low", 3)
    assert found.hi == pytest.approx(0.56, abs=0.01)
    assert likelihood.level([], 1.0).bin == "unknown"


def test_a_trend_that_arrives_is_high() -> None:
    """A cache that fills within the horizon is likely to be full, though it never was; one that fills later is not."""
    times = [float(second) for second in range(600)]
    line = trend(times, [0.3 + 0.0005 * time for time in times])
    soon = likelihood.level([False] * 600, 1.0, time_to(line, 0.8, "kv_cache_usage"))
    later = likelihood.level([False] * 600, 1.0, time_to(line, 1.0, "kv_cache_usage"))
    assert (soon.bin, later.bin) == ("high", "low")
    assert soon.text.startswith("reached in 6 min")


def test_what_lies_dormant_comes_with_the_load() -> None:
    """A tenth of a day above the capacity of now, a third with 1.5 times the load; no capacity, no likelihood."""
    rates = [5.0] * 96 + [8.0] * 32 + [11.0] * 16
    found, grown = likelihood.latent(rates, 600, 10.0), likelihood.latent(rates, 600, 10.0, growth=1.5)
    assert (found.bin, grown.bin) == ("low", "medium")
    assert found.chance == pytest.approx(16 / 144)
    assert grown.chance == pytest.approx(48 / 144)
    assert "10/s" in found.text
    assert "1.5 times" in grown.text
    assert likelihood.latent(rates, 600, None).bin == "unknown"


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


def test_what_is_active_is_certain() -> None:
    """Now is no chance."""
    assert likelihood.active(100.0).text == "certain (active)"
