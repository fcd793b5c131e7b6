from __future__ import annotations

import pytest

from insight.quality.first_token import first_token
from metrics.quality import Arm, Graded, Outcome

ARMS = (Arm.COLD, Arm.WARM, Arm.AGAIN)


def round_of(
    number: int, logprobs: tuple[float | None, ...], cached: tuple[int | None, ...] = (0, 16, 0)
) -> list[Graded]:
    """One item with these log-probabilities of its first token: cold, warm and cold again."""
    return [
        Graded("i", "f", Outcome.RIGHT, arm=arm, round=number, first_logprob=logprob, cached_tokens=tokens)
        for arm, logprob, tokens in zip(ARMS, logprobs, cached, strict=True)
    ]


def test_a_warm_cache_that_shifts_the_first_token_is_told() -> None:
    """0.5 against a base rate of 0.1, round by round: an excess of 0.4 that does not come by chance."""
    rows = [each for n in range(50) for each in round_of(n, (-1.0, -1.5 - 0.01 * (n % 5), -1.1))]
    found = first_token(rows)
    assert found is not None
    assert found.warm == pytest.approx(0.52)
    assert found.cold == pytest.approx(0.1)
    assert found.excess.value == pytest.approx(0.42)
    assert found.excess.n == 50
    assert found.excess.lo > 0


def test_a_cache_that_changes_nothing_shows_no_excess() -> None:
    """Differences of the same size in both directions: the interval holds 0."""
    rows = [each for n in range(50) for each in round_of(n, (-1.0, -1.0 - 0.1 * (n % 2), -1.0 - 0.1 * ((n + 1) % 2)))]
    found = first_token(rows)
    assert found is not None
    assert found.excess.lo < 0 < found.excess.hi


@pytest.mark.parametrize(
    ("logprobs", "cached"),
    [
        ((-1.0, None, -1.0), (0, 16, 0)),  # not told
        ((-1.0, -2.0, -1.0), (0, 0, 0)),  # asked for warm, and nothing came from the cache
        ((-1.0, -2.0, -1.0), (8, 16, 0)),  # asked for cold, and something did
    ],
)
def test_what_cannot_be_compared_is_left_out(
    logprobs: tuple[float | None, ...], cached: tuple[int | None, ...]
) -> None:
    """None where no round tells three probabilities of the arms that it was to have."""
    assert first_token(round_of(0, logprobs, cached)) is None
    assert first_token([]) is None
