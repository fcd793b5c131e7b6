from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.quality.statistics import (
    bootstrap_difference,
    bootstrap_macro_f1,
    bootstrap_mean,
    fisher,
    macro_f1,
    mcnemar,
    paired_difference,
    paired_ratio,
    rule_of_three,
    wilson,
)

COUNTS = st.integers(0, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("hits", "n", "lo", "hi"),
    [
        (20, 20, 0.839, 1.0),
        (50, 50, 0.929, 1.0),
        (100, 100, 0.963, 1.0),
        (18, 20, 0.699, 0.972),
        (45, 50, 0.786, 0.957),
        (90, 100, 0.826, 0.945),
        (180, 200, 0.851, 0.934),
        (0, 20, 0.0, 0.161),
    ],
)
def test_wilson(hits: int, n: int, lo: float, hi: float) -> None:
    """The interval agrees with values worked out by hand from Wilson's formula."""
    found = wilson(hits, n)
    assert found is not None
    assert (found.value, found.n) == (hits / n, n)
    assert (round(found.lo, 3), round(found.hi, 3)) == (lo, hi)


@given(COUNTS)
def test_wilson_holds_the_share(counts: tuple[int, int]) -> None:
    """It lies within 0 and 1, holds the share, has a width, and mirrors when hits and misses change places."""
    hits, n = counts
    found, mirrored = wilson(hits, n), wilson(n - hits, n)
    if found is None or mirrored is None:
        assert n == 0
        return
    assert 0 <= found.lo <= found.value <= found.hi <= 1
    assert found.lo < found.hi
    assert found.lo == pytest.approx(1 - mirrored.hi)


def test_wilson_solves_its_equation() -> None:
    """At each bound the share is 1.96 standard errors of the bound away: that is what a score interval means."""
    found = wilson(37, 90)
    assert found is not None
    for bound in (found.lo, found.hi):
        assert abs(found.value - bound) / math.sqrt(bound * (1 - bound) / 90) == pytest.approx(1.959964)


def test_rule_of_three() -> None:
    """Nothing in 100 observations: at most 3 %; with none, nothing can be said."""
    assert rule_of_three(100) == 0.03
    assert rule_of_three(2) == 1.0
    assert rule_of_three(0) is None
    assert abs((1 - 0.03) ** 100 - 0.05) < 0.003


@pytest.mark.parametrize(
    ("worse", "better", "p"),
    [(5, 1, 7 / 64), (10, 0, 1 / 1024), (0, 10, 1.0), (0, 0, 1.0), (1, 1, 0.75), (8, 2, 56 / 1024)],
)
def test_mcnemar(worse: int, better: int, p: float) -> None:
    """The tail of a fair coin, counted by hand."""
    assert mcnemar(worse, better) == pytest.approx(p)


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_tails(worse: int, better: int) -> None:
    """The two tails overlap in the outcome itself: their sum is 1 plus its probability."""
    itself = math.comb(worse + better, worse) / 2 ** (worse + better)
    assert mcnemar(worse, better) + mcnemar(better, worse) == pytest.approx(1 + itself)


@pytest.mark.parametrize(
    ("table", "p"),
    [
        ((3, 1, 1, 3), 17 / 70),
        ((4, 0, 0, 4), 1 / 70),
        ((0, 4, 4, 0), 1.0),
        ((0, 0, 3, 2), 1.0),
        ((2, 8, 0, 10), 9 / 38),
    ],
)
def test_fisher(table: tuple[int, int, int, int], p: float) -> None:
    """Fisher's tea (17 of 70 ways) and other tables counted by hand."""
    assert fisher(*table) == pytest.approx(p)


@given(*[st.integers(0, 40)] * 4)
def test_fisher_agrees_with_the_transposed_table(a: int, b: int, c: int, d: int) -> None:
    """Groups and outcomes are of equal standing in the test, and p is a probability."""
    assert fisher(a, b, c, d) == pytest.approx(fisher(a, c, b, d))
    assert 0 < fisher(a, b, c, d) <= 1 + 1e-12


