from __future__ import annotations

import pytest
from msgspec.structs import replace

from insight.quality.consistency import Consistency, add, consistency
from insight.quality.grading import NOT_JSON
from metrics.quality import Arm, Graded, Outcome


def arms(round_: int, cold: str, warm: str, again: str, cached: tuple[int | None, ...] = (0, 16, 0)) -> list[Graded]:
    """One item in three arms; an answer that begins with `!` is wrong."""
    return [
        Graded(
            "i",
            "f",
            Outcome.WRONG if text.startswith("!") else Outcome.RIGHT,
            arm=arm,
            round=round_,
            digest=text,
            cached_tokens=tokens,
        )
        for arm, text, tokens in zip((Arm.COLD, Arm.WARM, Arm.AGAIN), (cold, warm, again), cached, strict=True)
    ]


def test_pairs_are_counted() -> None:
    """Warm against cold, cold against cold, word for word and by grade."""
    rows = [*arms(0, "x", "x", "x"), *arms(1, "x", "y", "x"), *arms(2, "x", "!z", "x"), *arms(3, "x", "x", "y")]
    found = consistency(rows)
    assert found == Consistency(
        cold_pairs=4,
        cold_same=3,
        cold_same_grade=4,
        warm_pairs=4,
        warm_same=2,
        warm_same_grade=3,
        warm_only_wrong=1,
    )
    assert found.p == pytest.approx(28 / 56)  # 2 of 4 differ against 1 of 4: 24 + 4 ways of 56


def test_shares_of_what_differs() -> None:
    """With their intervals, and an exact p for what became of the answers too; none without both kinds of pairs."""
    found = consistency([each for n in range(50) for each in arms(n, "x", "!y" if n < 7 else "x", "x")])
    assert found is not None
    assert found.warm_mismatch is not None
    assert found.cold_mismatch is not None
    assert (found.warm_mismatch.value, found.cold_mismatch.value) == (0.14, 0.0)
    assert found.cold_mismatch.hi == pytest.approx(0.0713, abs=1e-4)
    assert found.p == found.p_graded == pytest.approx(0.00624, abs=1e-5)
    assert Consistency(warm_pairs=50).p_graded is None
    assert Consistency().warm_mismatch is None


def test_json_that_is_broken_by_a_warm_cache_alone() -> None:
    """Right twice with a cold cache and no JSON with a warm one; what is broken anyway says nothing of the cache."""
    spoilt = arms(0, "x", "!y", "x")
    spoilt[1] = replace(spoilt[1], why=NOT_JSON)
    anyway = [replace(each, why=NOT_JSON) for each in arms(1, "!x", "!x", "!x")]
    once = [replace(each, why=NOT_JSON) for each in arms(2, "x", "!y", "!z")]
    found = consistency([*spoilt, *anyway, *once])
    assert found is not None
    assert (found.warm_only_wrong, found.warm_only_broken) == (1, 1)


def test_a_cache_that_spoils_answers() -> None:
    """Warm answers that differ where cold ones never do are no chance."""
    rows = [each for n in range(8) for each in arms(n, "x", "!y", "x")]
    found = consistency(rows)
    assert found is not None
    assert found.p == pytest.approx(1 / 12870)


def test_a_server_that_is_never_the_same_is_not_blamed_on_its_cache() -> None:
    """Where cold answers differ as often as warm ones, nothing follows."""
    rows = [each for n in range(8) for each in arms(n, "x", "y", "z")]
    found = consistency(rows)
    assert found is not None
    assert found.p == 1.0


@pytest.mark.parametrize(
    ("cached", "cold_pairs", "warm_pairs", "not_warm"),
    [
        ((0, 16, 0), 1, 1, 0),
        ((None, None, None), 1, 1, 0),
        ((0, 0, 0), 1, 0, 1),
        ((0, 16, 16), 0, 1, 0),
        ((16, 16, 0), 0, 0, 1),
    ],
)
def test_the_server_knows_its_cache_best(
    cached: tuple[int | None, ...], cold_pairs: int, warm_pairs: int, not_warm: int
) -> None:
    """What it says of cached tokens decides which answers were warm and which were cold."""
    found = consistency(arms(0, "x", "x", "x", cached))
    assert found is None or (found.cold_pairs, found.warm_pairs, found.not_warm) == (cold_pairs, warm_pairs, not_warm)
    assert found is not None or cold_pairs == warm_pairs == 0


def test_what_makes_no_pair() -> None:
    """Answers without arms, arms of another round, and questions that failed are left out."""
    whole = arms(0, "x", "x", "x")
    assert consistency([Graded("i", "f", Outcome.RIGHT)]) is None
    assert consistency([whole[0], *arms(1, "x", "x", "x")[1:]]) is None
    failed = [whole[0], Graded("i", "f", Outcome.FAILED, arm=Arm.WARM)]
    assert consistency(failed) is None


def test_adding_up() -> None:
    """Pairs of several servers add; an answer is only ever compared with one of the same server."""
    one = consistency(arms(0, "x", "y", "x"))
    assert one is not None
    assert add([one, one]) == Consistency(cold_pairs=2, cold_same=2, cold_same_grade=2, warm_pairs=2, warm_same_grade=2)
    assert add([]) is None
