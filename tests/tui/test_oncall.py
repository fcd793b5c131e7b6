"""What an engineer on call has to read right at the first look."""

from __future__ import annotations

import msgspec
import pytest

from metrics.sample import State
from metrics.snapshot import Driver, Risk, RiskState, Severity
from tests.tui import canned
from tui.frame import frame
from tui.panes import findings, gpus
from tui.rows import text_of
from tui.view import View

replace = msgspec.structs.replace


def capped(index: int, **changes: object) -> Risk:
    """GPU `index` at its power limit."""
    one = Risk("power_cap", "Power limit reached", RiskState.FIRING, Severity.WARNING, "certain", "medium",
               f"GPU {index} runs at its power limit.", "", canned.overloading().since,
               f"gpu:{canned.gpu(index).uuid}", f"GPU {index}, at its power limit for 71 % of the last 30 s")  # fmt: skip
    return replace(one, **changes)


def test_gpus_with_findings_are_not_all_ok() -> None:
    """GPUs that are summed up are counted by what is found of each: risks, ECC errors, XID errors."""
    cards = tuple(canned.gpu(index, throttle_reasons=("sw_power_cap",)) for index in range(8))
    eight = canned.overloaded(gpus=cards, risks=tuple(capped(index) for index in range(8)))
    text = text_of(gpus.gpus(eight, View(), 80, 3))
    assert "+ 7 more  7 with findings: power cap · " in text
    assert "power cap · power cap" not in text
    assert findings.of_several(replace(eight, risks=()), cards) == "all ok"
    broken = (canned.gpu(0, ecc_uncorrected=2.0), canned.gpu(1, xids=(79,)), canned.gpu(2))
    assert findings.of_several(eight, broken) == "3 with findings: power cap, ECC (1), XID 79 (1)"


def test_a_silent_gpu_says_why() -> None:
    """Old numbers of a GPU have their reason: the driver's where the GPU has none, a shorter one without room."""
    silent = replace(canned.gpu(0), state=State.STALE, age_seconds=43.0)
    snapshot = canned.overloaded(gpus=(silent,), driver=Driver(State.STALE, "NVML does not answer", "", "", 1, 43.0))
    assert findings.note(snapshot, silent, 40) == ("43 s old: NVML does not answer", "warning")
    assert findings.note(snapshot, silent, 24) == ("43 s old, no answer", "warning")
    assert "43 s old, no answer" in text_of(frame(snapshot, View(), 80, 24))
