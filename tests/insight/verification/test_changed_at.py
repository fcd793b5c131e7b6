"""What a mark stands for."""

from __future__ import annotations

import pytest

from insight.verification.spells import RESTART_SECONDS, changed_at


@pytest.mark.parametrize(
    ("begun", "mark", "marks", "change"),
    [
        ([], 200.0, [200.0], 200.0),
        ([140.0, 150.0], 200.0, [200.0], 150.0),
        ([220.0], 200.0, [200.0], 200.0),
        ([200.0 - RESTART_SECONDS - 1.0], 200.0, [200.0], 200.0),
        ([20.0], 200.0, [0.0, 200.0], 200.0),
        ([190.0], 200.0, [0.0, 200.0], 190.0),
    ],
)
def test_a_mark_means_the_restart_shortly_before_it(
    begun: list[float], mark: float, marks: list[float], change: float
) -> None:
    """The last one within five minutes before it that no other mark is nearer to; else the mark itself."""
    assert changed_at(begun, mark, marks) == change
