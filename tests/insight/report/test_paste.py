"""The report for a chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from insight.report import render
from insight.report.cells import width
from insight.report.paste import LINES, WIDTH
from metrics.sample import State
from tests.insight.report import canned
from tests.insight.report.test_report import infected

if TYPE_CHECKING:
    from metrics.snapshot import Snapshot


def lines(snapshot: Snapshot) -> list[str]:
    return render(snapshot, "paste").decode().splitlines()


@pytest.mark.parametrize("name", canned.SNAPSHOTS)
@pytest.mark.parametrize("text", ["calm", "word " * 80, "漢" * 300, "a" * 900, "a\nb\n\n# c", ""])
def test_it_fits_into_a_message(name: str, text: str) -> None:
    """Whatever the servers say, it is at most 20 lines of at most 100 columns."""
    for snapshot in (canned.SNAPSHOTS[name](), infected(canned.SNAPSHOTS[name](), text)):
        found = lines(snapshot)
        assert 1 <= len(found) <= LINES == 20
        assert max(map(width, found)) <= WIDTH == 100


def test_what_matters_comes_first() -> None:
    """Verdict, window, server and its numbers, GPU, what changed first, cause, what to do and what it brings."""
    found = lines(canned.overloaded())
    begins = [line.split(" ")[0] for line in found if not line.startswith("  ")]
    assert begins == [
        *("CRITICAL", "chimera-top", f"{canned.URL}:", "-", "Scores:", "GPU", "Also", "Also", "Changed", "Cause:"),
        *("Do", "-", "-", "Effect:"),
    ]
    whole = " ".join(" ".join(found).split())
    for needed in (
        "54 waiting for 41 s",
        "window 4 min 59 s",
        "TTFT p95 ~38.2 s [20-40 s]",
        "KV cache in use 14:21:33, requests waiting 14:21:39, SM clock of GPU 1 14:21:51, TTFT p95 14:21:55",
        "--max-num-seqs: 8 -> 12, takes a restart",
        "~0.70 s [0.50-1.10 s] expected, basis model, grade B",
    ):
        assert needed in whole


def test_made_up_is_said_in_the_first_line() -> None:
    """A paste is quoted without its head: what is simulated or replayed says so before the verdict."""
    assert lines(canned.nothing_yet())[0].startswith("SIMULATED: REPLAY: NOTE waiting")
    assert not any("SIMULATED" in line for line in lines(canned.overloaded()))


def test_a_crowded_paste_loses_detail_before_matters() -> None:
    """With more servers, GPUs and risks than fit, sentences are cut short and the effect of the advice still stands."""
    snapshot = infected(canned.overloaded(), "a sentence that is long enough to take more than one line " * 3)
    crowded = replace(snapshot, targets=snapshot.targets * 5, gpus=snapshot.gpus * 4, risks=snapshot.risks * 3)
    found = lines(crowded)
    assert found[-1].startswith("Effect: TTFT p95 33.2 s now")
    assert any(line.endswith("…") for line in found)
    assert "3 more servers." in found


def test_a_dead_gpu_is_named() -> None:
    """A GPU that is lost says why, in place of its clocks."""
    snapshot = canned.overloaded()
    lost = replace(snapshot.gpus[0], state=State.DOWN, reason="fell off the bus")
    assert "GPU 0: DOWN: fell off the bus" in lines(replace(snapshot, gpus=(lost,)))
