from __future__ import annotations

import pytest

from insight.quality.change import LENGTHS, appeared, change, coherence, f1, lengthened, relevancy, shift
from insight.quality.fault import Fault
from metrics.quality import Graded, Outcome

RIGHT, WRONG, FAILED = Outcome.RIGHT, Outcome.WRONG, Outcome.FAILED


def row(item: str, outcome: Outcome, **more: object) -> Graded:
    return Graded(item, "f", outcome, **more)  # type: ignore[arg-type] # fields by name


def rows(right: int, wrong: int) -> list[Graded]:
    return [row(f"i{n}", RIGHT if n < right else WRONG) for n in range(right + wrong)]


def test_change() -> None:
    """Item by item: what was right and is not any more, against the other way; items asked once are left out."""
    before = [*rows(10, 0), row("new", FAILED)]
    after = [*rows(4, 6), row("new", RIGHT), row("newer", RIGHT)]
    found = change(before, after)
    assert found is not None
    assert (found.pairs, found.worse, found.better, found.kept, found.p) == (10, 6, 0, 4, 1 / 64)
    assert found.points == -0.6
    assert change([], after) is None


def test_a_change_has_an_interval() -> None:
    """A drop of 12 of 100 excludes none, and no change at all still leaves room for some."""
    found = change(rows(100, 0), rows(88, 12))
    assert found is not None
    assert (round(found.difference.lo, 3), round(found.difference.hi, 3)) == (-0.186, -0.049)
    assert found.ratio is not None
    assert found.ratio.value == 0.88
    assert 0.80 < found.ratio.lo < 0.88 < found.ratio.hi < 1
    still = change(rows(100, 0), rows(100, 0))
    assert still is not None
    assert still.difference.lo < 0 < still.difference.hi
    assert still.p == 1.0
    none_before = change(rows(0, 5), rows(5, 0))
    assert none_before is not None
    assert none_before.ratio is None


def test_shift() -> None:
    """The mean change of what is measured, over the items that have it both times."""
    before = [row(f"i{n}", RIGHT, relevancy=0.8, coherence=0.5) for n in range(20)]
    after = [row(f"i{n}", RIGHT, relevancy=0.7 - n * 0.001, coherence=0.5, f1=1.0) for n in range(30)]
    found = shift(before, after, relevancy)
    assert found is not None
    assert found.value == pytest.approx(-0.1095)
    assert -0.115 < found.lo < found.value < found.hi < -0.1
    assert found.n == 20
    alike = shift(before, after, coherence)
    assert alike is not None
    assert (alike.value, alike.lo, alike.hi) == (0.0, -0.15, 0.15)
    assert shift(before, after, f1) is None


def test_a_fault_that_appears() -> None:
    """Item by item: who refuses now and did not; what is wrong in another way is another matter."""
    before = [row(f"i{n}", RIGHT) for n in range(12)]
    after = [row(f"i{n}", WRONG, why=Fault.REFUSAL.value if n < 9 else "another number") for n in range(12)]
    found = appeared(before, after, Fault.REFUSAL)
    assert found is not None
    assert (found.worse, found.better, found.p) == (9, 0, 1 / 512)
    assert found.points == -0.75
    loops = appeared(before, after, Fault.LOOP)
    assert loops is not None
    assert (loops.worse, loops.p) == (0, 1.0)


def test_answers_that_get_longer_are_told_item_by_item() -> None:
    """Half as long again on each item is 1.5 times, beyond MLPerf's 110 %, whatever the length of the items."""
    before = [row(f"i{n}", RIGHT, output_tokens=10 * (n + 1)) for n in range(40)]
    after = [row(f"i{n}", RIGHT, output_tokens=15 * (n + 1)) for n in range(40)]
    found = lengthened(before, after)
    assert found is not None
    assert found.value == pytest.approx(1.5)
    assert found.lo > LENGTHS[1]
    back = lengthened(after, before)
    assert back is not None
    assert back.value == pytest.approx(1 / 1.5)
    assert back.n == 40
    assert back.hi < LENGTHS[0]


def test_answers_of_the_same_length_stay_within_the_bounds() -> None:
    """Twice the same lengths are 1, with an interval that has a width and lies within 90 to 110 %."""
    same = [row(f"i{n}", RIGHT, output_tokens=20 + n) for n in range(60)]
    found = lengthened(same, same)
    assert found is not None
    assert LENGTHS[0] < found.lo < found.value == 1.0 < found.hi < LENGTHS[1]


def test_a_length_that_nobody_tells_is_none() -> None:
    """An answer whose tokens are not told is no answer of 0 tokens."""
    assert lengthened([row("a", RIGHT)], [row("a", RIGHT, output_tokens=9)]) is None
    assert lengthened([], []) is None
