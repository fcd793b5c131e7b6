from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.levels import EXPLAINED, levels, threshold
from metrics.histogram import Histogram
from metrics.sample import Sample, Source
from metrics.store import Store
from metrics.view import View

if TYPE_CHECKING:
    from collections.abc import Callable

    from metrics.view import SourceView

BOUNDS = (0.25, 0.5, 1.0, 2.5, 5.0)
URL = "http://a"


def served(in_flight: Callable[[int], float], seconds: int = 300) -> SourceView:
    """A server that ends one request a second while little is in it and two otherwise; TTFT is 0.1 s or 2 s."""
    store = Store()
    finished = ttft_sum = 0.0
    counts = [0.0] * (len(BOUNDS) + 1)
    for second in range(seconds):
        held = in_flight(second)
        many = held > 10
        finished += 2 if many else 1
        counts[3 if many else 0] += 2 if many else 1
        ttft_sum += 4.0 if many else 0.1
        store.add(
            Sample(
                URL,
                Source.SERVER,
                1.8e9 + second,
                float(second),
                counters={"requests_finished": finished},
                gauges={"requests_running": min(held, 16.0), "requests_waiting": max(0.0, held - 16.0)},
                histograms={"ttft_seconds": Histogram(BOUNDS, tuple(counts), ttft_sum)},
            )
        )
    view = View(store, seconds - 1.0, 1.8e9 + seconds)
    return view.of(URL)


def test_heavy_load_is_told_from_normal() -> None:
    """Two minutes with forty requests in the server among three with four: each level has its own numbers."""
    normal, heavy = levels(served(lambda second: 40.0 if 100 <= second < 220 else 4.0), 300.0)
    assert (normal.name, heavy.name) == ("normal", "heavy")
    assert normal.in_flight == pytest.approx(4.0, rel=0.3)
    assert heavy.in_flight == pytest.approx(40.0, rel=0.1)
    assert heavy.seconds == pytest.approx(120.0, abs=10)
    assert normal.quantities["requests_finished"].rate == pytest.approx(1.0, rel=0.1)
    assert heavy.quantities["requests_finished"].rate == pytest.approx(2.0, rel=0.05)
    assert normal.quantities["ttft_seconds"].mean == pytest.approx(0.1, rel=0.6)
    assert heavy.quantities["ttft_seconds"].mean == pytest.approx(2.0, rel=0.05)


def test_one_level_of_load_is_not_parted() -> None:
    """A load that only scatters is called even, and why is said."""
    random = Random(1)
    (even,) = levels(served(lambda _: random.uniform(2.0, 6.0)), 300.0)
    assert even.name == "even"
    assert even.why.startswith("the load was one level")


def test_a_short_look_tells_no_levels() -> None:
    """Half a minute is too short to tell two levels apart."""
    (short,) = levels(served(lambda second: 40.0 if second > 15 else 4.0, 31), 300.0)
    assert short.name == "—"
    assert "too short to tell: it takes a minute" in short.why


def test_a_load_in_bursts_is_not_called_even() -> None:
    """Up to 47 in the server for ten seconds and nearly none in others, at every height between: no levels."""
    heights = [5.0, 20.0, 2.0, 9.0, 47.0, 3.0, 14.0, 7.0, 30.0, 4.0]
    (bursts,) = levels(served(lambda second: heights[second // 10 % 10]), 300.0)
    assert bursts.name == "uneven"
    assert bursts.why.startswith("the load varied")


def test_an_idle_server_has_no_levels() -> None:
    """Where nothing was in the server there is nothing to tell."""
    assert levels(served(lambda _: 0.0), 300.0) == ()


@given(st.lists(st.floats(0.0, 1e6), min_size=2, max_size=60))
def test_the_cut_parts_the_values_and_explains_a_share(values: list[float]) -> None:
    """It is one of the values, and what it explains lies between nothing and all."""
    cut, explained = threshold(values)
    assert cut in values
    assert 0.0 <= explained <= 1.0 + 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_a_uniform_load_is_below_what_two_levels_explain(seed: int) -> None:
    """The share that is asked for is above what a cut explains where there are no two levels."""
    random = Random(seed)
    assert threshold([random.uniform(5.0, 15.0) for _ in range(100)])[1] < EXPLAINED
