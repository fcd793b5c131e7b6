from __future__ import annotations

from typing import TYPE_CHECKING

from insight.assess import Assessor
from insight.settings import Settings
from metrics.observed import Measure
from metrics.quality import Graded, Outcome
from metrics.recording import Packer, Reader
from metrics.sample import Missing, Sample, Source, State
from metrics.store import Store
from metrics.view import View

if TYPE_CHECKING:
    from pathlib import Path

    from metrics.snapshot import Snapshot

WALL = 1_800_000_000.0
SERVER = "http://127.0.0.1:8000"


def canary(mono: float, *graded: Graded, missing: tuple[Missing, ...] = (), name: str = SERVER) -> Sample:
    return Sample(f"quality:{name}", Source.QUALITY, WALL + mono, mono, graded=graded, missing=missing)


def graded(number: int, outcome: Outcome) -> Graded:
    return Graded(f"i{number}", "sums", outcome, wall=WALL)


def snapshot(*samples: Sample, settings: Settings | None = None) -> Snapshot:
    store = Store()
    for sample in samples:
        store.add(sample)
    return Assessor(settings or Settings()).snapshot(View(store, samples[-1].mono, samples[-1].wall))


def test_nobody_asked() -> None:
    """Without a canary there is no quality, and the scorecard says what would measure it."""
    seen = snapshot(Sample("host", Source.HOST, WALL, 0.0))
    assert seen.quality is None
    assert seen.scorecard.quality.score is None
    assert "--quality" in seen.scorecard.quality.text


def test_the_score_is_the_accuracy() -> None:
    """The point, and in the text the interval, the number of items, what was cut off and what got no answer."""
    rows = [graded(n, Outcome.RIGHT) for n in range(45)] + [graded(n, Outcome.WRONG) for n in range(45, 49)]
    seen = snapshot(canary(0.0, *rows), canary(1.0, graded(49, Outcome.CUT), graded(50, Outcome.FAILED)))
    score = seen.scorecard.quality
    assert score.score == 90.0
    assert score.text == "90 % of 50 items right (78.6 % to 95.7 %), 1 cut off, 1.96 % of those asked got no answer"
    assert seen.quality is not None
    assert seen.quality["accuracy"].count == 50.0


def test_why_there_is_no_score_yet() -> None:
    """What the canary itself says is the reason; before anything is known, that nothing has been answered."""
    assert snapshot(canary(0.0)).scorecard.quality.text == "not measured yet: no question has been answered"
    why = Missing("answers to questions", "7 requests wait at the server, so that nothing is asked")
    seen = snapshot(canary(0.0, missing=(why,)))
    assert seen.scorecard.quality.text == f"not measured: {why.why}"
    assert seen.quality == {}
    assert [each.why for each in seen.not_visible] == [why.why]
    down = Sample(f"quality:{SERVER}", Source.QUALITY, WALL, 0.0, state=State.DOWN, reason="internal error: x")
    assert snapshot(down).scorecard.quality.text == "not measured: internal error: x"


def test_results_of_other_programs() -> None:
    """They stand beside what is measured here, and give no score of this server."""
    settings = Settings(imported_quality={"mmlu/acc": Measure("ratio", source="imported", value=0.6)})
    seen = snapshot(Sample("host", Source.HOST, WALL, 0.0), settings=settings)
    assert list(seen.quality or {}) == ["mmlu/acc"]
    assert seen.scorecard.quality.score is None
    assert "1 result" in seen.scorecard.quality.text


def test_answers_are_recorded(tmp_path: Path) -> None:
    """What was graded is in a recording, and a replay tells the same."""
    rows = [graded(n, Outcome.RIGHT if n else Outcome.WRONG) for n in range(4)]
    path, packer = tmp_path / "quality.rec", Packer()
    path.write_bytes(packer.pack(canary(0.0, *rows[:2])) + packer.pack(canary(1.0, *rows[2:])))
    with path.open("rb") as stream:
        seen = snapshot(*Reader(stream))
    assert seen.scorecard.quality.score == 75.0
