"""Counters that move only when a request ends."""

from __future__ import annotations

import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.measure import measure
from metrics.sample import Sample, State
from metrics.store import Store
from metrics.view import SourceView, View
from tests.captures import load
from tests.metrics.seen import look, ok

TOKENS = "output_tokens_total"


def page(mono: float, tokens: float, running: float) -> Sample:
    return ok(mono, {TOKENS: tokens}, {"requests_running": running}, lumpy_counters=TOKENS)


def rate(source: SourceView, window: float = 5.0) -> float | None:
    return source.rate(TOKENS, window)


def test_a_server_that_generates_is_never_at_zero() -> None:
    """Two requests of 100 tokens and 10 s each: between their ends the rate stays 10/s, though nothing is counted."""
    samples = [page(0.0, 0.0, 0.0), *(page(float(t), 100.0 * (t // 10), 1.0) for t in range(1, 31))]
    rates = [rate(look(samples[:count])) for count in range(15, 31)]
    assert rates == pytest.approx([10.0] * 16)


def test_before_the_first_end_nothing_is_known() -> None:
    """A request that has run for 3 s and ended nowhere is not a server that generates nothing."""
    samples = [page(float(t), 0.0, float(t > 5)) for t in range(9)]
    assert rate(look(samples)) is None
    found = measure(look(samples), TOKENS, 5.0)
    assert found is not None
    assert (found.rate, found.increase) == (None, 0.0)
    assert found.note == "the server counts this when a request ends, and too few have ended to tell a rate"


def test_an_idle_server_is_at_zero() -> None:
    """Where nothing runs, nothing is generated: that is known."""
    assert rate(look([page(float(t), 100.0, 0.0) for t in range(20)])) == 0.0


def test_an_idle_moment_is_as_good_as_an_end() -> None:
    """Tokens of a request that began after an idle moment are not spread over the time before it."""
    samples = [page(float(t), 0.0, 0.0) for t in range(60)]
    samples += [page(60.0 + t, 0.0, 1.0) for t in range(5)]
    samples += [page(65.0 + t, 50.0, 0.0) for t in range(2)]
    assert rate(look(samples), 7.0) == pytest.approx(50.0 / 7.0)


def test_a_rate_does_not_stand_for_ever() -> None:
    """After half a minute without an end the last rate is no longer the rate of now."""
    samples = [page(float(t), min(20.0, 10.0 * (t // 10)), 1.0) for t in range(90)]
    assert rate(look(samples[:40])) == pytest.approx(1.0)
    assert rate(look(samples)) is None


def test_the_increase_stays_exact_and_the_rate_says_what_it_is_of() -> None:
    """What was counted in the window is the difference of two polls; only the rate is taken elsewhere, and says so."""
    samples = [page(float(t), 100.0 * (t // 10), 1.0) for t in range(46)]
    found = measure(look(samples), TOKENS, 20.0)
    assert found is not None
    assert (found.increase, found.window_seconds) == (200.0, 20.0)
    assert found.rate == pytest.approx(10.0)
    assert found.note == "the server counts this when a request ends: the rate is that of the 15 s until the last end"


def test_other_counters_are_not_touched() -> None:
    """A counter that moves at each step keeps the plain rate of its window, and needs no note."""
    found = measure(look([ok(float(t), {TOKENS: 7.0 * t}, {"requests_running": 1.0}) for t in range(9)]), TOKENS, 5.0)
    assert found is not None
    assert (found.rate, found.note) == (7.0, "")


def test_what_an_engine_counted_before_it_was_seen_is_not_growth() -> None:
    """A second engine joins with a million tokens behind it: the rate stays that of what both generate from then on."""
    first, second = 'output_tokens_total{engine="0"}', 'output_tokens_total{engine="1"}'
    samples = []
    for t in range(40):
        counters, gauges = {first: 10.0 * t}, {'requests_running{engine="0"}': 1.0}
        if t >= 30:
            counters[second], gauges['requests_running{engine="1"}'] = 1e6 + 5.0 * t, 1.0
        samples.append(ok(float(t), counters, gauges, lumpy_counters=TOKENS))
    assert rate(look(samples[:31])) == pytest.approx(10.0)
    assert rate(look(samples), 5.0) == pytest.approx(15.0)
    found = measure(look(samples), TOKENS, 20.0)
    assert found is not None
    assert found.increase == 200.0 + 45.0
    assert found.rate == pytest.approx((200.0 + 45.0) / 20.0)


def test_what_an_engine_counted_that_has_gone_is_not_lost() -> None:
    """One of two engines goes: its last count stays, and the rate is that of the other, never below 0."""
    samples = []
    for t in range(40):
        counters, gauges = {'output_tokens_total{engine="0"}': 10.0 * t}, {'requests_running{engine="0"}': 1.0}
        if t < 30:
            counters['output_tokens_total{engine="1"}'] = 1000.0 * t
            gauges['requests_running{engine="1"}'] = 1.0
        samples.append(ok(float(t), counters, gauges, lumpy_counters=TOKENS))
    assert rate(look(samples), 5.0) == pytest.approx(10.0)
    assert rate(look(samples), 15.0) == pytest.approx((150.0 + 5000.0) / 15.0)


def test_an_engine_that_has_gone_does_not_keep_a_server_busy() -> None:
    """The engine that is left runs nothing: that is known, whatever the other one ran when it went."""
    samples = []
    for t in range(40):
        counters, gauges = {'output_tokens_total{engine="0"}': 100.0}, {'requests_running{engine="0"}': 0.0}
        if t < 10:
            counters['output_tokens_total{engine="1"}'] = 50.0
            gauges['requests_running{engine="1"}'] = 1.0
        samples.append(ok(float(t), counters, gauges, lumpy_counters=TOKENS))
    assert rate(look(samples), 5.0) == 0.0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 2)), min_size=2, max_size=60), st.floats(1, 100))
def test_a_rate_is_never_negative_and_never_more_than_was_counted(steps: list[tuple[int, int]], window: float) -> None:
    """Whatever ends when, a rate lies between 0 and the fastest second there was, or is not known."""
    total, samples = 0.0, []
    for second, (tokens, running) in enumerate(steps):
        total += tokens
        samples.append(page(float(second), total, float(running)))
    found = rate(look(samples), window)
    assert found is None or 0.0 <= found <= max(tokens for tokens, _ in steps) + 1e-6


@pytest.mark.parametrize("window", [10.0, 30.0])
def test_a_real_llama_cpp_is_never_at_zero_while_it_generates(window: float) -> None:
    """Against the tokens that the client saw come: no 0 where there were some, and no more error than a difference."""
    capture = load("llamacpp")
    moments: list[float] = []
    for each in capture.client:
        moments += [each["t_send"] + at for at in each.get("token_times") or ()]
    moments.sort()
    store, smooth, plain = Store(), [], []
    first = capture.samples[0].mono
    for sample in capture.samples:
        store.add(sample)
        if sample.state is not State.OK or sample.mono < first + window:
            continue
        now, begin = sample.mono, sample.mono - window
        true = (bisect.bisect(moments, now) - bisect.bisect(moments, begin)) / window
        source = View(store, now, sample.wall).of(sample.source)
        found, increase = source.rate(TOKENS, window), source.increase(TOKENS, window)
        if true < 2.0 or found is None or increase is None or increase.rate is None:
            continue
        assert found > 0.0
        smooth.append(abs(found - true))
        plain.append(abs(increase.rate - true))
    assert len(smooth) > 100
    assert sum(smooth) < 1.02 * sum(plain)
