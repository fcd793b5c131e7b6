"""Is the KV cache what holds the server back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.measure import total_gauge
from metrics.sample import Source
from metrics.series import split_series

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

FULL = 0.90
"""llm-d's public rules warn from here; alone it is good use of memory (SGLang's guide), so it takes a consequence."""
FULL_TO_LEAVE = 0.85
OVERFULL = 0.95
USAGE_SECONDS = 10.0
"""The usage is a mean over so long: each preemption frees a piece of the cache, which is full again a second later."""
WINDOW = 60.0
"""Preemptions are counted over so long."""


def saturation(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the cache is full, and requests wait for it or are pushed out of it."""
    del settings
    usage = total_gauge(source, "kv_cache_usage", USAGE_SECONDS, source.view.mono)
    if usage is None:
        return unknown("the server does not tell how full its KV cache is")
    limit = FULL_TO_LEAVE if firing else FULL
    if usage <= limit:
        return HOLDS_NOT
    full = f"{units.value(usage, 'ratio')} full"
    increase = source.increase("preemptions", WINDOW)
    preempted = increase.value if increase else 0.0
    waiting = _waiting_for_room(source)
    if not preempted and not waiting:
        return Condition(holds=False, summary=f"{full}, nothing waits for it")
    found = [Evidence("kv_cache_usage", usage, "ratio", threshold=limit, text=full)]
    if waiting:
        found.append(Evidence("requests_waiting", waiting, "1", threshold=0.0, text=f"{units.count(waiting)} waiting"))
    if increase and preempted:
        text = f"{units.count(preempted)} preempted in {units.duration(increase.seconds)}"
        found.append(Evidence("preemptions", preempted, "1", threshold=0.0, window_seconds=increase.seconds, text=text))
    said = ", ".join(each.text for each in found)
    return Condition(
        holds=True,
        summary=said,
        severity=Severity.CRITICAL if usage > OVERFULL and preempted else Severity.WARNING,
        description=(
            f"The KV cache is {said}. "
            + ("A preempted request is worked on again from its start." if preempted else "No request was preempted.")
        ),
        evidence=tuple(found),
    )


def _waiting_for_room(source: SourceView) -> float | None:
    """Count the requests that wait for room; where the server does not say for what they wait, all that wait."""
    split = {name: dict(split_series(name)[1]).get("reason") for name in source.split("requests_waiting")}
    for_room = [name for name, reason in split.items() if reason == "capacity"]
    if for_room:
        return math.fsum(source.gauge(name) or 0.0 for name in for_room)
    return total_gauge(source, "requests_waiting")


SATURATION = Rule(
    id="cache_saturation",
    title="Cache saturation",
    of=Source.SERVER,
    condition=saturation,
    live=Timing(5.0, 20.0),
    page=Timing(300.0, 600.0),
    source="90 % and 95 %: llm-d's alerting rules; with a queue or preemptions alone: SGLang's tuning guide",
    impact="high: fewer requests run at once, and preempted ones are worked on twice",
    mitigation="More room (fp8 KV cache, more memory), shorter sequences, or fewer requests at once.",
)


def preemption(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether running requests are thrown out of the cache again and again."""
    del settings
    if not source.parts("preemptions"):
        return unknown("the server does not count preemptions")
    if (source.still_for("preemptions") or 0.0) > WINDOW:
        return HOLDS_NOT
    increase = source.increase("preemptions", WINDOW)
    if increase is None or increase.rate is None or increase.value <= (0 if firing else SOME_PREEMPTIONS):
        few = f"{units.count(increase.value)} in {units.duration(increase.seconds)}" if increase else ""
        return Condition(holds=False, summary=few) if increase and increase.value else HOLDS_NOT
    lately = source.increase("preemptions", WINDOW / 2)
    thrashing = lately is not None and lately.rate is not None and lately.rate > MANY_PREEMPTIONS_A_SECOND
    text = f"{units.count(increase.value)} preempted in {units.duration(increase.seconds)}"
    found = [
        Evidence(
            "preemptions",
            increase.value,
            "1",
            threshold=float(SOME_PREEMPTIONS),
            window_seconds=increase.seconds,
            text=text,
        )
    ]
    again = source.increase("prompt_tokens_recomputed", WINDOW)
    if again is not None and again.value:
        twice = f"{units.count(again.value)} prompt tokens worked on twice"
        found.append(
            Evidence("prompt_tokens_recomputed", again.value, "tokens", window_seconds=again.seconds, text=twice)
        )
    said = ", ".join(each.text for each in found)
    return Condition(
        holds=True,
        summary=said,
        severity=Severity.CRITICAL if thrashing else Severity.WARNING,
        description=f"{said[0].upper()}{said[1:]}: each of them is worked on again from its start.",
        evidence=tuple(found),
    )


SOME_PREEMPTIONS = 2
"""SGLang's guide takes about one retraction a minute for granted."""
MANY_PREEMPTIONS_A_SECOND = 1.0
"""llm-d's rules are critical from here."""
PREEMPTION = Rule(
    id="preemption",
    title="Preemption",
    of=Source.SERVER,
    condition=preemption,
    live=Timing(5.0, 20.0),
    page=Timing(300.0, 600.0),
    source="over 2 a minute a warning: SGLang's tuning guide; over 1/s critical: llm-d's alerting rules",
    impact="medium: what is thrown out is worked on twice, and its user waits meanwhile",
    mitigation="Fewer requests at once, or more room in the KV cache (fp8, more memory, shorter sequences).",
    event=True,
)
