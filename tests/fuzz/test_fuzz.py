"""A few cases of a fuzz run with a fixed seed; `python -m tests.fuzz` goes on for as long as one likes."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from metrics.histogram import Histogram
from metrics.sample import Sample, Source
from metrics.store import Store
from tests.fuzz.__main__ import AREAS, case
from tests.fuzz.case import keep, kept
from tests.fuzz.invariants import sound_outputs, sound_sample, sound_snapshot
from tests.tui import canned

if TYPE_CHECKING:
    from pathlib import Path

SEED = 3
CASES = {"pages": 50, "recordings": 60, "streams": 100, "answers": 100, "files": 150}


@pytest.mark.parametrize("area", AREAS)
def test_nothing_that_comes_in_breaks_anything(area: str) -> None:
    """Broken pages, recordings, streams, answers and files raise nothing, and all that comes out of them is sound."""
    for number in range(CASES[area]):
        AREAS[area].run(case(area, SEED, number).pieces)


@pytest.mark.parametrize("area", AREAS)
def test_a_case_can_be_made_and_kept_again(area: str, tmp_path: Path) -> None:
    """The same seed and number are the same bytes, and what is kept of a case is the whole of it."""
    one = case(area, SEED, 7)
    assert one.pieces == case(area, SEED, 7).pieces
    assert kept(keep(one, tmp_path)) == one


@pytest.mark.parametrize(
    "spoiled",
    [
        {"gauges": {"requests_waiting": -1.0}},
        {"gauges": {"requests_waiting": math.nan}},
        {"counters": {"preemptions": math.inf}},
        {"histograms": {"ttft_seconds": Histogram((1.0,), (1.0,), 1.0)}},
        {"facts": {"model": "\x1b[31mred"}},
        {"reason": "two\nlines"},
    ],
    ids=str,
)
def test_the_checks_are_not_blind(spoiled: dict[str, Any]) -> None:
    """A Sample with one thing in it that cannot be is not let through."""
    good = Sample("http://127.0.0.1:8000", Source.SERVER, 1.8e9, 1.0, gauges={"requests_waiting": 1.0})
    sound_sample(good)
    with pytest.raises(AssertionError):
        sound_sample(replace(good, **spoiled))


def test_a_screen_with_an_escape_sequence_is_seen() -> None:
    """What reaches a Snapshot in spite of all is found in what is written from it."""
    snapshot = canned.overloaded()
    sound_outputs(snapshot, Random(1))
    (target,) = snapshot.targets
    with pytest.raises(AssertionError):
        sound_snapshot(replace(snapshot, targets=(replace(target, model="\x1b[31mred"),)), Store())
