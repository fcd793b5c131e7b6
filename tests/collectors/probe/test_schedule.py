"""When the probe may send: the budget of any hour, a queue in the server, a restart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.probe.schedule import Budget, Heard
from metrics.sample import Sample, Source, State

URL = "http://a:1"


def seen(mono: float, waiting: float | None = None, *, finished: float = 0.0, start: float = 100.0) -> Sample:
    gauges = {"start_time_seconds": start} | ({} if waiting is None else {'requests_waiting{engine="0"}': waiting})
    return Sample(URL, Source.SERVER, mono, mono, gauges=gauges, counters={"requests_finished": finished})


@given(
    st.floats(200, 1e6),
    st.floats(1, 200),
    st.lists(st.tuples(st.floats(0, 600), st.floats(1, 300)), max_size=200),
)
def test_no_hour_costs_more_than_the_budget(
    per_hour: float, request_cost: float, wanted: list[tuple[float, float]]
) -> None:
    """However requests come, what any hour spends is within the budget."""
    budget, now, spent = Budget(per_hour, request_cost), 0.0, []
    for pause, tokens in wanted:
        now += pause
        if budget.allows(tokens, now):
            budget.spend(tokens)
            spent.append((now, tokens))
    for begin, _ in spent:
        assert sum(tokens for moment, tokens in spent if begin <= moment < begin + 3600) <= per_hour * (1 + 1e-9)


def test_a_small_budget_is_spread_over_the_hour() -> None:
    """A tenth of what a request each 10 s would need is spent in every part of the hour, not in its first minutes."""
    budget, sent = Budget(6000, 150), []
    for moment in range(0, 7200, 10):
        if budget.allows(150, moment):
            budget.spend(150)
            sent.append(moment)
    quarters = [sum(begin <= moment < begin + 900 for moment in sent) for begin in range(3600, 7200, 900)]
    assert min(quarters) >= 8
    assert max(quarters) <= 11


def test_what_is_not_known_marks_the_spending() -> None:
    """One request without usage makes the sum an upper bound."""
    budget = Budget(1000, 100)
    budget.spend(100)
    assert (budget.spent, budget.estimated) == (100, False)
    budget.spend(50, estimated=True)
    budget.spend(10)
    assert (budget.spent, budget.estimated) == (160, True)


def test_a_queue_of_more_than_half_a_minute_is_a_crowd() -> None:
    """Requests that wait without a break for 30 s keep the probe away, until none waits."""
    heard = Heard()
    heard.hear(seen(0.0, 5.0))
    assert not heard.crowded(30.0)
    assert heard.crowded(30.1)
    heard.hear(seen(40.0, 0.0))
    assert not heard.crowded(80.0)
    heard.hear(seen(50.0, 1.0))
    assert not heard.crowded(80.0)
    heard.hear(seen(90.0, None))  # a page that does not tell: no queue is known
    assert not heard.crowded(200.0)


def test_a_poll_that_fails_says_nothing() -> None:
    """While the page cannot be read, the queue is as it was."""
    heard = Heard()
    heard.hear(seen(0.0, 5.0))
    heard.hear(Sample(URL, Source.SERVER, 10.0, 10.0, state=State.DOWN, reason="refused"))
    assert heard.crowded(31.0)
    assert heard.restarts == 0


@pytest.mark.parametrize(
    ("after", "restarts"),
    [
        (seen(10.0, 0.0, finished=7.0), 0),
        (seen(10.0, 0.0, finished=2.0), 1),
        (seen(10.0, 0.0, finished=7.0, start=140.0), 1),
        (Sample(URL, Source.SERVER, 10.0, 10.0), 0),
    ],
)
def test_a_restart_is_heard(after: Sample, restarts: int) -> None:
    """A counter that fell and another start time are a restart; a page that lacks both is none."""
    heard = Heard()
    heard.hear(seen(0.0, 0.0, finished=5.0))
    heard.hear(after)
    assert heard.restarts == restarts
