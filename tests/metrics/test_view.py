from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from metrics.histogram import Histogram
from metrics.measure import measure, measures, total_gauge
from metrics.sample import Missing, Sample, State
from metrics.store import Store, Tier
from tests.metrics.seen import failed, look, ok

TOKENS = "output_tokens_total"


def test_a_rate_is_the_increase_over_the_time_that_really_passed() -> None:
    """Polls that come late do not change a rate: it is divided by the time between the polls."""
    source = look([ok(0.0, {TOKENS: 0.0}), ok(1.0, {TOKENS: 100.0}), ok(3.5, {TOKENS: 350.0})])
    assert source.rate(TOKENS, 60) == 100.0
    increase = source.increase(TOKENS, 60)
    assert increase is not None
    assert (increase.value, increase.seconds) == (350.0, 3.5)


@given(st.lists(st.tuples(st.floats(0.2, 3.0), st.integers(0, 500)), min_size=2, max_size=80), st.floats(2, 60))
def test_any_window_agrees_with_the_raw_samples(steps: list[tuple[float, int]], window: float) -> None:
    """The increase over a window is the difference of the raw values of the two polls that bound it."""
    mono, total, samples = 0.0, 0.0, []
    for gap, tokens in steps:
        mono, total = mono + gap, total + tokens
        samples.append(ok(mono, {TOKENS: total}))
    earlier = [sample for sample in samples if sample.mono <= mono - window]
    first = earlier[-1] if earlier else samples[0]
    increase = look(samples).increase(TOKENS, window)
    assert increase is not None
    assert increase.value == total - first.counters[TOKENS]
    assert increase.seconds == pytest.approx(mono - first.mono)


def test_one_poll_gives_no_rate() -> None:
    """A rate needs two polls; after one it is not known, which is not 0."""
    assert look([ok(0.0, {TOKENS: 5.0})]).rate(TOKENS, 60) is None


def test_a_counter_that_the_page_never_had_is_not_known() -> None:
    """A quantity that the server does not give is None, never 0."""
    source = look([ok(0.0, {TOKENS: 1.0}), ok(1.0, {TOKENS: 2.0})])
    assert source.rate("preemptions", 60) is None
    assert measure(source, "preemptions", 60) is None


def test_a_label_that_appears_later_counted_from_zero() -> None:
    """A series that is born with its first observation had counted nothing before it."""
    stop, abort = 'requests_finished{reason="stop"}', 'requests_finished{reason="abort"}'
    source = look([ok(0.0, {stop: 10.0}), ok(1.0, {stop: 12.0}), ok(2.0, {stop: 12.0, abort: 3.0})])
    finished = measure(source, "requests_finished", 60)
    assert finished is not None
    assert finished.increase == 5.0
    assert {name: part.increase for name, part in finished.by.items()} == {"reason=stop": 2.0, "reason=abort": 3.0}


def test_polls_that_fail_are_a_gap_and_lose_nothing() -> None:
    """Tokens counted while nobody could look are in the window, over the time that it really took."""
    source = look([ok(0.0, {TOKENS: 0.0}), *(failed(float(t)) for t in range(1, 9)), ok(9.0, {TOKENS: 900.0})])
    assert source.rate(TOKENS, 60) == 100.0
    assert source.seen_at(0.5, 1.0)
    assert not source.seen_at(5.0, 1.0)


def test_a_restart_keeps_the_tokens_of_both_lives() -> None:
    """Counters that begin anew lose nothing: 50 before the restart and 30 after it are 80."""
    source = look([ok(0.0, {TOKENS: 100.0}), ok(1.0, {TOKENS: 150.0}), failed(2.0), ok(3.0, {TOKENS: 30.0})])
    increase = source.increase(TOKENS, 60)
    assert increase is not None
    assert increase.value == 80.0
    assert [event.kind for event in source.history.events] == ["restart"]


