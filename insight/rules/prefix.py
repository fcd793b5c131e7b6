"""Does the prefix cache do what it did, is it off where it would help, and is it cold after a start."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

WINDOWS = (15.0, 30.0, 60.0)
REFERENCE_SECONDS = 3600.0
REFERENCE_LAG = 60.0
"""The reference ends so long ago, so that a collapse under way is not in it."""
MIN_REQUESTS = 20
COLLAPSED = 0.5
COLLAPSED_TO_LEAVE = 0.7
LEAST_USUAL = 0.2
"""A cache that gave less than this has nothing to lose."""
SIGMAS = 3.0
"""Requests, not tokens, are what is drawn; half of them, because a few long prompts hold most of the tokens."""
PREFILL_SHARE = 0.2
PREFILL_SECONDS = 600.0
COLD_SECONDS = 600.0
COLD_FACTOR = 2.0
COLD_WINDOW = 30.0
STEADY_SECONDS = 300.0


class Hits(Struct, frozen=True):
    """How much of the prompts came from the cache."""

    share: float
    tokens: float
    requests: float
    seconds: float


def hits(source: SourceView, window: float, end: float | None = None) -> Hits | None:
    """Tell the share of prompt tokens that came from the cache; None without traffic: 0 of 0 is no collapse."""
    cached, prompts = (source.increase(each, window, end) for each in ("prompt_tokens_cached", "prompt_tokens_total"))
    finished = source.increase("requests_finished", window, end)
    if cached is None or prompts is None or finished is None or finished.value < MIN_REQUESTS or prompts.value <= 0:
        return None
    return Hits(min(1.0, cached.value / prompts.value), prompts.value, finished.value, prompts.seconds)


def prefix_cache_collapse(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether far less of the prompts comes from the cache than before, by more than chance."""
    del settings
    if not source.parts("prompt_tokens_cached") or not source.parts("prompt_tokens_total"):
        return unknown("the server does not tell how much of the prompts its cache gives")
    restarted = source.history.restarted_mono
    if restarted is not None and source.view.mono - restarted < COLD_SECONDS:
        return Condition(holds=False, summary="it restarted a short while ago: the cache is cold")
    now = next((found for window in WINDOWS if (found := hits(source, window))), None)
    usual = hits(source, REFERENCE_SECONDS, source.view.mono - REFERENCE_LAG) if now else None
    if now is None or usual is None:
        return unknown(f"fewer than {MIN_REQUESTS} requests now, or a minute ago and before")
    text = f"hit rate {units.value(now.share, 'ratio')}, before {units.value(usual.share, 'ratio')}"
    chance = SIGMAS * math.sqrt(usual.share * (1 - usual.share) / (now.requests / 2))
    limit = (COLLAPSED_TO_LEAVE if firing else COLLAPSED) * usual.share
    fallen = now.share < limit and (firing or usual.share - now.share > chance)
    if usual.share < LEAST_USUAL or not fallen:
        return Condition(holds=False, summary=text)
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.WARNING,
        description=(
            f"Of {units.count(now.tokens)} prompt tokens in {units.duration(now.seconds)}, the prefix cache gave "
            f"{units.value(now.share, 'ratio')}; of the {units.count(usual.tokens)} before it gave "
            f"{units.value(usual.share, 'ratio')}. What it does not give is worked on."
        ),
        evidence=(
            Evidence(
                "prompt_tokens_cached",
                now.share,
                "ratio",
                threshold=COLLAPSED * usual.share,
                window_seconds=now.seconds,
                count=now.requests,
                text=text,
            ),
        ),
    )


def prefix_cache_opportunity(source: SourceView, settings: Settings, firing: bool) -> Condition | None:
    """Tell whether prefix caching is switched off while prompts take much of the time. Not asked where it is on."""
    del settings, firing
    if source.facts.get("enable_prefix_caching", "").lower() not in {"false", "0"}:
        return None
    prefills, seconds = source.histogram("prefill_seconds", PREFILL_SECONDS), source.seconds(PREFILL_SECONDS)
    if prefills is None or not seconds or seconds < PREFILL_SECONDS / 2 or prefills.count < MIN_REQUESTS:
        return unknown("too little traffic so far to tell what prompts take of the time")
    share = prefills.sum / seconds
    text = f"{units.value(share, 'ratio')} of the time some prompt is worked on, prefix caching is off"
    if share < PREFILL_SHARE:
        return Condition(holds=False, summary=text)
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.INFO,
        description=f"{text[0].upper()}{text[1:]}; whether prompts begin alike cannot be seen from outside.",
        evidence=(
            Evidence(
                "prefill_seconds",
                share,
                "ratio",
                threshold=PREFILL_SHARE,
                window_seconds=seconds,
                count=prefills.count,
                text=text,
            ),
        ),
    )


def cold_start(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the first tokens take much longer than before a restart: what it had cached or compiled is gone."""
    del settings, firing
    restarted = source.history.restarted_mono
    if restarted is None or source.view.mono - restarted > COLD_SECONDS:
        return HOLDS_NOT
    life = source.view.mono - restarted
    away = source.history.away_seconds or 0.0
    now = source.histogram("ttft_seconds", min(COLD_WINDOW, life))
    steady = source.histogram("ttft_seconds", STEADY_SECONDS, restarted - away)
    if now is None or steady is None or min(now.count, steady.count) < MIN_REQUESTS or not steady.mean:
        return unknown(f"fewer than {MIN_REQUESTS} requests since the restart, or before it")
    if now.mean is None or now.mean <= COLD_FACTOR * steady.mean:
        return HOLDS_NOT
    text = f"mean TTFT {units.value(now.mean, 's')}, before the restart {units.value(steady.mean, 's')}"
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.INFO,
        description=f"It began anew {units.duration(life)} ago: {text}.",
        evidence=(
            Evidence(
                "ttft_seconds",
                now.mean,
                "s",
                threshold=COLD_FACTOR * steady.mean,
                window_seconds=min(COLD_WINDOW, life),
                count=now.count,
                text=text,
            ),
        ),
        since=restarted,
    )


COLLAPSE = Rule(
    id="prefix_cache_collapse",
    title="Prefix cache collapse",
    of=Source.SERVER,
    condition=prefix_cache_collapse,
    live=Timing(5.0, 30.0),
    page=Timing(600.0, 900.0),
    source="half of the usual share or less, by more than chance: our default; llm-d warns below 30 %",
    impact="medium: prompts are worked on that the cache gave before",
    mitigation=(
        "See what changed: template, order of the parts, salt, router. The part that all requests share has to stand "
        "first; a router should send alike prompts to one replica."
    ),
)
OPPORTUNITY = Rule(
    id="prefix_cache_opportunity",
    title="Prefix caching is off",
    of=Source.SERVER,
    condition=prefix_cache_opportunity,
    live=Timing(60.0, 60.0),
    page=Timing(1800.0, 1800.0),
    source="prompts take over 20 % of the time: our default",
    impact="low: prompts that begin alike are worked on again and again",
    mitigation="Switch prefix caching on, and put what all prompts share first.",
    every=10.0,
)
COLD = Rule(
    id="cold_start",
    title="Cold start",
    of=Source.SERVER,
    condition=cold_start,
    live=Timing(5.0, 10.0),
    page=Timing(60.0, 60.0),
    source="TTFT over twice that of before, within 10 min of a restart: our default",
    impact="low: users wait longer until caches are warm",
    mitigation="Replay the most frequent prefixes before it is given traffic, and let its share of it rise slowly.",
    event=True,
)
