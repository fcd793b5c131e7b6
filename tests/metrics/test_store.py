from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from metrics.columns import MAX_COLUMNS, MAX_LAYOUTS, MAX_SERIES
from metrics.histogram import Histogram
from metrics.measure import measure
from metrics.store import Store, Tier
from tests.metrics.seen import URL, failed, look, ok

if TYPE_CHECKING:
    from metrics.sample import Sample

TOKENS = "output_tokens_total"
ZERO, ONE = f'{TOKENS}{{engine="0"}}', f'{TOKENS}{{engine="1"}}'


def increase(samples: list[Sample], quantity: str = TOKENS, window: float = 60.0) -> tuple[float, float] | None:
    found = look(samples).increase(quantity, window)
    return None if found is None else (found.value, found.seconds)


def test_engines_that_appear_bring_none_of_their_past() -> None:
    """With a second engine the page names both: what they counted before they were named is not growth."""
    samples = [ok(float(t), {TOKENS: 1000.0 + 10 * t}) for t in range(10)]
    samples += [ok(float(t), {ZERO: 1000.0 + 10 * t, ONE: 5e6 + 20 * t}) for t in range(10, 15)]
    source = look(samples)
    found = source.increase(TOKENS, 60)
    assert found is not None
    assert (found.value, found.seconds, found.rate) == (120.0, 4.0, 30.0)


def test_an_engine_that_joins_others_brings_none_of_its_past() -> None:
    """A third engine adds what it is seen to count, over the time of those that were there."""
    two = f'{TOKENS}{{engine="2"}}'
    samples = [ok(float(t), {ZERO: 10.0 * t, ONE: 10.0 * t}) for t in range(10)]
    samples += [ok(float(t), {ZERO: 10.0 * t, ONE: 10.0 * t, two: 7e6 + 10.0 * t}) for t in range(10, 21)]
    found = look(samples).increase(TOKENS, 60)
    assert found is not None
    assert (found.value, found.seconds) == (500.0, 20.0)


def test_an_engine_that_goes_leaves_what_it_counted() -> None:
    """Of three engines one dies: its tokens of the window were generated, and its queue is nobody's any more."""
    names = [f'{{engine="{engine}"}}' for engine in range(3)]

    def page(t: float, engines: list[str]) -> Sample:
        return ok(t, {TOKENS + each: 10 * t for each in engines}, {"requests_running" + each: 2.0 for each in engines})

    samples = [page(float(t), names) for t in range(11)] + [page(float(t), names[:2]) for t in range(11, 21)]
    assert increase(samples) == (500.0, 20.0)


@pytest.mark.parametrize(("left", "grown"), [(1000.0, 90.0), (5e6, 90.0), (3.0, 90.0)])
def test_back_from_two_engines_to_one_nothing_is_invented(left: float, grown: float) -> None:
    """One engine, two, and one again: whichever of them is left under the old name, and no restart is seen."""
    samples = [ok(float(t), {TOKENS: 1000.0}) for t in range(5)]
    samples += [ok(float(t), {ZERO: 1000.0, ONE: 5e6}) for t in range(5, 10)]
    samples += [ok(float(t), {TOKENS: left + 10 * (t - 10)}) for t in range(10, 20)]
    source = look(samples)
    found = source.increase(TOKENS, 60)
    assert found is not None
    assert found.value == grown
    assert not source.history.events


def test_a_histogram_that_appears_brings_none_of_its_past() -> None:
    """The observations of engines that are named late are counted from when they were."""
    bounds = (1.0, 2.0)

    def seen(count: float) -> Histogram:
        return Histogram(bounds, (count, 0.0, 0.0), count / 2)

    samples = [ok(float(t), histograms={"ttft_seconds": seen(100.0)}) for t in range(5)]
    for t in range(5, 10):
        both = {f'ttft_seconds{{engine="{engine}"}}': seen(1e6 * (engine + 1) + t) for engine in range(2)}
        samples.append(ok(float(t), histograms=both))
    found = measure(look(samples), "ttft_seconds", 60)
    assert found is not None
    assert found.count == 8.0


