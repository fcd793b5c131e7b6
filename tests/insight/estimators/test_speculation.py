from __future__ import annotations

import random

import pytest

from insight.estimators import speculation


def accepted(draw: random.Random, count: int, rates: list[float]) -> int:
    """Draw drafts that are accepted up to the first wrong token, and count the tokens accepted."""
    found = 0
    for _ in range(count):
        for rate in rates:
            if draw.random() >= rate:
                break
            found += 1
    return found


def test_the_interval_holds_the_accepted_length() -> None:
    """1 + 0.8 + 0.8 * 0.5 in 85 % of 200 runs or more, with the drafted tokens and, wider, without them."""
    held = 0
    for seed in range(200):
        taken = accepted(random.Random(seed), 400, [0.8, 0.5])
        found, without = speculation.accepted_length(400, taken, 800), speculation.accepted_length(400, taken)
        assert found is not None
        assert without is not None
        held += found.lo <= 2.2 <= found.hi
        assert without.hi - without.lo >= found.hi - found.lo
    assert held >= 170


def test_few_drafts_say_nothing() -> None:
    """Below 100 drafts there is no accepted length, and so no break-even."""
    assert speculation.accepted_length(99, 90) is None
    assert speculation.switched_off(None, 0.01).basis == "unknown"


def test_waste() -> None:
    """Half of the drafted tokens thrown away."""
    found = speculation.accepted_length(100, 200, 400)
    assert found is not None
    assert (found.value, found.waste) == (3.0, 0.5)


def test_without_the_other_step_time_it_says_what_is_missing() -> None:
    """15 ms a step and 2 tokens accepted: no number, and the 7.5 ms up to which speculation loses."""
    found = speculation.switched_off(speculation.accepted_length(1000, 1000), 0.015)
    assert (found.basis, found.mid) == ("unknown", None)
    assert found.now == pytest.approx(0.0075)
    assert "7.5 ms" in found.needs
