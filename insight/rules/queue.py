"""Does more come in than the server can work on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.rules.latency import met_share, objective_for
from insight.rules.rule import AVAILABILITY, HOLDS_NOT, Condition, Rule, Timing, unknown
from insight.verification.spells import arrived
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.histogram import quantile
from metrics.measure import total_gauge
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.snapshot import Objective
    from metrics.view import SourceView

MIN_WAITING = 5.0
"""A shorter queue is no queue: 5 a replica is where the vLLM production stack scales out, 3-5 where GKE advises to.
Little's law on gauges is only of use from there on as well."""
DELAY_SHARE = 0.5
"""A queue that takes more than this share of the TTFT objective leaves too little for the prefill. Our own default."""
CRITICAL_RATIO = 5.0
"""By Little's law requests wait `waiting / running` times as long as they are worked on; from 5 times on the queue is
the service. Our own default."""
RATE_SECONDS = 30.0
"""Finished requests are counted over so long: at 1 request/s, 30 of them."""
TTFT_SECONDS = 60.0
BEFORE_SECONDS = 60.0
"""What arrived before the queue began is counted over at most so long."""
LEAST_BEFORE_SECONDS = 15.0
"""At 12 requests/s 180, which scatter by 7 % by chance."""
CHANCE = 3.0
"""Rates that differ by fewer standard deviations (of a Poisson count) are the same."""


class Queue(Struct, frozen=True):
    """What is known of the queue of one server."""

    waiting: float
    running: float | None
    finished_rate: float | None
    """Requests that ended, per second."""
    arrival_rate: float | None
    """Requests that came, per second: those that ended and those by which queue and batch grew."""

    @property
    def ratio(self) -> float | None:
        """How many times as long as it is worked on a request waits (Little's law on both gauges)."""
        return self.waiting / self.running if self.running else None

    @property
    def delay(self) -> float | None:
        """Seconds that a request which arrives now will wait, by Little's law; None where it cannot be told."""
        if self.waiting < MIN_WAITING or not self.finished_rate:
            return None
        return self.waiting / self.finished_rate


def look(source: SourceView) -> Queue | None:
    """Look at the queue; None where the server does not tell how many wait."""
    waiting = total_gauge(source, "requests_waiting")
    if waiting is None:
        return None
    running = total_gauge(source, "requests_running")
    finished = source.increase("requests_finished", RATE_SECONDS) if waiting >= 1 else None
    if finished is None or finished.rate is None:
        return Queue(waiting, running, None, None)
    begin = source.view.mono - finished.seconds
    before = [total_gauge(source, each, 0.0, begin) for each in ("requests_waiting", "requests_running")]
    if running is None or before[0] is None or before[1] is None:
        return Queue(waiting, running, finished.rate, None)
    came = finished.value + waiting + running - before[0] - before[1]
    return Queue(waiting, running, finished.rate, max(0.0, came / finished.seconds))


