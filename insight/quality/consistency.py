"""Whether the prefix cache changes answers: warm against cold, held against cold against cold.

No server is deterministic at temperature 0: kernels depend on the size of the batch, so that answers to one prompt
diverge without any cache (of 1000 completions of one prompt, 80 differed, He 2025). A difference between a warm and a
cold answer is therefore no finding; that warm ones differ more often than cold ones is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import astuple

from insight.quality.grading import NOT_JSON
from insight.quality.statistics import Interval, fisher, wilson
from metrics.quality import Arm, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metrics.quality import Graded


class Consistency(Struct, frozen=True):
    """Pairs of answers to one prompt.

    R41 reads it: the cache spoils answers where `p` or `p_graded` is below 0.01 with at least 50 pairs of both kinds,
    or, with any number of pairs, where `warm_only_broken` is not 0. `warm_mismatch` against `cold_mismatch` says how
    often.
    """

    cold_pairs: int = 0
    """Both with a cold cache."""
    cold_same: int = 0
    """Of those: word for word the same. An item for this asks for few tokens, so that they are compared whole."""
    cold_same_grade: int = 0
    """Of the cold pairs: right both, or wrong both."""
    warm_pairs: int = 0
    """One with a cold cache, one with a warm one."""
    warm_same: int = 0
    warm_same_grade: int = 0
    not_warm: int = 0
    """Pairs left out because the server said that the warm answer took nothing from its cache."""
    warm_only_wrong: int = 0
    """Items right with a cold cache, both times, and wrong with a warm one."""
    warm_only_broken: int = 0
    """Of those: JSON with a cold cache, both times, and none at all with a warm one."""

    @property
    def p(self) -> float | None:
        """One-sided Fisher p that warm answers differ so much more often by chance; None without both kinds."""
        return self._fisher(self.warm_same, self.cold_same)

    @property
    def p_graded(self) -> float | None:
        """The same of what became of the answers: right both, or wrong both."""
        return self._fisher(self.warm_same_grade, self.cold_same_grade)

    @property
    def warm_mismatch(self) -> Interval | None:
        """Share of the warm pairs that differ in any word, with Wilson's interval."""
        return wilson(self.warm_pairs - self.warm_same, self.warm_pairs)

    @property
    def cold_mismatch(self) -> Interval | None:
        """Share of the cold pairs that differ in any word: the base rate."""
        return wilson(self.cold_pairs - self.cold_same, self.cold_pairs)

    def _fisher(self, warm_alike: int, cold_alike: int) -> float | None:
        if not self.cold_pairs or not self.warm_pairs:
            return None
        return fisher(self.warm_pairs - warm_alike, warm_alike, self.cold_pairs - cold_alike, cold_alike)


def consistency(graded: Iterable[Graded]) -> Consistency | None:
    """Compare the arms of each item and round, all of one server; None where there is no pair.

    What the server says of its cache wins over what was asked for: a `warm` answer that took nothing from the cache,
    and a `cold` one that took something, make no pair.
    """
    whole = add(_compared(arms) for arms in rounds(graded))
    return whole if whole and (whole.cold_pairs or whole.warm_pairs or whole.not_warm) else None


def rounds(graded: Iterable[Graded]) -> list[dict[Arm, Graded]]:
    """Bring together the answers to one item in one round, by their arms; what failed, or has one arm, is left out."""
    found: dict[tuple[str, int], dict[Arm, Graded]] = {}
    for each in graded:
        if each.arm is not Arm.ONLY and each.outcome is not Outcome.FAILED:
            found.setdefault((each.item, each.round), {})[each.arm] = each
    return list(found.values())


def were_cold(arms: Mapping[Arm, Graded]) -> bool:
    """Tell whether both answers that were to meet a cold cache did."""
    cold, again = arms.get(Arm.COLD), arms.get(Arm.AGAIN)
    return cold is not None and again is not None and not (cold.cached_tokens or again.cached_tokens)


def was_warm(arms: Mapping[Arm, Graded]) -> bool:
    """Tell whether the answer that was to meet a warm cache did, and the one to hold it against a cold one."""
    cold, warm = arms.get(Arm.COLD), arms.get(Arm.WARM)
    return cold is not None and warm is not None and not cold.cached_tokens and warm.cached_tokens != 0


def _compared(arms: Mapping[Arm, Graded]) -> Consistency:
    """Compare the arms of one item and round."""
    cold, warm, again = (arms.get(each) for each in (Arm.COLD, Arm.WARM, Arm.AGAIN))
    if cold is None:
        return Consistency()
    base, hit = were_cold(arms), was_warm(arms)
    spoilt = base and hit and _right(cold) and _right(again) and not _right(warm)
    return Consistency(
        cold_pairs=base,
        cold_same=base and _same(cold, again),
        cold_same_grade=base and _right(cold) == _right(again),
        warm_pairs=hit,
        warm_same=hit and _same(cold, warm),
        warm_same_grade=hit and _right(cold) == _right(warm),
        not_warm=warm is not None and not hit,
        warm_only_wrong=spoilt,
        warm_only_broken=spoilt and warm is not None and warm.why == NOT_JSON,
    )


def add(parts: Iterable[Consistency]) -> Consistency | None:
    """Add up what was found of several servers; None where there is nothing to add."""
    rows = [astuple(each) for each in parts]
    return Consistency(*map(sum, zip(*rows, strict=True))) if rows else None


def _same(one: Graded, other: Graded | None) -> bool:
    return other is not None and one.digest == other.digest


def _right(graded: Graded | None) -> bool:
    return graded is not None and graded.outcome is Outcome.RIGHT