def test_macro_f1() -> None:
    """The mean over expected classes, worked out by hand: A 2/3, B 2/3; a class that was only said is none."""
    assert macro_f1([("A", "A"), ("A", "B"), ("B", "B")]) == pytest.approx(2 / 3)
    assert macro_f1([("A", "A"), ("B", "")]) == pytest.approx(1 / 2)
    assert macro_f1([("A", "A"), ("A", "C")]) == pytest.approx(2 / 3)
    assert macro_f1([]) is None


def test_macro_f1_sees_who_always_says_the_same() -> None:
    """Always B is right in a quarter of cases, and worth a tenth."""
    pairs = [(each, "B") for each in "ABCD" * 4]
    assert macro_f1(pairs) == pytest.approx(0.4 / 4)


def test_the_bootstrap_is_repeatable() -> None:
    """The same values in any order give the same interval, and it is near the normal one where that applies."""
    draw = random.Random(3)
    values = [draw.random() for _ in range(200)]
    found = bootstrap_mean(values)
    assert found == bootstrap_mean(values[::-1])
    assert found is not None
    assert found.value == pytest.approx(math.fsum(values) / 200)
    half = 1.96 * math.sqrt(1 / 12 / 200)
    assert found.hi - found.value == pytest.approx(half, rel=0.2)
    assert found.value - found.lo == pytest.approx(half, rel=0.2)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_the_bootstrap_holds_the_mean(values: list[float]) -> None:
    """The interval lies within 0 and 1 and holds the mean; of nothing there is none."""
    found = bootstrap_mean(values)
    if found is None:
        assert not values
        return
    assert found.n == len(values)
    assert -1e-9 <= found.lo <= found.value <= found.hi <= 1 + 1e-9
    assert found.lo < found.hi


def test_values_that_are_all_alike_are_not_certain() -> None:
    """20 times 0 leaves room for 3/20 of something else, as 20 times 1 does, and less than that of the lowest."""
    none, all_, minus = bootstrap_mean([0.0] * 20), bootstrap_mean([1.0] * 20), bootstrap_mean([0.0] * 20, -1.0)
    assert none is not None
    assert all_ is not None
    assert minus is not None
    assert (none.lo, none.hi) == (0.0, 0.15)
    assert (all_.lo, all_.hi) == (0.85, 1.0)
    assert (minus.lo, minus.hi) == (-0.15, 0.15)


def test_the_bootstrap_of_macro_f1() -> None:
    """It has an interval around its value."""
    found = bootstrap_macro_f1([("A", "A")] * 5 + [("B", "A")] * 5)
    assert found is not None
    assert found.value == pytest.approx(1 / 3)
    assert found.lo < found.value < found.hi


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_paired_intervals_hold_their_value(kept: int, worse: int, better: int, neither: int) -> None:
    """Whatever was counted, the bounds lie on both sides of the value, and there is a width."""
    n = kept + worse + better + neither
    change = paired_difference(worse, better, n)
    assert (change is None) == (n == 0)
    if change is not None:
        assert -1 <= change.lo <= change.value <= change.hi <= 1
        assert change.lo < change.hi
    ratio = paired_ratio(kept, worse, better)
    assert (ratio is None) == (kept + worse == 0)
    if ratio is not None:
        assert 0 <= ratio.lo <= ratio.value <= ratio.hi
        assert ratio.lo < ratio.hi


def test_paired_intervals_cover() -> None:
    """Of 400 simulated comparisons of 60 pairs, the 95 % interval of the change holds the true one in 92 % or more."""
    draw, held = random.Random(5), 0
    for _ in range(400):
        flips = [draw.random() for _ in range(60)]
        found = paired_difference(sum(each < 0.15 for each in flips), sum(each > 0.95 for each in flips), 60)
        held += found is not None and found.lo <= -0.10 <= found.hi
    assert held >= 0.92 * 400


def test_paired_means() -> None:
    """The mean of the differences, the same in any order; none without a pair."""
    pairs = [(0.5, 0.4), (0.6, 0.6), (0.9, 0.7)]
    found = bootstrap_difference(pairs)
    assert found is not None
    assert found.value == pytest.approx(-0.1)
    assert found == bootstrap_difference(pairs[::-1])
    assert bootstrap_difference([]) is None
