"""What is known of one server: its traffic, what a step costs, how loaded it is, what it could take."""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

from insight.estimators import capacity
from insight.estimators.step_time import NoStepTime, StepTime
from insight.estimators.steps import Limits
from insight.estimators.traffic import Traffic
from insight.estimators.windows import StepWindow
from metrics.effect import Effect


class Known(Struct, frozen=True, eq=False, kw_only=True):
    """What is known of one server."""

    model: StepTime | NoStepTime
    """Fitted on the time before whatever slows the engine now."""
    traffic: Traffic | None
    """Of the last minute; None where no request got its first token in it."""
    arrivals: float | None
    """Requests that come, per second: those that got their first token and those by which the queue grew."""
    recent: tuple[StepWindow, ...]
    """The windows of the last minute, ..."""
    before: tuple[StepWindow, ...]
    """... those that the fit is made on, ..."""
    slowed: tuple[StepWindow, ...]
    """... and those since something slows the engine; empty where nothing does."""
    limits: Limits
    slots: float | None
    """Most requests that may run at once, as far as the server or its command line tells."""
    kv_tokens: float | None
    """Tokens that the KV cache holds."""
    resident: float | None
    """Tokens that a running request holds of it, on average over the last minute."""
    prefix_caching: bool | None
    day: tuple[float, ...]
    """Requests that ended, per second, in each 10 min of the last day; empty before a day was watched."""
    load: Effect
    """rho: the share of the time in which requests lengthen the steps."""
    capacity: Effect
    """Requests per second that it can finish: measured under a queue, else modelled."""
    within: Effect
    """Requests per second at which the *mean* ITL is at the limit of the ITL objective. An objective on p95 is missed
    well before: a twentieth of the gaps holds a prompt long before half of them do. So this is a bound from above."""
    headroom: Effect
    """How much more traffic of this kind the capacity takes: capacity over what comes, less 1."""
    full_cache: Effect
    """Requests per second at which the KV cache is full, by token-seconds (E3)."""
    carries: Effect
    """Requests per second that one such server is planned to carry: below its capacity, within the objective."""
    more_load: Effect | None
    """Mean ITL at twice the traffic, or at the most that it is planned to carry; None where there is no room."""
    drain: Effect | None
    """How long the queue takes to be worked off; None where none stands."""
    preempted: Effect | None
    """The share of its time that preemptions cost; None without any."""
    energy: Effect | None
    """Joules of an output token; None where the GPUs of this server are not known, or not their energy."""
    cost: Effect | None
    """The price of a million output tokens; None where that of a GPU is not stated."""
    binding: str | None
    """What is reached first when traffic grows: `slots`, `kv_cache`, `objective`; `measured` where it is."""

    @property
    def fitted(self) -> StepTime | None:
        """The step-time model; None where there is none."""
        return self.model if isinstance(self.model, StepTime) else None

    @property
    def needs(self) -> str:
        """What would have to be measured for step times that speak of the traffic of now; empty where they do."""
        return self.model.needs if isinstance(self.model, NoStepTime) else self.load.needs

    @property
    def batch(self) -> float:
        """Requests that ran, on average over the last minute."""
        ran = [each.running for each in self.recent if each.running is not None]
        return math.fsum(ran) / len(ran) if ran else 0.0

    @property
    def itl(self) -> float | None:
        """Mean ITL over the last minute, in seconds."""
        count = math.fsum(each.itl_count for each in self.recent)
        return math.fsum(each.itl_sum for each in self.recent) / count if count else None

    @property
    def rate(self) -> float:
        """Requests that ended, per second over the last minute."""
        seconds = math.fsum(each.seconds for each in self.recent)
        return math.fsum(each.finished for each in self.recent) / seconds if seconds else 0.0

    @property
    def replicas(self) -> Effect | None:
        """How many such servers carry what comes; None where this one does, or that is not known."""
        if not self.arrivals:
            return None
        found = capacity.replicas(self.carries, self.arrivals, 1.0)
        return replace(found, name="replicas needed") if (found.hi or 0.0) > 1.0 else None

    @property
    def estimates(self) -> tuple[Effect, ...]:
        """What is shown of it: first what always has its row, then what there is to tell."""
        always = (self.load, self.capacity, self.within, self.full_cache, self.headroom)
        there = (self.replicas, self.more_load, self.drain, self.preempted, self.energy, self.cost)
        return (*always, *(each for each in there if each is not None))
