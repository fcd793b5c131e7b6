from __future__ import annotations

import pytest

from insight.quality.consistency import Consistency, add, consistency
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
    assert found == Consistency(cold_pairs=4, cold_same=3, warm_pairs=4, warm_same=2, warm_same_grade=3, not_warm=0)
    assert found.p == pytest.approx(28 / 56)  # 2 of 4 differ against 1 of 4: 24 + 4 ways of 56


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
    assert add([one, one]) == Consistency(2, 2, 2, 0, 2, 0)
    assert add([]) is None
