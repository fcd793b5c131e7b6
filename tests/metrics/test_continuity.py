from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from metrics.continuity import CLOCK_SECONDS, Continuity
from metrics.histogram import Histogram
from tests.metrics.seen import ok

TOKENS = "output_tokens_total"


def carried(raws: list[float]) -> list[float]:
    continuity = Continuity()
    return [continuity.carry(ok(float(i), {TOKENS: raw}))[0][TOKENS] for i, raw in enumerate(raws)]


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=50))
def test_a_carried_counter_never_goes_back(raws: list[float]) -> None:
    """Whatever a page shows, what is kept only grows."""
    values = carried(raws)
    assert all(later >= earlier for earlier, later in pairwise(values))


@given(st.lists(st.lists(st.integers(1, 1000), min_size=1, max_size=10), min_size=1, max_size=6))
def test_what_was_counted_survives_restarts(runs: list[list[int]]) -> None:
    """What is kept is the sum of what each run counted, where each run begins lower than the last ended."""
    raws = [float(sum(run[: i + 1])) for run in runs for i in range(len(run))]
    starts = [0, *(i for i in range(1, len(raws)) if raws[i] < raws[i - 1])]
    ends = [*(i - 1 for i in starts[1:]), len(raws) - 1]
    assert carried(raws)[-1] == sum(raws[end] for end in ends)


def test_a_new_start_time_is_a_restart_even_when_no_counter_fell() -> None:
    """A server that counted more since its restart than before it has restarted all the same."""
    continuity = Continuity()
    continuity.carry(ok(0.0, {TOKENS: 10.0}, {"start_time_seconds": 1000.0}))
    counters, _, noticed = continuity.carry(ok(60.0, {TOKENS: 25.0}, {"start_time_seconds": 1_800_000_050.0}))
    assert noticed == "restart"
    assert counters[TOKENS] == 35.0


def test_another_server_that_ran_already_brings_none_of_its_past() -> None:
    """A server that started before the last answer of the one in its place counted before anyone looked."""
    continuity = Continuity()
    continuity.carry(ok(0.0, {TOKENS: 10.0}, {"start_time_seconds": 1000.0}))
    counters, _, noticed = continuity.carry(ok(60.0, {TOKENS: 9000.0}, {"start_time_seconds": 2000.0}))
    assert noticed == "replaced"
    assert counters[TOKENS] == 10.0
    assert continuity.carry(ok(61.0, {TOKENS: 9005.0}, {"start_time_seconds": 2000.0}))[0][TOKENS] == 15.0


def test_a_clock_that_is_behind_makes_no_other_server_of_a_restart() -> None:
    """A start that the server's clock puts shortly before our last answer is a restart all the same."""
    wall = ok(0.0).wall
    for skew in (0.0, -60.0, 1.0 - CLOCK_SECONDS):
        continuity = Continuity()
        continuity.carry(ok(0.0, {TOKENS: 10.0}, {"start_time_seconds": wall - 9000.0}))
        counters, _, noticed = continuity.carry(ok(60.0, {TOKENS: 25.0}, {"start_time_seconds": wall + skew}))
        assert (noticed, counters[TOKENS]) == ("restart", 35.0)
    continuity = Continuity()
    continuity.carry(ok(0.0, {TOKENS: 10.0}, {"start_time_seconds": wall - 9000.0}))
    counters, _, noticed = continuity.carry(ok(60.0, {TOKENS: 25.0}, {"start_time_seconds": wall - CLOCK_SECONDS - 1}))
    assert (noticed, counters[TOKENS]) == ("replaced", 10.0)


def test_a_series_that_comes_back_in_place_of_others_is_another_one() -> None:
    """After two engines the one that is left takes the plain name: it need not be the one that had it before."""
    zero, one = f'{TOKENS}{{engine="0"}}', f'{TOKENS}{{engine="1"}}'
    for left in (50.0, 100.0, 9000.0):
        continuity = Continuity()
        continuity.carry(ok(0.0, {TOKENS: 100.0}))
        continuity.carry(ok(1.0, {zero: 100.0, one: 5000.0}))
        counters, _, noticed = continuity.carry(ok(2.0, {TOKENS: left}))
        assert (noticed, counters[TOKENS]) == (None, 100.0)
        assert continuity.carry(ok(3.0, {TOKENS: left + 5}))[0][TOKENS] == 105.0


