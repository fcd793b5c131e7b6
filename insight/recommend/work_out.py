"""From the windows of a server to what is known of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, overload

from msgspec.structs import replace

from insight.estimators import capacity, forecast, kv_capacity, littles_law
from insight.estimators.effects import unknown
from insight.estimators.step_time import NoStepTime, StepTime, fit
from insight.estimators.steps import Limits
from insight.estimators.traffic import observed
from insight.recommend import cache_use, trust
from insight.recommend.day import day_of
from insight.recommend.economy import spending
from insight.recommend.known import Known
from metrics import units
from metrics.measure import total_gauge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.estimators.traffic import Traffic
    from insight.estimators.windows import StepWindow
    from insight.settings import Settings
    from metrics.effect import Effect
    from metrics.view import SourceView

RECENT_SECONDS = 60.0
"""The traffic of now is that of the last minute: 12 requests at one in 5 s."""
ARRIVING_SECONDS = 30.0
ONSET_SECONDS = 6.0
"""A finding that says since when holds from there on; what made it may have begun two windows before."""
MOST_FITTED = 1200
"""Windows that a fit is made on at most, the newest: an hour of 3 s."""
DEFAULT_BUDGET, DEFAULT_SLOTS = 8192, 1024
"""What vLLM 0.32 takes on a large GPU where nothing is said, and more slots than are ever filled."""
MOST_GROWTH, LEAST_GROWTH = 2.0, 1.1
"""ITL is foretold for so many times the traffic of now at most, and not for what is as good as that of now."""


def work_out(
    source: SourceView, windows: Sequence[StepWindow], settings: Settings, slow_since: float | None = None
) -> Known:
    """Fit the model and draw from it what follows for the traffic of now."""
    onset = math.inf if slow_since is None else slow_since - ONSET_SECONDS
    before = tuple(each for each in windows[-2 * MOST_FITTED :] if each.end <= onset)[-MOST_FITTED:]
    recent = tuple(each for each in windows if each.end > source.view.mono - RECENT_SECONDS)
    model = fit(before)
    if slow_since is not None and isinstance(model, NoStepTime):
        # What is seen from there on does not count, so that the time that it takes stands still.
        model = replace(model, needs=f"{model.needs} once nothing slows it")
    traffic = observed(
        recent, source.histogram("prompt_tokens", RECENT_SECONDS), source.histogram("output_tokens", RECENT_SECONDS)
    )
    slots = total_gauge(source, "max_running_requests")
    kv_tokens = total_gauge(source, "kv_cache_capacity_tokens")
    resident = cache_use.resident(recent, kv_tokens)
    limits = Limits(slots=round(slots or DEFAULT_SLOTS), budget=_budget(source))
    # A cache that is full is as much of a limit as slots are.
    batch = kv_capacity.largest_batch(slots, kv_tokens, resident)
    full = slots is not None or cache_use.is_full(recent)
    found = capacity.measured_capacity(recent, batch if full else None)
    if not full and len(source.parts("requests_running")) > 1:
        # Where one engine is full and others are not, as many run as ever did, too.
        found = unknown("requests_finished", "1/s", "the most that may run at once on each of its engines")
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
    caching = _switched_on(source)
    why = trust.doubt(source, recent)
    found, within = trust.less_sure(found, why), trust.less_sure(within, why)
    filled = slots * resident / kv_tokens if slots and resident and kv_tokens else None
    full_cache = cache_use.full_at(model, traffic, recent, filled)
    carries = capacity.carried(found, within)
    spent = {each.quantity: each for each in spending(source, RECENT_SECONDS, settings.price_per_hour)}
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
        prefix_caching=caching,
        day=day_of(source),
        load=_named("load", trust.less_sure(_load(model, traffic, before), why)),
        capacity=_named("capacity", found),
        within=_named("rate with mean ITL at limit", within),
        headroom=_named("headroom", capacity.headroom(found, arrivals or 0.0)),
        full_cache=_named("rate that fills the KV cache", trust.less_sure(full_cache, why)),
        carries=carries,
        more_load=_more_load(model, traffic, limits, arrivals, carries),
        drain=_drain(recent, arrivals, found),
        preempted=_named("time lost to preemptions", cache_use.lost(source, model, recent, resident, caching)),
        energy=_named("energy per output token", spent.get("energy_per_output_token")),
        cost=_named("price of 1M output tokens", spent.get("cost_per_million_tokens")),
        binding="measured" if found.basis == "measured" else kv_capacity.binding(limit_of),
    )


@overload
def _named(name: str, effect: Effect) -> Effect: ...
@overload
def _named(name: str, effect: Effect | None) -> Effect | None: ...
def _named(name: str, effect: Effect | None) -> Effect | None:
    return None if effect is None else replace(effect, name=name)


def _needs(model: StepTime | NoStepTime) -> str:
    return model.needs if isinstance(model, NoStepTime) else "requests that get their first token"


def _load(model: StepTime | NoStepTime, traffic: Traffic | None, before: Sequence[StepWindow]) -> Effect:
    return unknown("load", "ratio", "requests") if traffic is None else capacity.load(model, traffic, before)


def _more_load(
    model: StepTime | NoStepTime, traffic: Traffic | None, limits: Limits, arrivals: float | None, carries: Effect
) -> Effect | None:
    """Tell ITL at twice the traffic of now, or at the most that it is planned to carry; None without a fit or room."""
    most = carries.mid if carries.mid is not None else carries.lo
    if not isinstance(model, StepTime) or traffic is None or not arrivals or most is None:
        return None
    rate = min(MOST_GROWTH * arrivals, most)
    if rate < LEAST_GROWTH * arrivals:
        return None
    found = forecast.itl(model, traffic.at(rate), limits, simulated=False)
    return None if found.mid is None else _named(f"ITL at {units.rate(rate)}", found)


def _drain(recent: Sequence[StepWindow], arrivals: float | None, found: Effect) -> Effect | None:
    queue = [each.waiting for each in recent if each.waiting is not None]
    if not queue or queue[-1] < littles_law.STANDING_QUEUE or arrivals is None or found.mid is None:
        return None
    return _named("time until the queue is gone", littles_law.drain(queue[-1], arrivals, found))


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
