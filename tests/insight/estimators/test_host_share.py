from __future__ import annotations

import pytest

from insight.estimators import host_share
from metrics.effect import Grade


def test_the_gain_is_a_bound() -> None:
    """At 20 % of gaps ITL is at best 0.8 of what it is, at worst what it is, and nobody knows where between."""
    found = host_share.without_gaps(0.010, 0.2, 30.0, 30.0)
    assert found.lo == pytest.approx(0.008)
    assert (found.mid, found.hi, found.basis, found.grade) == (None, 0.010, "bound", Grade.C)
    assert (found.n, found.window_seconds) == (30.0, 30.0)
    assert "20%" in found.assumptions[0]