def test_a_series_that_a_page_lacked_goes_on_where_it_was() -> None:
    """A line that could not be read once loses nothing of what was counted meanwhile."""
    continuity = Continuity()
    continuity.carry(ok(0.0, {TOKENS: 100.0, "preemptions": 1.0}))
    continuity.carry(ok(1.0, {"preemptions": 1.0}))
    counters, _, noticed = continuity.carry(ok(2.0, {TOKENS: 130.0, "preemptions": 1.0}))
    assert (noticed, counters[TOKENS]) == (None, 130.0)


def test_another_kind_of_server_on_the_port_brings_none_of_its_past() -> None:
    """When the engine changes, nothing that the new one counted before is taken for traffic."""
    continuity = Continuity()
    continuity.carry(ok(0.0, {TOKENS: 10.0}, engine="vllm"))
    counters, _, noticed = continuity.carry(ok(1.0, {TOKENS: 500.0}, engine="llamacpp"))
    assert (noticed, counters[TOKENS]) == ("replaced", 10.0)


def test_one_engine_that_restarts_leaves_the_others_alone() -> None:
    """With data-parallel engines on a page, a fall of one engine's counter is that engine's restart only."""
    zero, one = f'{TOKENS}{{engine="0"}}', f'{TOKENS}{{engine="1"}}'
    steps = 'engine_steps{engine="1"}'
    continuity = Continuity()
    continuity.carry(ok(0.0, {zero: 100.0, one: 100.0, steps: 5.0}))
    counters, _, noticed = continuity.carry(ok(1.0, {zero: 110.0, one: 3.0, steps: 9.0}))
    assert noticed == "restart"
    assert counters == {zero: 110.0, one: 103.0, steps: 14.0}


def test_one_model_that_is_loaded_anew_leaves_the_others_alone() -> None:
    """A server of several models counts one of them from 0 again: the other's counters were not reset."""
    continuity = Continuity()
    a, b = f'{TOKENS}{{model="a"}}', f'{TOKENS}{{model="b"}}'
    continuity.carry(ok(0.0, {a: 50.0, b: 70.0}))
    counters, _, noticed = continuity.carry(ok(1.0, {a: 5.0, b: 80.0}))
    assert (counters, noticed) == ({a: 55.0, b: 80.0}, "restart")


def test_a_histogram_that_falls_anywhere_was_reset_as_a_whole() -> None:
    """A restart is seen in one bucket even when the count is higher than before."""
    continuity = Continuity()
    bounds = (1.0, 2.0)
    continuity.carry(ok(0.0, histograms={"ttft_seconds": Histogram(bounds, (5.0, 0.0, 0.0), 2.0)}))
    _, histograms, noticed = continuity.carry(
        ok(1.0, histograms={"ttft_seconds": Histogram(bounds, (2.0, 9.0, 0.0), 15.0)})
    )
    assert noticed == "restart"
    assert histograms["ttft_seconds"] == Histogram(bounds, (7.0, 9.0, 0.0), 17.0)


def test_buckets_that_changed_begin_anew() -> None:
    """Counts in other buckets cannot be added to those before: the histogram starts from what it shows."""
    continuity = Continuity()
    continuity.carry(ok(0.0, histograms={"ttft_seconds": Histogram((1.0,), (5.0, 0.0), 2.0)}))
    _, histograms, _ = continuity.carry(
        ok(1.0, histograms={"ttft_seconds": Histogram((1.0, 2.0), (1.0, 1.0, 0.0), 3.0)})
    )
    assert histograms["ttft_seconds"] == Histogram((1.0, 2.0), (1.0, 1.0, 0.0), 3.0)


def test_a_series_that_comes_back_after_a_restart_is_no_second_restart() -> None:
    """A status class that the new process has not seen yet begins at 0 when it appears, in one life, not two."""
    ok_class, bad_class = 'http_requests{status="2xx"}', 'http_requests{status="4xx"}'
    continuity = Continuity()
    continuity.carry(ok(0.0, {ok_class: 50.0, bad_class: 7.0}))
    assert continuity.carry(ok(1.0, {ok_class: 2.0}))[2] == "restart"
    counters, _, noticed = continuity.carry(ok(2.0, {ok_class: 3.0, bad_class: 1.0}))
    assert noticed is None
    assert counters == {ok_class: 53.0, bad_class: 8.0}