def test_a_counter_that_was_no_number_at_first_brings_none_of_its_past() -> None:
    """A counter that the first pages could not give is counted from the first that did, over the time since then."""
    samples = [ok(float(t), {"requests_finished": float(t)}) for t in range(5)]
    samples += [ok(float(t), {"requests_finished": float(t), TOKENS: 1e6 + t}) for t in range(5, 20)]
    assert increase(samples) == (14.0, 14.0)


def test_a_child_beside_its_like_counted_from_zero() -> None:
    """A reason that appears beside another of the same engine had counted nothing; those of a new engine may have."""

    def name(engine: int, reason: str) -> str:
        return f'requests_finished{{engine="{engine}",reason="{reason}"}}'

    first = {name(0, "stop"): 10.0}
    later = {**first, name(0, "abort"): 3.0, name(1, "stop"): 1e6, name(1, "abort"): 1e5}
    assert increase([ok(0.0, first), ok(1.0, first), ok(2.0, later)], "requests_finished") == (3.0, 2.0)


def test_a_child_is_zero_only_where_its_like_was_known() -> None:
    """Before anything of a quantity was known, none of its children is known to have been 0."""
    stop, abort = 'requests_finished{reason="stop"}', 'requests_finished{reason="abort"}'
    samples = [ok(0.0, {TOKENS: 1.0}), ok(1.0, {TOKENS: 1.0, stop: 5.0}), ok(2.0, {TOKENS: 1.0, stop: 5.0, abort: 2.0})]
    assert increase(samples, "requests_finished") == (2.0, 1.0)


def test_a_histogram_with_other_buckets_begins_anew() -> None:
    """What a histogram had counted in other buckets is not taken for observations of the window."""
    samples = [ok(float(t), histograms={"ttft_seconds": Histogram((1.0,), (1e6, 0.0), 5e5)}) for t in range(5)]
    for t in range(5, 8):
        grown = Histogram((1.0, 2.0), (1e6 + t, 0.0, 0.0), 5e5)
        samples = [*samples, ok(float(t), histograms={"ttft_seconds": grown})]
    found = measure(look(samples), "ttft_seconds", 60)
    assert found is not None
    assert found.count == 2.0


def test_buckets_that_change_all_the_time_are_not_followed() -> None:
    """A histogram with new buckets on every page takes no more columns after a few, and that is said."""
    samples = [
        ok(float(t), {TOKENS: float(t)}, histograms={"ttft_seconds": Histogram((1.0, 2.0 + t), (1.0, 2.0, 0.0), 3.0)})
        for t in range(50)
    ]
    history = look(samples).history
    assert history.columns.width == 2 + 1 + MAX_LAYOUTS * 4
    assert history.newest_ok is not None
    assert "ttft_seconds" not in history.newest_ok.histograms
    assert [each.what for each in history.newest_ok.missing] == ["some series"]


