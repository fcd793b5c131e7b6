from __future__ import annotations

from itertools import pairwise

from metrics.sample import Sample, State
from metrics.store import Store
from metrics.track import SERVER_TRACKS, Tracks, step_for
from metrics.view import View
from tests.metrics.seen import URL, WALL, failed, ok

TOKENS = "output_tokens_total"


def draw(samples: list[Sample], window: float = 60.0, every: int = 1) -> list[tuple[float | None, ...]]:
    store, tracks, drawn = Store(), Tracks(), []
    for index, sample in enumerate(samples):
        store.add(sample)
        if index % every == 0:
            source = View(store, sample.mono, sample.wall).of(URL)
            drawn.append(tracks.of(source, SERVER_TRACKS, window)["output_tokens_rate"].values)
    return drawn


def test_a_column_that_was_drawn_does_not_change() -> None:
    """Complete columns only move left; they do not shimmer."""
    samples = [ok(t * 1.003, {TOKENS: 50.0 * t * 1.003}) for t in range(1, 200)]
    drawn = draw(samples)
    for earlier, later in pairwise(drawn[80:]):
        assert any(later[: len(later) - shift] == earlier[shift:] for shift in (0, 1, 2))


def test_drawing_rarely_gives_the_same_columns_as_drawing_often() -> None:
    """What a column shows does not depend on when somebody looked."""
    samples = [ok(float(t), {TOKENS: 50.0 * t + (t % 7) * 10}) for t in range(200)]
    assert draw(samples, every=1)[-1] == draw(samples, every=199)[-1]


def test_an_outage_is_a_gap() -> None:
    """Seconds in which no poll succeeded are None, never 0 and never bridged."""
    samples = [failed(float(t)) if 100 <= t < 120 else ok(float(t), {TOKENS: 50.0 * t}) for t in range(160)]
    values = draw(samples)[-1]
    gap = [value is None for value in values]
    assert sum(gap) == 20
    assert all(value is None or abs(value - 50.0) < 1e-6 for value in values)


def test_time_before_the_first_poll_is_empty() -> None:
    """A graph of 60 s that was opened 10 s ago is empty on its left."""
    values = draw([ok(float(t), {TOKENS: 50.0 * t}) for t in range(11)])[-1]
    assert values[:48] == (None,) * 48


def test_a_wall_clock_that_jumps_redraws_the_grid() -> None:
    """After the clock was set, columns stand at the new time, with the same values."""
    store, tracks = Store(), Tracks()
    for t in range(60):
        store.add(ok(float(t), {TOKENS: 50.0 * t}))
    before = tracks.of(View(store, 59.0, WALL + 59).of(URL), SERVER_TRACKS, 60)["output_tokens_rate"]
    after = tracks.of(View(store, 59.0, WALL + 59 + 3600).of(URL), SERVER_TRACKS, 60)["output_tokens_rate"]
    assert after.end == before.end + 3600
    assert after.values == before.values


def test_a_step_is_never_shorter_than_the_polls() -> None:
    """With a poll every 5 s there is nothing to draw in between."""
    assert step_for(60, interval=5.0) == 5.0
    assert step_for(300) == 2.0
    assert step_for(86_400) == 600.0


def test_stale_sources_keep_their_last_columns() -> None:
    """A source that stops being polled keeps what was drawn; its grid ends where its polls ended."""
    samples = [ok(float(t), {TOKENS: 50.0 * t}) for t in range(60)]
    store, tracks = Store(), Tracks()
    for sample in samples:
        store.add(sample)
    view = View(store, 90.0, WALL + 90).of(URL)
    assert view.state is State.STALE
    assert tracks.of(view, SERVER_TRACKS, 60)["output_tokens_rate"].end == WALL + 59