def test_wall_clock_jumps_change_no_rate() -> None:
    """A clock that is set back an hour moves labels, not rates."""
    late = ok(2.0, {TOKENS: 200.0})
    jumped = Sample(late.source, late.kind, late.wall - 3600, late.mono, counters=late.counters)
    source = look([ok(0.0, {TOKENS: 0.0}), ok(1.0, {TOKENS: 100.0}), jumped])
    assert source.rate(TOKENS, 60) == 100.0


def test_a_sample_from_the_past_is_not_taken_in() -> None:
    """A poll that was overtaken by a later one cannot change what the later one said."""
    source = look([ok(5.0, {TOKENS: 50.0}), ok(4.0, {TOKENS: 40.0})], now=5.0)
    assert source.newest.mono == 5.0
    assert source.rate(TOKENS, 60) is None


def test_a_source_without_answers_for_a_while_is_stale() -> None:
    """A value is not shown as of now when nobody has seen it for longer than a few polls."""
    samples = [ok(float(t), {TOKENS: 1.0}) for t in range(3)]
    assert look(samples, now=4.0).state is State.OK
    stale = look(samples, now=60.0)
    assert (stale.state, stale.age) == (State.STALE, 58.0)


def test_a_histogram_over_a_window_is_what_was_observed_in_it() -> None:
    """Quantiles are of the window, not of the life of the server."""
    bounds = (1.0, 2.0)
    source = look(
        [
            ok(0.0, histograms={"ttft_seconds": Histogram(bounds, (1000.0, 0.0, 0.0), 500.0)}),
            ok(10.0, histograms={"ttft_seconds": Histogram(bounds, (1000.0, 40.0, 0.0), 560.0)}),
        ]
    )
    found = measure(source, "ttft_seconds", 60)
    assert found is not None
    assert (found.count, found.mean) == (40.0, 1.5)
    assert found.p50 is not None
    assert (found.p50.lo, found.p50.hi) == (1.0, 2.0)


def test_engines_are_added_up_and_kept_apart() -> None:
    """Counters and queues of engines add, cache use is weighted by capacity, and each part stays to be seen."""

    def page(mono: float) -> Sample:
        return ok(
            mono,
            {f'{TOKENS}{{engine="0"}}': 10.0 * mono, f'{TOKENS}{{engine="1"}}': 30.0 * mono},
            {
                'requests_waiting{engine="0"}': 2.0,
                'requests_waiting{engine="1"}': 3.0,
                'kv_cache_usage{engine="0"}': 0.5,
                'kv_cache_usage{engine="1"}': 0.9,
                'kv_cache_capacity_tokens{engine="0"}': 1000.0,
                'kv_cache_capacity_tokens{engine="1"}': 3000.0,
            },
        )

    source = look([page(0.0), page(1.0)])
    tokens = measure(source, TOKENS, 60)
    assert tokens is not None
    assert tokens.rate == 40.0
    assert {name: part.rate for name, part in tokens.by.items()} == {"engine=0": 10.0, "engine=1": 30.0}
    assert total_gauge(source, "requests_waiting") == 5.0
    assert total_gauge(source, "kv_cache_usage") == pytest.approx(0.8)


def test_a_replica_that_goes_takes_nothing_with_it() -> None:
    """What it counted stays in the window, and the gauges of those that are left are the whole."""
    one, other = f'{TOKENS}{{engine="a"}}', f'{TOKENS}{{engine="b"}}'
    both = {'requests_running{engine="a"}': 2.0, 'requests_running{engine="b"}': 3.0}
    source = look(
        [
            ok(0.0, {one: 0.0, other: 0.0}, both),
            ok(1.0, {one: 10.0, other: 20.0}, both),
            ok(2.0, {one: 30.0}, {'requests_running{engine="a"}': 2.0}),
        ]
    )
    tokens = measure(source, TOKENS, 60)
    assert tokens is not None
    assert tokens.increase == 50.0
    assert total_gauge(source, "requests_running") == 2.0