def test_columns_are_bounded() -> None:
    """Few histograms of very many buckets cannot fill the memory either; what else there is, is followed."""
    bounds = tuple(map(float, range(MAX_COLUMNS // 2)))
    wide = Histogram(bounds, (0.0,) * (len(bounds) + 1), 0.0)
    page = ok(0.0, {TOKENS: 1.0}, {"requests_running": 2.0}, {f'ttft_seconds{{model="{n}"}}': wide for n in range(5)})
    source = look([page])
    assert source.history.columns.width <= MAX_COLUMNS
    assert source.history.columns.left_out == 4
    assert source.gauge("requests_running") == 2.0


def test_what_is_left_out_is_said_and_is_nowhere() -> None:
    """Series without room are told in one line, and no table of the history grows with them."""
    store = Store((Tier(0.0, 4),))
    for t in range(30):
        counters = {f'{TOKENS}{{engine="{t}-{n}"}}': 1.0 for n in range(500)}
        gauges = {f'requests_running{{engine="{t}-{n}"}}': 1.0 for n in range(500)}
        store.add(ok(float(t), counters, gauges))
    history = store.sources[URL]
    assert history.columns.left_out == 1000
    assert history.newest_ok is not None
    [told] = history.newest_ok.missing
    assert told.why.startswith("1,000 were left out: a source may have 4,000 series")
    followed = history._continuity
    for table in (history.moved, history.held, history._carried, followed._raw, followed._before):
        assert len(table) <= MAX_SERIES


def test_a_gauge_that_the_last_poll_of_a_step_lacks_keeps_the_step() -> None:
    """Nine polls of ten knew it: their mean and their peak are those of the step."""
    store = Store((Tier(0.0, 5), Tier(10.0, 100)))
    samples = [ok(float(t), gauges={"requests_running": float(t % 10)} if t % 10 != 9 else {}) for t in range(500)]
    stats = look(samples, store=store).gauge_over("requests_running", 400)
    assert stats is not None
    assert (stats.mean, stats.peak) == (4.0, 8.0)


def test_the_mean_of_a_step_is_that_of_the_polls_that_knew() -> None:
    """A poll that lacks a gauge does not weigh in its mean."""
    store = Store((Tier(0.0, 3), Tier(10.0, 100)))
    samples = [ok(float(t), {TOKENS: 1.0}, {} if t % 10 in (2, 3, 4) else {"requests_running": 7.0}) for t in range(40)]
    look(samples, store=store)
    table = store.sources[URL].tables[1]
    column = store.sources[URL].columns.gauges["requests_running"]
    assert [table.ring.cell(row, column) for row in range(len(table.ring))] == [7.0] * 3


def test_a_counter_that_one_page_lacks_still_moves() -> None:
    """What grew while a page could not tell it has grown: it is no standstill."""
    samples = [ok(0.0, {TOKENS: 1.0}), ok(1.0, {}), ok(2.0, {TOKENS: 5.0}), ok(3.0, {TOKENS: 5.0})]
    assert look(samples).still_for(TOKENS) == 1.0


def test_a_process_that_began_anew_has_only_just_stood_still() -> None:
    """A server that restarts with its counters at 0 has not been at a standstill since before it was there."""
    samples = [ok(float(t), {TOKENS: 5.0}, {"requests_running": 1.0}) for t in range(100)]
    source = look([*samples, ok(100.0, {TOKENS: 0.0}, {"requests_running": 1.0})], now=101.0)
    assert source.still_for(TOKENS) == 1.0
    assert source.held_for("requests_running") == 1.0


@pytest.mark.parametrize(("failures", "held"), [(2, 7.0), (3, 1.0), (30, 1.0)])
def test_nothing_is_held_through_an_outage(failures: int, held: float) -> None:
    """A slow answer or two leave open that a queue stood on; through three nobody can say it."""
    waiting = {"requests_waiting": 4.0}
    samples = [ok(float(t), gauges=waiting) for t in range(4)]
    samples += [failed(float(t)) for t in range(4, 4 + failures)]
    end = 4.0 + failures
    samples += [ok(end, gauges=waiting), ok(end + 1, gauges=waiting)]
    assert look(samples).held_for("requests_waiting") == held


def test_a_gauge_that_has_gone_is_held_no_more() -> None:
    """The queue of an engine that is no longer on the page does not stand on for ever."""
    both = {f'requests_waiting{{engine="{engine}"}}': 3.0 for engine in range(2)}
    samples = [ok(0.0, gauges=both), ok(1.0, gauges={'requests_waiting{engine="0"}': 3.0})]
    source = look(samples)
    assert source.held_for('requests_waiting{engine="0"}') == 1.0
    assert source.held_for('requests_waiting{engine="1"}') is None


def test_a_series_that_was_never_seen_stays_unknown_in_the_rows_before() -> None:
    """Rows of before a series are not 0, they are unknown."""
    history = look([ok(0.0, {"requests_finished": 1.0}), ok(1.0, {"requests_finished": 1.0, TOKENS: 5.0})]).history
    column, ring = history.columns.counters[TOKENS], history.tables[0].ring
    assert math.isnan(ring.cell(0, column))
    assert ring.cell(1, column) == 5.0
