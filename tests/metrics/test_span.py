from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from metrics.store import Store, Tier
from tests.metrics.seen import failed, look, ok

if TYPE_CHECKING:
    from metrics.sample import Sample

TOKENS = "output_tokens_total"
TIERS = (Tier(0.0, 20), Tier(5.0, 20), Tier(20.0, 50))


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 50)), min_size=2, max_size=120),
    st.sampled_from([5.0, 15.0, 40.0, 90.0]),
)
def test_growth_is_never_more_than_was_seen(steps: list[tuple[bool, int]], window: float) -> None:
    """Whichever pages lack a counter, and whichever tier tells, its growth is between two pages that had it."""
    samples: list[Sample] = []
    known: list[tuple[float, float]] = []
    total = 1e6
    for t, (there, grown) in enumerate(steps):
        total += grown
        samples.append(ok(float(t), {TOKENS: total} if there else {}, {"requests_running": 1.0}))
        if there:
            known.append((float(t), total))
    found = look(samples, store=Store(TIERS)).increase(TOKENS, window)
    if found is None:
        return
    # In a row of a coarse tier stands what its step knew last, which may be older than the row.
    earliest = known[0][1]
    assert 0 <= found.value <= known[-1][1] - earliest
    assert found.seconds <= samples[-1].mono - known[0][0]


def test_a_series_known_from_the_first_row_is_exact() -> None:
    """Where the series is known at both ends, nothing but the two ends counts."""
    samples = [ok(float(t), {TOKENS: 7.0 * t}) for t in range(10)]
    found = look(samples).increase(TOKENS, 5)
    assert found is not None
    assert (found.value, found.seconds) == (35.0, 5.0)


def test_a_series_younger_than_a_coarse_row_is_read_from_the_fine_ones() -> None:
    """A counter that appeared three seconds ago has grown in the last hour, though no coarse row knows it yet."""
    samples = [ok(float(t), {"requests_finished": 1.0}) for t in range(100)]
    samples += [ok(float(t), {"requests_finished": 1.0, TOKENS: 1e6 + 10 * t}) for t in range(100, 104)]
    found = look(samples, store=Store(TIERS)).increase(TOKENS, 90)
    assert found is not None
    assert (found.value, found.seconds) == (30.0, 3.0)


def test_a_series_gone_for_longer_than_the_fine_rows_is_read_from_the_coarse_ones() -> None:
    """What an engine counted before it died is in the window for as long as the window reaches back to it."""
    zero, one = f'{TOKENS}{{engine="0"}}', f'{TOKENS}{{engine="1"}}'
    samples = [ok(float(t), {zero: 10.0 * t, one: 10.0 * t}) for t in range(50)]
    samples += [ok(float(t), {zero: 10.0 * t}) for t in range(50, 101)]
    source = look(samples, store=Store(TIERS))
    found = source.increase_of([one], 90)
    assert found is not None
    assert found.value > 250.0
    assert source.increase_of([one], 30) is None


def test_a_series_known_in_one_row_has_not_grown() -> None:
    """One page that has it tells no growth and no rate."""
    found = look([ok(0.0, {"requests_finished": 1.0}), ok(1.0, {TOKENS: 1e6})]).increase(TOKENS, 60)
    assert found is not None
    assert (found.value, found.seconds, found.rate) == (0.0, 0.0, None)


def test_polls_that_failed_do_not_begin_a_series() -> None:
    """A gap in the middle of a window changes nothing at its ends."""
    samples = [ok(0.0, {TOKENS: 5.0}), *(failed(float(t)) for t in (1, 2, 3)), ok(4.0, {TOKENS: 9.0})]
    found = look(samples).increase(TOKENS, 60)
    assert found is not None
    assert (found.value, found.seconds) == (4.0, 4.0)


def test_no_counter_grows_by_less_than_nothing() -> None:
    """3.3 + (0.3 - 3.3) is less than 0.3 by the last bit: a counter that is carried on has not fallen."""
    first, second = {"start_time_seconds": 1000.0}, {"start_time_seconds": 2000.0}
    samples = [ok(0.0, {TOKENS: 0.3}, first), ok(1.0, {TOKENS: 3.3}, second), ok(2.0, {TOKENS: 3.3}, second)]
    found = look(samples).increase(TOKENS, 60.0)
    assert found is not None
    assert found.value == 0.0