def test_a_part_that_is_no_number_makes_the_whole_unknown() -> None:
    """An engine that is there, but whose gauge is not, is not one that has gone: the sum of the others is not it."""
    both = {'requests_running{engine="a"}': 2.0, 'requests_running{engine="b"}': 3.0}
    bad = ok(1.0, gauges={'requests_running{engine="a"}': 2.0})
    missing = (Missing("requests_running", "`x` is not a finite number"),)
    assert total_gauge(look([ok(0.0, gauges=both), replace(bad, missing=missing)]), "requests_running") is None
    assert total_gauge(look([ok(0.0, gauges=both), bad]), "requests_running") == 2.0


def test_the_mean_is_that_of_the_engines_that_are_there() -> None:
    """One of three engines went early in the window: neither the sum nor its mean has anything of it any more."""
    left = {'requests_running{engine="0"}': 4.0, 'requests_running{engine="1"}': 2.0}
    usages = {'kv_cache_usage{engine="0"}': 0.2, 'kv_cache_usage{engine="1"}': 0.4}
    gone = {'requests_running{engine="2"}': 30.0, 'kv_cache_usage{engine="2"}': 1.0}
    samples = [ok(float(t), gauges={**left, **usages, **(gone if t < 3 else {})}) for t in range(10)]
    source = look(samples)
    running, usage = measure(source, "requests_running", 10.0), measure(source, "kv_cache_usage", 10.0)
    assert running is not None
    assert usage is not None
    assert (running.value, running.mean) == (6.0, 6.0)
    assert usage.value == pytest.approx(0.3)
    assert usage.mean == pytest.approx(0.3)


def test_the_mean_of_several_engines_is_that_of_their_sum() -> None:
    """Two engines that ran 2 and 3 requests, then 4 and 5, ran 7 on average."""
    samples = [ok(float(t), gauges={f'requests_running{{engine="{e}"}}': 2.0 * t + e for e in (0, 1)}) for t in (1, 2)]
    running = measure(look(samples), "requests_running", 60)
    assert running is not None
    assert (running.value, running.mean) == (9.0, 7.0)


def test_the_second_of_several_models_may_give_all_a_label() -> None:
    """Once the page tells its series apart by a label, those without it are of the past."""
    labelled = {f'requests_running{{model="{name}"}}': 1.0 for name in "ab"}
    source = look([ok(0.0, gauges={"requests_running": 1.0}), ok(1.0, gauges=labelled)])
    assert total_gauge(source, "requests_running") == 2.0


def test_a_whole_beside_its_split_is_not_counted_twice() -> None:
    """A page that gives the queue whole and by reason has one queue."""
    gauges = {"requests_waiting": 7.0, 'requests_waiting{reason="capacity"}': 7.0}
    source = look([ok(0.0, gauges=gauges), ok(1.0, gauges=gauges)])
    waiting = measure(source, "requests_waiting", 60)
    assert waiting is not None
    assert waiting.value == 7.0
    assert waiting.by["reason=capacity"].value == 7.0


def test_a_gauge_that_the_last_page_lacks_is_not_known() -> None:
    """A gauge that is gone is None, not its last value."""
    source = look([ok(0.0, {TOKENS: 1.0}, {"requests_running": 3.0}), ok(1.0, {TOKENS: 1.0})])
    running = measure(source, "requests_running", 60)
    assert running is not None
    assert (running.value, running.mean) == (None, 3.0)


def test_still_for_counts_from_the_last_growth() -> None:
    """A counter that stopped has been still since the poll that last saw it grow."""
    samples = [ok(float(t), {TOKENS: min(t, 5) * 10.0}) for t in range(20)]
    assert look(samples).still_for(TOKENS) == 14.0


