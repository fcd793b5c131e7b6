"""How likely a finding is to come (again), in words, with the horizon and the counts that the words rest on.

Two kinds of findings, two ways to know: events are counted (an XID, a restart, a burst of preemptions), levels are
timed (a full cache, a queue). The horizon is as long as was observed, a day at most: nobody who watched for an hour
knows tomorrow.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.quality.statistics import wilson
from metrics import units

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_HORIZON = 86_400.0
ONE_EPISODE = 600.0
"""Seconds; episodes that are closer are one: what flaps is not many faults."""
BINS = ((0.6, "high"), (0.2, "medium"), (0.0, "low"))
"""From which chance on it is called what."""
GPU_FAULTS = frozenset({"ecc_uncorrected", "gpu_lost", "row_remap", "xid"})
"""Which of the rules speak of the faults that `gpu_prior` counts."""
GPU_DAYS_PER_FAULT = 3300.0
"""Meta's Llama 3 405B training: 268 faults of GPUs and their memory on 16 384 GPUs in 54 days (its paper, table 5)."""
SECONDS_PER_DAY = 86_400.0


class Likelihood(Struct, frozen=True):
    """How likely, over which horizon, and what that is known from."""

    bin: str
    """`high`, `medium`, `low`, or `unknown`."""
    text: str
    """With the horizon and the counts."""
    chance: float | None
    """None where there is none to be told: an event that was never seen has a bound, not a chance."""
    lo: float | None
    hi: float | None
    """The 95 % interval of a share of time; of an event never seen, `hi` bounds the chance."""
    horizon: float
    observed: float
    """Seconds, both."""
    count: float
    """Episodes, or independent looks at a level."""

    @property
    def named(self) -> str:
        """The bin before the text, where there is a chance to be named."""
        return self.text if self.chance is None else f"{self.bin}: {self.text}"


def episodes(spans: Iterable[tuple[float, float | None]], gap: float = ONE_EPISODE) -> int:
    """Count episodes, (begin, end or None while it goes on) in seconds, those less than `gap` apart as one."""
    count, last = 0, -math.inf
    for begin, end in sorted(spans, key=lambda span: span[0]):
        count += begin - last >= gap
        last = max(last, math.inf if end is None else end)
    return count


def event(count: int, observed: float) -> Likelihood:
    """Tell the chance of at least one more episode within the horizon H, after `count` in `observed` seconds T.

    For k >= 1 this is the Jeffreys predictive probability of a Poisson process: 1 - (T / (T + H))^(k + 1/2), which is
    65 % for one in H = T, 82 % for two. For none it would be ignorance that looks like a risk (29 %), so then the rule
    of three bounds the rate instead: at most 3 / T with 95 % confidence.
    """
    horizon = _horizon(observed)
    if observed <= 0:
        return Likelihood("unknown", "not observed", None, None, None, 0.0, 0.0, 0)
    if count == 0:
        text = f"not observed in {units.duration(observed)} (at most 3 in as long)"
        return Likelihood("low", text, None, 0.0, -math.expm1(-3 * horizon / observed), horizon, observed, 0)
    chance = 1 - (observed / (observed + horizon)) ** (count + 0.5)
    seen = "once" if count == 1 else f"{count} times"
    text = f"{_percent(chance)} within {units.duration(horizon)} ({seen} in {units.duration(observed)})"
    return Likelihood(called(chance), text, chance, None, None, horizon, observed, count)


def level(spans: Iterable[tuple[float, float | None]], observed: float, now: float) -> Likelihood:
    """Tell the share of the horizon that a level will be beyond its threshold, by how long it was in `observed` s.

    `spans` are (begin, end or None while it goes on) in seconds. Two states that take turns at random, on for a and off
    for b on average, forget what they were within ab / (a + b); so k turns in a time of which a share p was spent on
    are worth k / (2p(1 - p)) independent looks, on which Wilson's interval rests.
    """
    horizon = _horizon(observed)
    known = [(max(begin, now - observed), now if end is None else end) for begin, end in spans]
    held = [(begin, end) for begin, end in known if end > begin]
    if observed <= 0 or not held:
        return event(0, observed)
    share = min(1.0, math.fsum(end - begin for begin, end in held) / observed)
    looks = max(1, round(len(held) / (2 * share * (1 - share)) if share < 1 else observed / ONE_EPISODE))
    lo, hi = _wilson(share, looks)
    seen = "once" if len(held) == 1 else f"{len(held)} times"
    text = (
        f"{_percent(share)} of the next {units.duration(horizon)} "
        f"({_span(lo, hi)}; {seen} in {units.duration(observed)})"
    )
    return Likelihood(called(share), text, share, lo, hi, horizon, observed, looks)


def gpu_prior(gpus: int, horizon: float) -> Likelihood:
    """Tell the chance of a hardware fault among so many GPUs, from outside: training load on another's machines."""
    days = gpus * horizon / SECONDS_PER_DAY
    chance = -math.expm1(-days / GPU_DAYS_PER_FAULT)
    text = (
        f"{_percent(chance)} within {units.duration(horizon)} for {gpus} GPUs, elsewhere: "
        f"one fault in {GPU_DAYS_PER_FAULT:.0f} GPU-days of training (Llama 3 405B)"
    )
    return Likelihood(called(chance), text, chance, None, None, horizon, 0.0, 0)


def called(chance: float) -> str:
    """Name the bin of a chance."""
    return next(name for least, name in BINS if chance >= least)


def _horizon(observed: float) -> float:
    return min(LONGEST_HORIZON, max(0.0, observed))


def _wilson(share: float, n: int) -> tuple[float, float]:
    found = wilson(round(share * n), n)
    return (0.0, 1.0) if found is None else (min(share, found.lo), max(share, found.hi))


def _span(lo: float, hi: float) -> str:
    return f"{units.digits(lo * 100, 2)}-{units.digits(hi * 100, 2)} %"


def _percent(share: float) -> str:
    return f"{units.digits(share * 100, 2)} %"
