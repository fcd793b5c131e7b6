"""How long a request is on its way before the server's own clock starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.rules.latency import objective_for
from insight.rules.rule import Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.histogram import quantile
from metrics.sample import Source
from metrics.series import series

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.histogram import Histogram, Quantile
    from metrics.view import SourceView

WINDOWS = (30.0, 60.0, 300.0)
MIN_PROBES = 5
"""The fewest whose median is bounded at 95 % (order statistics)."""
MIN_REQUESTS = 20
GAP_SECONDS = 0.1
GAP_SHARE = 0.2
"""Of the TTFT objective; either is too much. Our defaults."""
TO_LEAVE = 0.8
TAINTED = 0.2
"""Where the monitor itself was late for so many of its probes, none of them says anything."""


def data_latency(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether a client's TTFT is longer than the server's by more than the way should take.

    Medians are compared, and of their buckets the two ends that are nearest: what is found is there for certain. The
    probe's prompts are short, so what the engine does for them takes no longer than for the others.
    """
    probe = _probe(source)
    if probe is None:
        return unknown("not measured: needs --probe, the server's clock starts only when a request has arrived")
    if _late(probe):
        return unknown("the monitor itself was late for too many of its probes")
    found = _medians(source, probe)
    if isinstance(found, str):
        return unknown(found)
    client, server, probes, window = found
    objective = objective_for("ttft_seconds", settings.objectives)
    limit = min([GAP_SECONDS, *([GAP_SHARE * objective.limit] if objective else [])])
    gap = client.lo - server.hi if server.hi is not None else -1.0
    text = f"p50 {units.bounds(client, 's')} at the client, {units.bounds(server, 's')} in the server"
    if gap <= limit * (TO_LEAVE if firing else 1.0):
        return Condition(holds=False, summary=text)
    at_least = f"at least {units.value(gap, 's')} of TTFT lie outside the engine"
    return Condition(
        holds=True,
        summary=at_least,
        severity=Severity.WARNING,
        description=(
            f"{at_least[0].upper()}{at_least[1:]} (reading the request, tokenising, network, proxy): TTFT {text}, over "
            f"{units.duration(window)} and {units.count(probes)} probes."
        ),
        evidence=(
            Evidence(
                "probe_ttft_seconds",
                client.estimate,
                "s",
                threshold=(server.hi or 0.0) + limit,
                window_seconds=window,
                count=probes,
                text=text,
                lo=client.lo,
                hi=client.hi,
            ),
        ),
    )


def _probe(source: SourceView) -> SourceView | None:
    name = f"probe:{source.id}"
    return source.view.of(name) if name in source.view.ids(Source.PROBE) else None


def _late(probe: SourceView) -> bool:
    late = probe.increase_of([series("probe_left_out", reason="tainted")], WINDOWS[-1])
    sent = probe.increase("probe_requests", WINDOWS[-1])
    return bool(late and sent and sent.value >= MIN_PROBES and late.value > TAINTED * sent.value)


def _medians(source: SourceView, probe: SourceView) -> tuple[Quantile, Quantile, float, float] | str:
    """Give both medians, how many probes there were, and over how long; or why they cannot be told."""
    for window in WINDOWS:
        seen = probe.histogram("probe_ttft_seconds", window)
        if seen is None or seen.count < MIN_PROBES:
            continue
        own = source.histogram("ttft_seconds", window)
        client, server = quantile(seen, 0.5), _median(own)
        if client is None or server is None:
            return f"fewer than {MIN_REQUESTS} requests in {units.duration(window)} by the server's own count"
        return client, server, seen.count, window
    return f"fewer than {MIN_PROBES} probes so far"


def _median(observed: Histogram | None) -> Quantile | None:
    return quantile(observed, 0.5) if observed is not None and observed.count >= MIN_REQUESTS else None


DATA_LATENCY = Rule(
    id="data_latency",
    title="Data latency",
    of=Source.SERVER,
    condition=data_latency,
    live=Timing(5.0, 30.0),
    page=Timing(600.0, 900.0),
    source="over 100 ms, or 20 % of the TTFT objective, between the server's TTFT and that of a client: our defaults",
    impact="medium: users wait longer than the server's TTFT says",
    mitigation=(
        "Keep connections alive, place clients near, switch off buffering in proxies; more API server or tokeniser "
        "workers where the host has cores left."
    ),
    every=2.0,
)
