"""What the windows of one server tell of it: its traffic, what a step costs, how loaded it is, what it could take.

It is worked out anew every 15 s at most, because a fit and what follows from it take some milliseconds and a screen
asks every second; the windows themselves are collected with every poll.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators import capacity, forecast, kv_capacity
from insight.estimators.effects import unknown
from insight.estimators.step_time import NoStepTime, StepTime, fit
from insight.estimators.steps import Limits
from insight.estimators.traffic import Traffic, observed
from insight.estimators.windows import StepWindow, WindowLog
from metrics.measure import total_gauge
from metrics.snapshot import Effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from insight.settings import Settings
    from metrics.view import SourceView

REFIT_SECONDS = 15.0
RECENT_SECONDS = 60.0
"""The traffic of now is that of the last minute: 12 requests at one in 5 s."""
ARRIVING_SECONDS = 30.0
ONSET_SECONDS = 6.0
"""A finding that says since when holds from there on; what made it may have begun two windows before."""
MOST_FITTED = 1200
"""Windows that a fit is made on at most, the newest: an hour of 3 s."""
FULL_CACHE = 0.9
"""Above this usage the cache is what limits the batch."""
DEFAULT_BUDGET, DEFAULT_SLOTS = 8192, 1024
"""What vLLM 0.32 takes on a large GPU where nothing is said, and more slots than are ever filled."""


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
    load: Effect
    """rho: the share of the time in which requests lengthen the steps."""
    capacity: Effect
    """Requests per second that it can finish: measured under a queue, else modelled."""
    within: Effect
    """Requests per second at which the *mean* ITL is at the limit of the ITL objective. An objective on p95 is missed
    well before: a twentieth of the gaps holds a prompt long before half of them do. So this is a bound from above."""
    headroom: Effect
    """How much more traffic of this kind the capacity takes: capacity over what comes, less 1."""
    binding: str | None
    """What is reached first when traffic grows: `slots`, `kv_cache`, `objective`; `measured` where it is."""

    @property
    def fitted(self) -> StepTime | None:
        """The step-time model; None where there is none."""
        return self.model if isinstance(self.model, StepTime) else None

    @property
    def needs(self) -> str:
        """What would have to be measured for a step-time model; empty where there is one."""
        return self.model.needs if isinstance(self.model, NoStepTime) else ""

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
    def estimates(self) -> tuple[Effect, ...]:
        """What is shown of it."""
        return self.load, self.capacity, self.within, self.headroom


class Knowledge:
    """What is known of every server; collected with every poll, worked out when asked for."""

    def __init__(self) -> None:
        self._logs: dict[str, WindowLog] = {}
        self._kept: dict[str, tuple[float, float | None, Known]] = {}

    def observe(self, source: SourceView) -> None:
        """Read the polls of a server since the last call."""
        log = self._logs.get(source.id)
        if log is None:
            log = self._logs[source.id] = WindowLog()
        log.observe(source)

    def of(self, source: SourceView, settings: Settings, slow_since: float | None) -> Known | None:
        """Tell what is known of a server, as of 15 s ago at most; None before it has counted anything.

        `slow_since` is since when a finding says that something slows the engine.
        """
        log = self._logs.get(source.id)
        if log is None or not log.windows:
            return None
        kept = self._kept.get(source.id)
        if kept is None or self._age(source, slow_since) >= REFIT_SECONDS:
            kept = source.view.mono, slow_since, work_out(source, tuple(log.windows), settings, slow_since)
            self._kept[source.id] = kept
        return kept[2]

    def kept(self, source: SourceView) -> Known | None:
        """Tell what was worked out last, however long ago."""
        found = self._kept.get(source.id)
        return None if found is None else found[2]

    def stalest(self, sources: Iterable[SourceView], slowed: Mapping[str, float]) -> SourceView | None:
        """Find the server that it is most pressing to ask about anew; None where all are fresh.

        A fit takes some ten milliseconds: those of many servers are spread over as many seconds.
        """
        aged = [(self._age(each, slowed.get(each.id)), each) for each in sources if each.id in self._logs]
        age, source = max(aged, key=operator.itemgetter(0), default=(0.0, None))
        return source if age >= REFIT_SECONDS else None

    def _age(self, source: SourceView, slow_since: float | None) -> float:
        """Tell how old the answer is; infinitely where none is kept, or another time of slowness is asked about."""
        kept = self._kept.get(source.id)
        if kept is None or (kept[1] is None) != (slow_since is None):
            return math.inf
        moved = kept[1] is not None and slow_since is not None and abs(kept[1] - slow_since) > ONSET_SECONDS
        return math.inf if moved else source.view.mono - kept[0]


def work_out(
    source: SourceView, windows: Sequence[StepWindow], settings: Settings, slow_since: float | None = None
) -> Known:
    """Fit the model and draw from it what follows for the traffic of now."""
    onset = math.inf if slow_since is None else slow_since - ONSET_SECONDS
    before = tuple(each for each in windows[-2 * MOST_FITTED :] if each.end <= onset)[-MOST_FITTED:]
    recent = tuple(each for each in windows if each.end > source.view.mono - RECENT_SECONDS)
    model = fit(before)
    traffic = observed(
        recent, source.histogram("prompt_tokens", RECENT_SECONDS), source.histogram("output_tokens", RECENT_SECONDS)
    )
    slots = total_gauge(source, "max_running_requests")
    kv_tokens = total_gauge(source, "kv_cache_capacity_tokens")
    resident = _resident(recent, kv_tokens)
    limits = Limits(slots=round(slots or DEFAULT_SLOTS), budget=_budget(source))
    # A cache that is full is as much of a limit as slots are.
    batch = kv_capacity.largest_batch(slots, kv_tokens, resident)
    found = capacity.measured_capacity(recent, batch if slots is not None or _is_full(recent) else None)
    within = unknown("requests_finished", "1/s", _needs(model))
    limit_of: dict[str, float | None] = {}
    if isinstance(model, StepTime) and traffic is not None:
        modelled = capacity.slot_capacity(model, traffic, batch)
        itl = next((each.limit for each in settings.objectives if each.quantity == "itl_seconds"), None)
        if itl is not None:
            within = forecast.rate_within(model, traffic, limits, itl, simulated=False)
        by_cache = None if not resident or not kv_tokens else kv_tokens / resident
        is_cache = by_cache is not None and (slots is None or by_cache < slots)
        limit_of = {"kv_cache" if is_cache else "slots": modelled.mid or modelled.lo, "objective": within.mid}
        found = modelled if found.basis == "unknown" else found
    elif isinstance(model, NoStepTime) and found.basis == "unknown":
        found = unknown("requests_finished", "1/s", model.needs)
    arrivals = _arrivals(source, recent)
    return Known(
        model=model,
        traffic=traffic,
        arrivals=arrivals,
        recent=recent,
        before=before,
        slowed=tuple(each for each in windows if slow_since is not None and each.end - each.seconds >= slow_since),
        limits=limits,
        slots=slots,
        kv_tokens=kv_tokens,
        resident=resident,
        prefix_caching=_switched_on(source),
        load=capacity.load(model, traffic, before) if traffic else unknown("load", "ratio", "requests"),
        capacity=found,
        within=within,
        headroom=capacity.headroom(found, arrivals or 0.0),
        binding="measured" if found.basis == "measured" else kv_capacity.binding(limit_of),
    )


def _needs(model: StepTime | NoStepTime) -> str:
    return model.needs if isinstance(model, NoStepTime) else "requests that get their first token"


def _is_full(recent: Sequence[StepWindow]) -> bool:
    held = [each.kv for each in recent if each.kv is not None]
    return bool(held) and math.fsum(held) / len(held) >= FULL_CACHE


def _resident(recent: Sequence[StepWindow], kv_tokens: float | None) -> float | None:
    held = [each.kv for each in recent if each.kv is not None]
    ran = [each.running for each in recent if each.running is not None]
    if not held or not ran or kv_tokens is None:
        return None
    return kv_capacity.resident_tokens(math.fsum(held) / len(held), kv_tokens, math.fsum(ran) / len(ran))


def _arrivals(source: SourceView, recent: Sequence[StepWindow]) -> float | None:
    """Count what came: those that got their first token, by how much the queue grew, and those that were refused.

    Of the last `ARRIVING_SECONDS` alone: a load that rose half a minute ago is the load of now.
    """
    windows = [each for each in recent if each.end > source.view.mono - ARRIVING_SECONDS]
    seconds = math.fsum(each.seconds for each in windows)
    if not seconds:
        return None
    queue = [each.waiting for each in windows if each.waiting is not None]
    # Means of the first and the last window lie a window less than the whole apart.
    grown = (queue[-1] - queue[0]) * len(queue) / (len(queue) - 1) if len(queue) > 1 else 0.0
    refused = source.increase("requests_rejected", seconds)
    came = math.fsum(each.ttft_count for each in windows) + grown
    return max(0.0, came) / seconds + ((refused.rate or 0.0) if refused is not None else 0.0)


def _budget(source: SourceView) -> int:
    """Tell the token budget of a step, by the flag of the engine that sets it."""
    flags = ("flag_max_num_batched_tokens", "flag_chunked_prefill_size", "flag_batch_size")
    stated = next((text for flag in flags if (text := source.facts.get(flag, ""))), "")
    return int(stated) if stated.isdecimal() and int(stated) > 0 else DEFAULT_BUDGET


def _switched_on(source: SourceView) -> bool | None:
    """Tell whether prefix caching is on, by what the server says of itself."""
    stated = source.facts.get("enable_prefix_caching", source.facts.get("flag_enable_prefix_caching"))
    if stated is not None:
        return stated == "True"
    return False if source.facts.get("flag_disable_radix_cache") == "True" else None
