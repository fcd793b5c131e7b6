"""The life of a finding: inactive, pending, firing, resolving, inactive. One state machine for every rule.

The condition has to hold for `enter` seconds before it fires and to be gone for `keep` seconds before it is over. What
cannot be told neither makes a finding fire nor ends one that does: no data is no fault, and no recovery either. Time is
what the caller says it is.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from insight.rules.rule import Condition
from metrics.finding import Severity

if TYPE_CHECKING:
    from insight.rules.rule import Timing

_RANK = {severity: rank for rank, severity in enumerate(Severity)}
JITTER_SECONDS = 0.25
"""So much short of its time is long enough: polls do not come on the second. Polled every 10 s, a real vLLM's queue had
stood for 9.96 s, not 10, at the second poll that saw it, and was told at the third."""
MAX_EPISODES = 50
"""So many are kept, the last; what is counted or timed by them goes by `Life.complete_since`."""
FLAP_EPISODES = 3
FLAP_SECONDS = 600.0
"""A finding that fired so often in so long is flapping, ..."""
FLAP_KEEP = 120.0
"""... and is then kept for at least so long, so that it is one long finding and not many short ones. Our defaults."""


class Phase(Enum):
    """Where a finding stands."""

    INACTIVE = auto()
    PENDING = auto()
    FIRING = auto()
    RESOLVING = auto()


class Episode(Struct, frozen=True):
    """One time that it fired."""

    begin: float
    """Monotonic time since when the condition held."""
    end: float | None = None
    """When it ceased to; None while it fires."""


class Life(Struct, frozen=True, eq=False):
    """One rule about one source."""

    condition: Condition
    """What the rule said last."""
    phase: Phase = Phase.INACTIVE
    since: float | None = None
    """When the condition began to hold (pending, firing) or ceased to (resolving)."""
    entered: float = 0.0
    """When the phase began."""
    held: Condition | None = None
    """What the rule said last while the condition held: what there is to say of a finding that is resolving."""
    severity: Severity = Severity.INFO
    """The worst that the rule said within the last `keep` seconds in which the condition held."""
    severe_at: float = 0.0
    """When the rule last said so."""
    episodes: tuple[Episode, ...] = ()

    @property
    def active(self) -> bool:
        """It fires, or has not been over for long enough."""
        return self.phase in {Phase.FIRING, Phase.RESOLVING}

    @property
    def complete_since(self) -> float | None:
        """When the oldest that is kept ended: every later one is kept as well. None where none was forgotten."""
        return self.episodes[0].end if len(self.episodes) >= MAX_EPISODES else None

    def flapping(self, now: float) -> bool:
        """Tell whether it fired too often lately."""
        return sum(each.begin > now - FLAP_SECONDS for each in self.episodes) >= FLAP_EPISODES


def step(life: Life | None, timing: Timing, condition: Condition, now: float) -> Life:
    """Go on with a life after what the rule says now; a `life` of None is one that begins."""
    if life is None:
        life = Life(condition, entered=now)
    if condition.holds:
        return _holding(life, timing, condition, now)
    return _not_holding(life, timing, condition, now)


def _holding(life: Life, timing: Timing, condition: Condition, now: float) -> Life:
    begins = life.phase is Phase.INACTIVE
    if begins or _RANK[condition.severity] <= _RANK[life.severity] or now - life.severe_at >= timing.keep:
        life = replace(life, severity=condition.severity, severe_at=now)
    life = replace(life, condition=condition, held=condition)
    if life.phase is Phase.FIRING:
        return life
    if life.phase is Phase.RESOLVING:
        return replace(life, phase=Phase.FIRING, since=life.episodes[-1].begin, entered=now)
    since = life.since if life.phase is Phase.PENDING and life.since is not None else now
    if condition.since is not None:
        since = min(since, condition.since)
    if now - since < max(timing.enter, condition.enter) - JITTER_SECONDS:
        return replace(life, phase=Phase.PENDING, since=since, entered=now if begins else life.entered)
    episodes = (*life.episodes, Episode(since))[-MAX_EPISODES:]
    return replace(life, phase=Phase.FIRING, since=since, entered=now, episodes=episodes)


def _not_holding(life: Life, timing: Timing, condition: Condition, now: float) -> Life:
    if life.phase is Phase.FIRING:
        if condition.holds is None:
            return replace(life, condition=condition)
        life = replace(life, phase=Phase.RESOLVING, since=now, entered=now)
    if life.phase is Phase.RESOLVING:
        ceased = now if life.since is None else life.since
        keep = max(timing.keep, FLAP_KEEP) if timing.keep and life.flapping(now) else timing.keep
        if now - ceased < keep:
            return replace(life, condition=condition)
        episodes = (*life.episodes[:-1], replace(life.episodes[-1], end=ceased))
        return replace(life, condition=condition, phase=Phase.INACTIVE, since=None, entered=now, episodes=episodes)
    if life.phase is Phase.PENDING:
        return replace(life, condition=condition, phase=Phase.INACTIVE, since=None, entered=now)
    return life if life.condition is condition else replace(life, condition=condition)