@pytest.mark.parametrize("window", [300.0, 3600.0, 6 * 3600.0, 24 * 3600.0])
def test_long_windows_come_from_coarser_rows_and_stay_exact(window: float) -> None:
    """A day back, a counter's increase is still the exact difference of two polls, about a window apart."""
    store = Store((Tier(0.0, 120), Tier(10.0, 500), Tier(60.0, 2000)))
    samples = [ok(float(t), {TOKENS: 7.0 * t}, {"requests_running": float(t % 10)}) for t in range(0, 100_000, 5)]
    increase = look(samples, store=store).increase(TOKENS, window)
    assert increase is not None
    assert increase.rate == pytest.approx(7.0)
    assert window <= increase.seconds <= window + 60.0


def test_a_peak_survives_in_coarse_rows() -> None:
    """A queue of 90 that stood for one second is still the maximum an hour later."""
    store = Store((Tier(0.0, 60), Tier(60.0, 100)))
    samples = [ok(float(t), gauges={"requests_waiting": 90.0 if t == 100 else 0.0}) for t in range(3000)]
    waiting = measure(look(samples, store=store), "requests_waiting", 3000)
    assert waiting is not None
    assert waiting.max == 90.0


def test_memory_is_flat_once_the_rings_are_full() -> None:
    """After the rings are full, two more lives of the same length take not a byte more."""
    store = Store((Tier(0.0, 50), Tier(10.0, 50), Tier(60.0, 50)))
    sizes = []
    for t in range(12_000):
        store.add(ok(float(t), {TOKENS: float(t)}, {"requests_running": 1.0}))
        sizes.append(sum(store.nbytes().values()))
    assert sizes[4000] == sizes[-1]


def test_endless_labels_cannot_fill_the_memory() -> None:
    """A page that invents a new label each second is cut off at a bound, and the rest is still followed."""
    store = Store((Tier(0.0, 4),))
    for t in range(5000):
        store.add(ok(float(t), {TOKENS: float(t), f'requests_finished{{reason="{t}"}}': 1.0}))
    source = look([ok(5000.0, {TOKENS: 5000.0, 'requests_finished{reason="new"}': 1.0})], store=store)
    assert source.rate(TOKENS, 2) == 1.0
    assert len(source.history.columns.counters) <= 4000
    assert source.history.columns.left_out == 1


def test_measures_follow_the_catalogue() -> None:
    """Every quantity of a source is there once, in the order of the catalogue."""
    source = look(
        [ok(0.0, {TOKENS: 0.0}, {"requests_running": 1.0}), ok(1.0, {TOKENS: 1.0}, {"requests_running": 1.0})]
    )
    assert list(measures(source, 60)) == [TOKENS, "requests_running"]


def test_one_slow_answer_is_stale_and_three_are_down() -> None:
    """Under load a poll fails now and then: only the third failure in a row says that the server is down."""
    samples = [ok(0.0, gauges={"requests_running": 3.0}), failed(1.0), failed(2.0), failed(3.0)]
    assert look(samples[:2]).state is State.STALE
    assert look(samples[:2]).gauge("requests_running") == 3.0
    down = look(samples)
    assert down.state is State.DOWN
    assert down.gauge("requests_running") is None


def test_a_server_that_never_answered_is_down_at_once() -> None:
    """There is nothing old to show of a server that was never seen."""
    assert look([failed(1.0)]).state is State.DOWN


def test_a_view_that_is_kept_goes_on_telling_of_its_moment() -> None:
    """What was looked up once holds as long as nothing comes: rows that a full ring has moved on are looked up anew."""
    store = Store((Tier(0.0, 20),))
    source = look([ok(float(t), {TOKENS: 7.0 * t}) for t in range(20)], store=store)
    before = source.increase(TOKENS, 5.0)
    assert before is not None
    assert before.value == 35.0
    for t in range(20, 25):
        store.add(ok(float(t), {TOKENS: 7.0 * 19 + 100.0 * (t - 19)}))
    assert source.increase(TOKENS, 5.0) == before