def overloading(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether a queue stands: long in itself, or long in time against the TTFT objective."""
    queue = look(source)
    if queue is None:
        return unknown("the server does not tell how many requests wait")
    objective = objective_for("ttft_seconds", settings.objectives)
    # Once it fires, a queue that is only a little shorter than that is the same queue.
    slack = 0.6 if firing else 1.0
    if queue.waiting == 0:
        return HOLDS_NOT
    if queue.waiting < MIN_WAITING * slack:
        return Condition(holds=False, summary=f"{units.count(queue.waiting)} waiting")
    long = queue.running is None or queue.waiting >= queue.running * slack
    slow = objective is not None and queue.delay is not None and queue.delay > DELAY_SHARE * objective.limit * slack
    if not long and not slow:
        return Condition(holds=False, summary=f"{units.count(queue.waiting)} waiting")
    met = _ttft(source, objective)
    missed = met.said if met is not None else None
    late = objective is not None and queue.delay is not None and queue.delay > objective.limit
    critical = missed is not None or late or (queue.ratio or 0.0) >= CRITICAL_RATIO
    return Condition(
        holds=True,
        summary=_summary(source, queue, missed),
        severity=Severity.CRITICAL if critical else Severity.WARNING,
        description=_describe(queue, objective) + _demand(source, queue),
        evidence=_evidence(queue, objective),
        affected=met.share if met else None,
        objective=objective.q if objective else AVAILABILITY,
    )


class Missed(Struct, frozen=True):
    """What the queue did to TTFT."""

    share: float
    """Of the requests; at least so many."""
    said: str


def _ttft(source: SourceView, objective: Objective | None) -> Missed | None:
    """Say what TTFT is where its objective is certainly missed."""
    if objective is None:
        return None
    observed = source.histogram("ttft_seconds", TTFT_SECONDS)
    met = met_share(observed, objective) if observed is not None else None
    if observed is None or met is None or not met.missed:
        return None
    found, limit = quantile(observed, objective.q), units.value(objective.limit, "s")
    return Missed(1 - met.hi, f"TTFT p{objective.q * 100:g} {units.bounds(found, 's')} of {limit}")


def _summary(source: SourceView, queue: Queue, missed: str | None) -> str:
    held = [seconds for each in source.parts("requests_waiting") if (seconds := source.held_for(each)) is not None]
    waiting = f"{units.count(queue.waiting)} waiting"
    if held:
        waiting += f" for {units.duration(max(held))}"
    if missed:
        return f"{waiting}, {missed}"
    return waiting if queue.running is None else f"{waiting}, {units.count(queue.running)} running"


def _describe(queue: Queue, objective: Objective | None) -> str:
    parts = [f"{units.count(queue.waiting)} requests wait"]
    if queue.running is not None:
        parts.append(f"while {units.count(queue.running)} run")
    text = " ".join(parts) + "."
    if queue.arrival_rate is not None:
        text += f" {units.rate(queue.arrival_rate)} arrive and {units.rate(queue.finished_rate)} are finished."
    if queue.delay is not None:
        text += (
            f" At {units.rate(queue.finished_rate)} finished, one that arrives now waits about "
            f"{units.duration(queue.delay)} (Little's law on a gauge, good to 20 %)"
        )
        text += f"; the TTFT objective is {units.value(objective.limit, 's')}." if objective else "."
    elif queue.ratio is not None:
        text += (
            f" They wait about {units.digits(queue.ratio, 2)} times as long as they are worked on (Little's law); "
            "in seconds it cannot be told, because the server counts no requests that ended."
        )
    return text


def _demand(source: SourceView, queue: Queue) -> str:
    """Say whether more arrives than before the queue began; nothing where that was not seen, or not for long enough."""
    held = [seconds for each in source.parts("requests_waiting") if (seconds := source.held_for(each)) is not None]
    if not held or queue.arrival_rate is None:
        return ""
    began = source.view.mono - max(held) - source.view.interval  # the poll before the first that saw it
    seconds = min(BEFORE_SECONDS, began - source.history.first_mono)
    if seconds < LEAST_BEFORE_SECONDS:
        return ""
    counted = {
        each: grown.value
        for each in ("requests_finished", "requests_rejected")
        if (grown := source.increase(each, seconds, began)) is not None
    }
    came = arrived(source, seconds, began, counted)
    if came is None:
        return ""
    was, now = came / seconds, queue.arrival_rate
    if abs(now - was) <= CHANCE * math.sqrt(was / seconds + now / RATE_SECONDS):
        return f" Arrivals are unchanged at {units.rate(now)}."
    return f" Arrivals went from {units.rate(was)} before the queue to {units.rate(now)}."


def _evidence(queue: Queue, objective: Objective | None) -> tuple[Evidence, ...]:
    found = [
        Evidence(
            "requests_waiting", queue.waiting, "1", threshold=MIN_WAITING, text=f"{units.count(queue.waiting)} waiting"
        )
    ]
    if queue.running is not None:
        found.append(Evidence("requests_running", queue.running, "1", text=f"{units.count(queue.running)} running"))
    if queue.finished_rate is not None:
        text = f"{units.rate(queue.finished_rate)} finished"
        found.append(Evidence("requests_finished", queue.finished_rate, "1/s", window_seconds=RATE_SECONDS, text=text))
    if queue.arrival_rate is not None:
        text = f"{units.rate(queue.arrival_rate)} arrive"
        found.append(Evidence("requests_arrived", queue.arrival_rate, "1/s", window_seconds=RATE_SECONDS, text=text))
    if queue.delay is not None:
        limit = DELAY_SHARE * objective.limit if objective else None
        text = f"a wait of about {units.duration(queue.delay)}"
        found.append(Evidence("expected_wait_seconds", queue.delay, "s", threshold=limit, text=text))
    return tuple(found)


OVERLOADING = Rule(
    id="model_overloading",
    title="Model overloading",
    of=Source.SERVER,
    condition=overloading,
    live=Timing(10.0, 15.0),
    page=Timing(120.0, 300.0),
    source="5 waiting a replica: vLLM production stack (KEDA), GKE 3-5; half of the TTFT objective: our default",
    impact="high: every request that arrives waits behind the queue",
    mitigation="Shed or spread load: cap the queue, add a replica, or shorten prompts and outputs.",
)
