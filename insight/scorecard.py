"""The four dimensions of a served model: throughput, TTFT, quality, efficiency.

A score is a share that was measured; where there is nothing to take a share of, there is no score, and the text says
what was measured all the same.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight.objectives import label
from insight.quality.score import quality_score
from insight.rules.latency import met_share, objective_for
from metrics import units
from metrics.finding import RiskState
from metrics.histogram import merge
from metrics.measure import total_gauge
from metrics.sample import Source
from metrics.snapshot import Score, Scorecard

if TYPE_CHECKING:
    from collections.abc import Callable

    from insight.settings import Settings
    from metrics.finding import Risk
    from metrics.observed import Gpu, Measure, Target
    from metrics.view import SourceView, View


_APART = "output_tokens_without_probe"


def scorecard(
    view: View,
    targets: tuple[Target, ...],
    gpus: tuple[Gpu, ...],
    risks: tuple[Risk, ...],
    settings: Settings,
    quality: dict[str, Measure] | None,
    of: str | None = None,
) -> Scorecard:
    """Score servers together over the window; none that does not serve now, whatever it did before.

    `of` is the id of the one that is scored where that is but one of several.
    """
    names = {target.id for target in targets}
    idle = {
        risk.target: f"{risk.title.lower()}: {risk.summary}"
        for risk in risks
        if risk.target in names and _serves_nobody(risk)
    }
    heard = set(view.ids(Source.SERVER)) - idle.keys()
    serving = tuple(target for target in targets if target.id in heard)
    sources = [view.of(target.id) for target in serving]
    dead = Score(None, next(iter(idle.values()), targets[0].reason)) if targets and not serving else None
    return Scorecard(
        throughput=dead or _throughput(sources, serving, settings.window),
        ttft=dead or _ttft(sources, settings),
        quality=dead if dead and quality else quality_score(view, quality, of),
        efficiency=_efficiency(targets, gpus),
    )


def scorecards(
    view: View,
    targets: tuple[Target, ...],
    gpus: tuple[Gpu, ...],
    risks: tuple[Risk, ...],
    settings: Settings,
    quality: dict[str, Measure] | None,
) -> dict[str, Scorecard]:
    """Score each of several servers by itself, by its id; {} where there is but one."""
    if len(targets) < 2:
        return {}
    shared = Counter(index for each in targets for index in each.gpus or ())
    found: dict[str, Scorecard] = {}
    for each in targets:
        indices = each.gpus or ()
        own = tuple(gpu for gpu in gpus if gpu.index in indices)
        card = scorecard(view, (each,), own, risks, settings, quality, of=each.id)
        if gpus and (not own or any(shared[index] > 1 for index in indices)):
            why = "it shares a GPU with another server" if own else "it is not known which GPUs are its own"
            card = replace(card, efficiency=Score(None, f"not told: {why}"))
        found[each.id] = card
    return found


def _serves_nobody(risk: Risk) -> bool:
    return risk.state is RiskState.FIRING and risk.id in {"server_unreachable", "stuck_server"}


def _throughput(sources: list[SourceView], targets: tuple[Target, ...], window: float) -> Score:
    """Take the share of the offered requests that were served: finished / (finished + refused + more in the queue)."""
    if not targets:
        return Score(None, "no server is watched")
    tokens = _sum(targets, _for_others, "rate")
    besides = " besides the probe" if any(_APART in target.quantities for target in targets) else ""
    text = "" if tokens is None else f"{units.rate(tokens, 'tokens')} output{besides}"
    finished = _sum(targets, "requests_finished", "increase")
    if finished is None:
        return Score(None, "; ".join(filter(None, (text, "requests that end are not counted by this server"))))
    failed = _sum(targets, "requests_failed", "increase") or 0.0
    refused = _sum(targets, "requests_rejected", "increase") or 0.0
    grown = max(0.0, math.fsum(_queue_growth(source, window) for source in sources))
    offered = finished + refused + grown
    if offered <= 0:
        return Score(None, "; ".join(filter(None, (text, "no request finished in the window"))))
    rate = _sum(targets, "requests_finished", "rate")
    parts = [f"{units.rate(rate)} finished", text]
    parts += [f"{units.count(failed)} failed"] if failed else []
    parts += [f"{units.count(refused)} refused"] if refused else []
    parts += [f"{units.count(grown)} more waiting than at its beginning"] if grown else []
    return Score(
        100 * (max(0.0, finished - failed) / offered),
        ", ".join(filter(None, parts)),
        "every request that comes is served",
    )


def _queue_growth(source: SourceView, window: float) -> float:
    """Tell by how much the queue grew over the window; 0 where it is not known."""
    now = total_gauge(source, "requests_waiting")
    seconds = source.seconds(window)
    if now is None or seconds is None:
        return 0.0
    newest = source.newest_ok
    begin = (newest.mono if newest else source.view.mono) - seconds
    before = total_gauge(source, "requests_waiting", 0.0, begin)
    return now - (before or 0.0)


def _ttft(sources: list[SourceView], settings: Settings) -> Score:
    """Take the share of the requests whose TTFT kept the objective; the score is its lower bound."""
    objective = objective_for("ttft_seconds", settings.objectives)
    if objective is None:
        return Score(None, "no objective for TTFT was stated: --slo ttft_p95=2s")
    wanted = f"{label(objective)} within {units.value(objective.limit, 's')}{' (default)' if objective.default else ''}"
    if not any(source.parts("ttft_seconds") for source in sources):
        return Score(None, "not measured: no server here tells TTFT", wanted)
    seen = [source.histogram("ttft_seconds", settings.window) for source in sources]
    observed = merge([each for each in seen if each is not None and each.count])
    if observed is None or not observed.count:
        return Score(None, "no request got its first token in the window", wanted)
    met = met_share(observed, objective)
    low, high = (units.value(share, "ratio") for share in (met.lo, met.hi))
    share = low if low == high else f"{low} to {high}"
    text = f"{share} of {units.count(observed.count)} requests within {units.value(objective.limit, 's')}"
    return Score(100 * met.lo, text, wanted, 100 * met.hi if met.hi > met.lo else None)


def _efficiency(targets: tuple[Target, ...], gpus: tuple[Gpu, ...]) -> Score:
    """Tell output tokens per joule; there is no score, since nothing says how many there should be."""
    joules = math.fsum(gpu.energy_joules or 0.0 for gpu in gpus)
    if not gpus or joules <= 0:
        return Score(None, "not measured: no GPU here tells its energy")
    tokens = _sum(targets, "output_tokens_total", "increase")
    watts = math.fsum(gpu.power_watts or 0.0 for gpu in gpus)
    drawn = (
        f"{units.value(joules, 'J')} by {len(gpus)} GPU{'s' if len(gpus) > 1 else ''}, {units.value(watts, 'W')} now"
    )
    if not tokens:
        return Score(None, f"no output tokens in the window; {drawn}")
    rate = units.digits(tokens / joules)
    return Score(None, f"{rate} output tokens/J ({drawn}; boards alone); no reference to score it against")


def _for_others(target: Target) -> str:
    """Name the output tokens that clients got: without those of our own probe, where they can be told apart."""
    return _APART if _APART in target.quantities else "output_tokens_total"


def _sum(targets: tuple[Target, ...], quantity: str | Callable[[Target], str], field: str) -> float | None:
    """Add up what the servers counted; None where one of them does not count it."""
    values: list[float] = []
    for target in targets:
        measure = target.quantities.get(quantity if isinstance(quantity, str) else quantity(target))
        value = None if measure is None else getattr(measure, field)
        if value is None:
            return None
        values.append(value)
    return math.fsum(values) if values else None
