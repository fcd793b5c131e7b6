from __future__ import annotations

import pytest

from insight.estimators import host_share
from metrics.effect import Grade


def test_only_time_with_requests_counts() -> None:
    """A GPU that idles 20 % while requests run, and wholly without them, idles 20 %."""
    utilisation, running = [0.8] * 40 + [0.0] * 60, [3.0] * 40 + [0.0] * 60
    assert host_share.idle_share(utilisation, running) == pytest.approx(0.2)
    assert host_share.idle_share(utilisation[:29], running[:29]) is None


def test_the_gain_is_a_bound() -> None:
    """At 20 % of gaps ITL is at best 0.8 of what it is; without the utilisation nothing is said."""
    found = host_share.without_gaps(0.010, 0.2, 60.0)
    assert found.lo == pytest.approx(0.008)
    assert (found.mid, found.hi, found.basis, found.grade) == (None, 0.010, "bound", Grade.C)
    assert host_share.without_gaps(0.010, None).needs


def test_the_overhead_of_a_step() -> None:
    """16 GB at 0.8 of 4 TB/s are 5 ms; alpha of 6 to 8 ms leaves 1 to 3 of a step of 10."""
    found = host_share.overhead([0.006, 0.007, 0.008], 0.010, 16e9, 4e12)
    assert found is not None
    assert found[1] == pytest.approx(0.2)
    assert 0.1 <= found[0] < found[1] < found[2] <= 0.3
    assert host_share.overhead([0.004], 0.010, 16e9, 4e12) == (0.0, 0.0, 0.0)
    assert host_share.overhead([], 0.010, 16e9, 4e12) is None
