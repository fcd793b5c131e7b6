from __future__ import annotations

from functools import cache

import pytest

from metrics.effect import Grade
from tests.evaluation.ramp import RAMP, RATES, Row, capacity_now, model, ramp_table


@cache
def rows() -> dict[str, Row]:
    return {row.statement: row for row in ramp_table()}


def test_every_statement_holds_on_a_real_engine() -> None:
    """Each row of the table is within what is accepted on a real vLLM that the estimators were not fitted on."""
    missed = [f"{row.statement}: {row.error:+.1%}, accepted {row.accepted}" for row in rows().values() if not row.holds]
    assert missed == []
    assert len(rows()) == 40


def test_every_interval_holds_what_was_measured() -> None:
    """At least nine of ten intervals hold the truth."""
    between = [row for row in rows().values() if row.lo is not None and row.hi is not None]
    held = [row for row in between if (row.lo or 0.0) <= row.measured <= (row.hi or 0.0)]
    assert len(between) >= 20
    assert len(held) / len(between) >= 0.9


def test_intervals_of_grade_b_are_narrow() -> None:
    """Half of the intervals of capacity and of rates within an objective that are graded B are within 15 %."""
    widths = sorted(
        (row.hi - row.lo) / 2 / row.predicted
        for row in rows().values()
        if row.lo is not None and row.hi is not None and "(B)" in row.statement
    )
    assert widths[len(widths) // 2] <= 0.15


@pytest.mark.parametrize(
    ("phases", "direct"), [(RATES[:3], True), (RATES[:4], True), (RATES, True), (RATES[3:], False)]
)
def test_the_fits_pass_their_gates(phases: tuple[str, ...], direct: bool) -> None:
    """gamma is from prefill times wherever there was light load; beta and gamma are told apart in all of them."""
    found = model(RAMP, *phases)
    assert found.direct is direct
    assert found.tells_apart
    assert found.r2 > 0.9


def test_saturation_is_measured() -> None:
    """With a queue all the time what finishes is the capacity, grade A, and true: 8.17 requests/s."""
    effect = capacity_now()
    assert effect.grade is Grade.A
    assert effect.now == pytest.approx(8.17, rel=0.01)
    assert effect.lo is not None
    assert effect.hi is not None
    assert effect.lo <= 8.17 <= effect.hi
