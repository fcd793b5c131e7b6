"""Whether the prefix cache changes answers: warm against cold, held against cold against cold.

No server is deterministic at temperature 0: kernels depend on the size of the batch, so that answers to one prompt
diverge without any cache (of 1000 completions of one prompt, 80 differed, He 2025). A difference between a warm and a
cold answer is therefore no finding; that warm ones differ more often than cold ones is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from insight.quality.statistics import fisher
from metrics.quality import Arm, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metrics.quality import Graded


class Consistency(Struct, frozen=True):
    """Pairs of answers to one prompt."""

    cold_pairs: int
    """Both with a cold cache."""
    cold_same: int
    """Of those: word for word the same. An item for this asks for 32 to 64 tokens, so that they are compared whole."""
    warm_pairs: int
    """One with a cold cache, one with a warm one."""
    warm_same: int
    warm_same_grade: int
    """Of the warm pairs: right both, or wrong both."""
    not_warm: int
    """Pairs left out because the server said that the warm answer took nothing from its cache."""

    @property
    def p(self) -> float | None:
        """One-sided Fisher p that warm answers differ so much more often by chance; None without both kinds."""
        if not self.cold_pairs or not self.warm_pairs:
            return None
        return fisher(
            self.warm_pairs - self.warm_same, self.warm_same, self.cold_pairs - self.cold_same, self.cold_same
        )


def consistency(graded: Iterable[Graded]) -> Consistency | None:
    """Compare the arms of each item and round, all of one server; None where there is no pair.

    What the server says of its cache wins over what was asked for: a `warm` answer that took nothing from the cache,
    and a `cold` one that took something, make no pair.
    """
    rounds: dict[tuple[str, int], dict[Arm, Graded]] = {}
    for each in graded:
        if each.arm is not Arm.ONLY and each.outcome is not Outcome.FAILED:
            rounds.setdefault((each.item, each.round), {})[each.arm] = each
    cold = [(arms[Arm.COLD], arms[Arm.AGAIN]) for arms in rounds.values() if {Arm.COLD, Arm.AGAIN} <= arms.keys()]
    warm = [(arms[Arm.COLD], arms[Arm.WARM]) for arms in rounds.values() if {Arm.COLD, Arm.WARM} <= arms.keys()]
    cold = [(one, other) for one, other in cold if not (one.cached_tokens or other.cached_tokens)]
    truly_warm = [(one, other) for one, other in warm if not one.cached_tokens and other.cached_tokens != 0]
    if not cold and not warm:
        return None
    return Consistency(
        cold_pairs=len(cold),
        cold_same=sum(one.digest == other.digest for one, other in cold),
        warm_pairs=len(truly_warm),
        warm_same=sum(one.digest == other.digest for one, other in truly_warm),
        warm_same_grade=sum(_right(one) == _right(other) for one, other in truly_warm),
        not_warm=len(warm) - len(truly_warm),
    )


def add(parts: Iterable[Consistency]) -> Consistency | None:
    """Add up what was found of several servers; None where there is nothing to add."""
    rows = [
        (each.cold_pairs, each.cold_same, each.warm_pairs, each.warm_same, each.warm_same_grade, each.not_warm)
        for each in parts
    ]
    return Consistency(*map(sum, zip(*rows, strict=True))) if rows else None


def _right(graded: Graded) -> bool:
    return graded.outcome is Outcome.RIGHT
