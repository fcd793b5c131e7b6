"""The scores of each of several servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight.assess import Assessor
from insight.settings import Settings
from metrics.histogram import Histogram
from metrics.sample import Sample, Source, State
from metrics.store import Store
from metrics.view import View

if TYPE_CHECKING:
    from metrics.snapshot import Snapshot

FAST, SLOW = "http://a:8000", "http://b:8000"
WALL = 1_800_000_000.0


def server(url: str, mono: float, ttft: float) -> Sample:
    counts = (mono, 0.0) if ttft <= 2.0 else (0.0, mono)
    return Sample(
        url,
        Source.SERVER,
        WALL + mono,
        mono,
        counters={"requests_finished": mono, "output_tokens_total": 100 * mono},
        histograms={"ttft_seconds": Histogram((2.0,), counts, mono * ttft)},
    )


def board(index: int, mono: float) -> Sample:
    facts = {"uuid": f"GPU-{index}", "index": str(index)}
    counters = {"energy_joules": 100.0 * (index + 1) * mono}
    return Sample(f"gpu:GPU-{index}", Source.GPU, WALL + mono, mono, counters=counters, facts=facts)


def seen(*urls: str, down: str = "") -> Snapshot:
    store, assessor, view = Store(), Assessor(Settings(window=60.0)), None
    for second in range(61):
        mono = float(second)
        for url in urls:
            sample = server(url, mono, 1.0 if url == FAST else 5.0)
            if url == down and second > 30:
                sample = replace(sample, state=State.DOWN, reason="connection refused")
            store.add(sample)
        store.add(board(0, mono))
        view = View(store, mono, WALL + mono)
        assessor.observe(view)
    assert view is not None
    return assessor.snapshot(view)


def test_each_of_several_servers_has_scores_of_its_own() -> None:
    """A server that keeps its objective has 100 beside one that does not, and together they have half."""
    snapshot = seen(FAST, SLOW)
    assert snapshot.scorecards[FAST].ttft.score == 100.0
    assert snapshot.scorecards[SLOW].ttft.score == 0.0
    assert snapshot.scorecard.ttft.score == 50.0


def test_one_server_alone_has_the_scores_of_all() -> None:
    """Where there is but one server there is but one card."""
    assert seen(FAST).scorecards == {}


def test_a_server_that_is_away_has_no_score_and_takes_none_from_the_other() -> None:
    """What a server is down for stands in its own card."""
    snapshot = seen(FAST, SLOW, down=SLOW)
    assert snapshot.scorecards[FAST].ttft.score == 100.0
    assert snapshot.scorecards[SLOW].ttft.score is None
    assert "connection refused" in snapshot.scorecards[SLOW].ttft.text


def test_energy_of_unknown_gpus_is_nobodys() -> None:
    """Where it is not known on which GPUs a server runs, nothing says what its tokens cost."""
    snapshot = seen(FAST, SLOW)
    assert snapshot.scorecard.efficiency.text.startswith("2 output tokens/J")
    assert snapshot.scorecards[FAST].efficiency.text == "not told: it is not known which GPUs are its own"
