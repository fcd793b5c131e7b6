from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.estimators.windows import StepWindow, WindowLog
from metrics.histogram import Histogram
from metrics.sample import Sample, Source, State
from metrics.store import Store
from metrics.view import View
from tests.captures import URL, load


def poll(mono: float, tokens: float, start: float = 0.0, **counters: float) -> Sample:
    """A server that decodes one token each 10 ms, of prompts that are worked on for 50 ms."""
    return Sample(
        "server",
        Source.SERVER,
        mono,
        mono,
        counters={
            "output_tokens_total": tokens,
            "prompt_tokens_total": 10 * tokens,
            "prompt_tokens_cached": 4 * tokens,
            "requests_finished": tokens / 10,
            **counters,
        },
        gauges={"requests_running": 1.0 + mono % 2, "requests_waiting": 0.0, "start_time_seconds": start},
        histograms={
            "itl_seconds": Histogram((0.1,), (tokens, 0.0), 0.01 * tokens),
            "ttft_seconds": Histogram((0.1,), (tokens / 10, 0.0), 0.005 * tokens),
        },
    )


def lost(mono: float) -> Sample:
    return Sample("server", Source.SERVER, mono, mono, state=State.DOWN, reason="refused")


def collect(samples: list[Sample], each: bool = True) -> list[StepWindow]:
    store, log = Store(), WindowLog()
    for sample in samples:
        store.add(sample)
        if each:
            log.observe(View(store, sample.mono, sample.wall).of(sample.source))
    log.observe(View(store, samples[-1].mono, samples[-1].wall).of(samples[-1].source))
    return list(log.windows)


@pytest.mark.parametrize(("interval", "seconds"), [(0.5, 2.5), (1.0, 3.0), (2.0, 4.0), (3.0, 3.0), (5.0, 5.0)])
def test_a_window_is_as_many_polls_as_make_three_seconds(interval: float, seconds: float) -> None:
    """Whatever the interval of the polls, windows are 2.5 to 5 s long and lie end to end."""
    windows = collect([poll(interval * n, 100 * interval * n) for n in range(40)])
    assert {each.seconds for each in windows} == {seconds}
    assert [each.end - each.seconds for each in windows[1:]] == [each.end for each in windows[:-1]]


def test_a_window_holds_what_grew_in_it() -> None:
    """Each field is the growth of its series; cached prompt tokens are not worked on; gauges are means over polls."""
    window = collect([poll(n, 100.0 * n) for n in range(4)])[0]
    assert (window.itl_count, window.itl_sum, window.itl) == pytest.approx((300, 3.0, 0.01))
    assert (window.ttft_count, window.ttft_sum) == pytest.approx((30, 1.5))
    assert (window.generated, window.computed, window.finished) == (300, 1800, 30)
    assert (window.decoding, window.in_server) == pytest.approx((1.0, 1.5))
    assert (window.running, window.running_min, window.waiting_min) == (1.5, 1.0, 0.0)


def test_what_the_server_does_not_tell_is_not_known() -> None:
    """Without steps, prefill times, a queue or a cache on the page these are None, not 0."""
    window = collect([poll(n, 100.0 * n) for n in range(4)])[0]
    told = (window.steps, window.prefill_sum, window.prefilled, window.queue_sum, window.preemptions, window.kv)
    assert told == (None,) * 6


def test_a_server_without_token_latencies_has_no_windows() -> None:
    """What the fit cannot do without is not made up."""
    samples = [Sample("server", Source.SERVER, n, n, counters={"output_tokens_total": 9.0 * n}) for n in range(9)]
    assert collect(samples) == []


def test_a_failed_poll_breaks_its_window_off() -> None:
    """A window begins anew after a gap, so that none lies across it."""
    windows = collect([poll(n, 100.0 * n) if n != 4 else lost(4) for n in range(12)])
    assert [(each.end - each.seconds, each.end) for each in windows] == [(0, 3), (5, 8), (8, 11)]


def test_polls_too_far_apart_make_no_window() -> None:
    """Windows of 10 s cannot tell decoding from prefill, so there are none."""
    assert collect([poll(10.0 * n, 1000.0 * n) for n in range(20)]) == []


def test_a_restart_forgets_what_was_before() -> None:
    """Another process may have other settings: only windows since it began are kept, and none lies across."""
    before = [poll(n, 100.0 * n) for n in range(10)]
    after = [poll(n, 100.0 * (n - 10), start=1000.0) for n in range(10, 17)]
    windows = collect([*before, *after])
    assert [(each.end - each.seconds, each.end) for each in windows] == [(10, 13), (13, 16)]
    assert all(each.itl_count == 300 for each in windows)


def test_the_log_is_bounded() -> None:
    """The oldest windows go first."""
    store, log = Store(), WindowLog(maxlen=5)
    for n in range(61):
        store.add(poll(n, 100.0 * n))
        log.observe(View(store, n, n).of("server"))
    assert [each.end for each in log.windows] == [48, 51, 54, 57, 60]


@given(st.sets(st.integers(0, 60), min_size=1), st.sets(st.integers(0, 60)))
def test_windows_do_not_hang_on_when_they_are_asked_for(polled: set[int], failed: set[int]) -> None:
    """Looking after every poll or once at the end gives the same windows, and none lies across a failed poll."""
    samples = [lost(n) if n in failed else poll(n, 100.0 * n) for n in sorted(polled | failed)]
    assert collect(samples) == collect(samples, each=False)
    for window in collect(samples):
        assert not failed & set(range(math.ceil(window.end - window.seconds), math.floor(window.end) + 1))
        assert window.itl_count == pytest.approx(100 * window.seconds)


def test_a_real_server_tells_everything() -> None:
    """Of a vLLM 0.32 no field is unknown, and the windows add up to what its counters grew by."""
    samples = [each for each in load("vllm-ramp").samples if each.state is State.OK][20:81]
    windows = collect(samples)
    assert len(windows) == 20
    assert None not in [getattr(each, name) for each in windows for name in StepWindow.__struct_fields__]
    for field, series in (("generated", "output_tokens_total"), ("steps", "engine_steps")):
        grown = samples[-1].counters[series] - samples[0].counters[series]
        assert sum(getattr(each, field) for each in windows) == grown
    assert samples[0].source == URL
