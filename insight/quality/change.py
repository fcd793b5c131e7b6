"""Whether answers got worse between two times: the same items, pair by pair.

How the rules read it; `insight.quality.batches.finished` gives the batches, and each wants two bad ones running:

- R40: `change` with `p` < 0.01 and `points` <= -0.02, or with `ratio.value` < 0.99 (MLPerf) and `ratio.hi` < 1; `shift`
  with `f1` for token F1.
- R43: `shift` with `relevancy`, and with `coherence`, where `hi` < 0 and `value` <= -0.05.
- R39: `appeared` with `p` < 0.01, or `lengthened` with `hi` < 0.9 or `lo` > 1.1 (`LENGTHS`). `difference` says by how
  much: fewer answers are without the fault, so it falls.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.quality.fault import Fault, fault_of
from insight.quality.statistics import Interval, bootstrap_difference, mcnemar, paired_difference, paired_ratio
from insight.quality.summary import newest
from metrics.quality import Graded, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


LENGTHS = (0.9, 1.1)
"""Of the length that answers had before: what is shorter or longer on the average is another model."""


class Change(Struct, frozen=True):
    """The items that were answered both times."""

    pairs: int
    worse: int
    """Good before, not good after."""
    better: int
    kept: int
    """Good both times."""

    @property
    def p(self) -> float:
        """Exact one-sided McNemar p that as many got worse by chance."""
        return mcnemar(self.worse, self.better)

    @property
    def points(self) -> float:
        """Share that is good after minus that before, -1 to 1."""
        return (self.better - self.worse) / self.pairs

    @property
    def difference(self) -> Interval:
        """The same with its 95 % interval."""
        found = paired_difference(self.worse, self.better, self.pairs)
        return found or Interval(self.points, -1.0, 1.0, self.pairs)

    @property
    def ratio(self) -> Interval | None:
        """Share that is good after over that before, with its 95 % interval; None where none was good before."""
        return paired_ratio(self.kept, self.worse, self.better)


def right(graded: Graded) -> bool:
    """Tell whether an answer was right."""
    return graded.outcome is Outcome.RIGHT


def change(before: Iterable[Graded], after: Iterable[Graded], good: Callable[[Graded], bool] = right) -> Change | None:
    """Compare by item id what is `good` of an answer; None where no item was answered both times.

    With 2 % of items that flip by themselves, 100 items show a drop of 10 points in 85 % of cases, and 50 items one of
    20 points in 92 % (simulated): no finding on few items is no proof that nothing changed.
    """
    was, now = newest(before), newest(after)
    both = [(good(was[item]), good(now[item])) for item in was.keys() & now.keys()]
    if not both:
        return None
    return Change(
        len(both),
        worse=sum(one and not other for one, other in both),
        better=sum(other and not one for one, other in both),
        kept=sum(one and other for one, other in both),
    )


def appeared(before: Iterable[Graded], after: Iterable[Graded], looked_for: Fault) -> Change | None:
    """Compare by item id: `worse` are the items that have the fault now and had it not; None without a pair."""
    return change(before, after, lambda each: fault_of(each) is not looked_for)


def shift(
    before: Iterable[Graded], after: Iterable[Graded], measured: Callable[[Graded], float | None]
) -> Interval | None:
    """Give the mean change of what is `measured` of an answer, item by item, with its paired bootstrap interval.

    None where there is no item of which it is known both times; `n` is how many there are.
    """
    was, now = newest(before), newest(after)
    pairs = ((measured(was[item]), measured(now[item])) for item in was.keys() & now.keys())
    return bootstrap_difference([(one, other) for one, other in pairs if one is not None and other is not None])


def lengthened(before: Iterable[Graded], after: Iterable[Graded]) -> Interval | None:
    """Give the tokens of an answer after over those before, the geometric mean over the items, with its interval.

    MLPerf Inference holds a quantised model to `LENGTHS` of the length that its answers had before. None where no
    length is known both times.
    """
    found = shift(before, after, _log_length)
    if found is None:
        return None
    return Interval(math.exp(found.value), math.exp(found.lo), math.exp(found.hi), found.n)


def _log_length(graded: Graded) -> float | None:
    return math.log(graded.output_tokens) if graded.output_tokens > 0 else None


def f1(graded: Graded) -> float | None:
    """SQuAD token F1 of an answer."""
    return graded.f1


def relevancy(graded: Graded) -> float | None:
    """Cosine of question and answer."""
    return graded.relevancy


def coherence(graded: Graded) -> float | None:
    """Mean cosine of neighbouring sentences of the answer."""
    return graded.coherence
