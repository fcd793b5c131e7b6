"""From the lives of the rules to the rows of the risk table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight import likelihood
from insight.causes import as_bad_as_their_effects
from insight.impact import SILENT, UNAVAILABLE, impact, of_lost_replica
from insight.lifecycle import Life, Phase
from insight.rules import RULES
from insight.rules.placement import server_on
from insight.rules.rule import AVAILABILITY
from insight.standing import RISK_IDS
from metrics import units
from metrics.finding import Risk, RiskState, Severity
from metrics.sample import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from insight.rules.rule import Rule, Timing
    from metrics.view import View

Key = tuple[str, str]
"""Id of the rule, id of the source."""

Lives = list[tuple[str, Life]]
"""Of one rule, by source."""

_STATES = {Phase.PENDING: RiskState.PENDING, Phase.FIRING: RiskState.FIRING, Phase.RESOLVING: RiskState.RESOLVING}
_STATE_RANK = {
    RiskState.FIRING: 0,
    RiskState.PENDING: 1,
    RiskState.RESOLVING: 2,
    RiskState.UNKNOWN: 3,
    RiskState.NOT_OBSERVED: 4,
}
_SEVERITY_RANK = {severity: rank for rank, severity in enumerate(Severity)}
_RULE_RANK = {rule.id: rank for rank, rule in enumerate(RULES)}


def risks(lives: Mapping[Key, Life], view: View, timing: str = "live") -> tuple[Risk, ...]:
    """List every finding, worst first; rules that found nothing have one row each. `timing` is that of the settings."""
    rows: list[Risk] = []
    for rule in RULES:
        mine = [(source, life) for source in view.ids(rule.of) if (life := lives.get((rule.id, source)))]
        found = [_found(rule, source, life, view, rule.timing(timing)) for source, life in mine if _shown(life)]
        rows += found or _nothing_found(rule, mine, view)
    return tuple(sorted(as_bad_as_their_effects(sorted(rows, key=_row), works_for(rows, view)), key=_rank))


def works_for(rows: Iterable[Risk], view: View) -> dict[str, str]:
    """Name the server that each GPU, and the host, of which something fires works for, where there is one."""
    firing = {row.target for row in rows if row.state is RiskState.FIRING and row.target is not None}
    found = {each: server_on(view.of(each)) for each in firing.intersection(view.ids(Source.GPU))}
    here = [each for each in view.all(Source.SERVER) if each.newest_ok is not None and each.newest_ok.processes]
    if len(here) == 1:
        found |= dict.fromkeys(firing.intersection(view.ids(Source.HOST)), here[0])
    return {each: server.id for each, server in found.items() if server is not None}


def _shown(life: Life) -> bool:
    """Tell whether a life has a row of its own: it is under way, or was when its data went."""
    return life.phase is not Phase.INACTIVE


def _rank(risk: Risk) -> tuple[int, int]:
    """Rank by state and severity; rows that are alike in both keep their order."""
    rank = _STATE_RANK[risk.state]
    if risk.state is RiskState.UNKNOWN and risk.since is None:
        rank += 2
    if not risk.episodes:
        rank += 2 * (rank > _STATE_RANK[RiskState.RESOLVING])
    return rank, _SEVERITY_RANK[risk.severity]


def _row(risk: Risk) -> tuple[int, str]:
    return _RULE_RANK.get(risk.id, len(_RULE_RANK)), risk.target or ""


def _found(rule: Rule, source: str, life: Life, view: View, timing: Timing) -> Risk:
    blind = life.condition.holds is None and life.phase is Phase.FIRING
    said = life.held or life.condition
    state = RiskState.UNKNOWN if blind else _STATES[life.phase]
    pending = state is RiskState.PENDING and life.since is not None
    enter = max(timing.enter, said.enter)
    return Risk(
        id=rule.id,
        title=rule.title,
        state=state,
        severity=life.severity,
        likelihood=_likelihood(state) or _again(rule, [(source, life)], view),
        impact=_impact(rule, [(source, life)], view),
        description=said.description or said.summary,
        mitigation=rule.mitigation,
        since=None if life.since is None else units.rfc3339(view.wall_at(life.since)),
        target=source,
        summary=_summary(state, life, view.mono),
        evidence=said.evidence,
        seconds_in_state=max(0.0, view.mono - life.entered),
        fires_in_seconds=max(0.0, enter - (view.mono - (life.since or 0.0))) if pending else None,
        episodes=_episodes(life, view),
    )


def _summary(state: RiskState, life: Life, now: float) -> str:
    said = life.held or life.condition
    if state is RiskState.UNKNOWN:
        return f"cannot be told: {life.condition.summary} (before: {said.summary})"
    flapping = " (again and again)" if life.active and life.flapping(now) else ""
    if state is RiskState.RESOLVING:
        return f"over for {units.duration(now - (life.since or now))} (was: {said.summary}){flapping}"
    return said.summary + flapping


def _likelihood(state: RiskState) -> str:
    """Say it of what is under way, or not known; '' of what has ended."""
    if state is RiskState.PENDING:
        return "possible (pending)"
    return {RiskState.FIRING: "certain (active)", RiskState.UNKNOWN: "unknown"}.get(state, "")


def _again(rule: Rule, lives: Lives, view: View) -> str:
    """Say how likely it is to come again: events by their number, levels by the time that they lasted."""
    if not rule.event and any(life.episodes for _, life in lives):
        # Of several sources, the one that was so the longest.
        timed = (likelihood.level(_spans(life), _observed([(source, life)], view), view.mono) for source, life in lives)
        return max(timed, key=lambda each: each.chance or 0.0).named
    told = likelihood.event(_times(rule, lives), _observed(lives, view)).named
    if rule.id in likelihood.GPU_FAULTS and not any(life.episodes for _, life in lives):
        told += f"; {likelihood.gpu_prior(len(lives), likelihood.LONGEST_HORIZON).text}"
    return told


def _observed(lives: Lives, view: View) -> float:
    """Tell for how many seconds all of these were watched, and every episode of theirs is known."""
    since = (max(view.of(source).history.first_mono, life.complete_since or -math.inf) for source, life in lives)
    return min((view.mono - each for each in since), default=0.0)


def _times(rule: Rule, lives: Lives) -> int:
    """Count the episodes within the time for which every one is known."""
    since = max((each for _, life in lives if (each := life.complete_since) is not None), default=-math.inf)
    spans = [[span for span in _spans(life) if span[0] >= since] for _, life in lives]
    return sum(likelihood.episodes(each) if rule.event else len(each) for each in spans)


def _spans(life: Life) -> list[tuple[float, float | None]]:
    return [(each.begin, each.end) for each in life.episodes]


def _impact(rule: Rule, lives: Lives, view: View) -> str:
    """Say what an episode costs, from what was measured of it; in the rule's own words where nothing was."""
    said = [held for _, life in lives if (held := life.held) is not None]
    written = next((each.impact for each in said if each.impact), "")
    affected = max((each.affected for each in said if each.affected is not None), default=None)
    unavailable = rule.id in UNAVAILABLE and bool(lives)
    if unavailable:
        affected = max(of_lost_replica(_replicas(view, source)) for source, _ in lives)
    if written or affected is None:
        return written or rule.impact
    past = [each.end - each.begin for _, life in lives for each in life.episodes if each.end is not None]
    objective = next((each.objective for each in said if each.affected is not None), AVAILABILITY)
    words = rule.impact.partition(": ")[2]
    return impact(affected, past, objective, words, unavailable=unavailable, silent=rule.id in SILENT).text


def _replicas(view: View, source: str) -> int:
    """Count the servers that serve what this one serves."""
    model = view.of(source).facts.get("model")
    return sum(each.facts.get("model") == model for each in view.all(Source.SERVER))


def _nothing_found(rule: Rule, mine: list[tuple[str, Life]], view: View) -> list[Risk]:
    """Make the one row of a rule that has nothing to report; none where there is nothing that it is about."""
    if not mine and rule.id not in RISK_IDS:
        return []
    told = [(source, life) for source, life in mine if life.condition.holds is not None]
    before = [(source, life) for source, life in mine if life.episodes]
    source, life = next(iter(before or told or mine), (None, None))
    if life is None or source is None:
        why = rule.absent or f"no {rule.of.value} is seen"
    elif not told:
        why = life.condition.summary
    else:
        why = ""
    times = _times(rule, mine)
    return [
        Risk(
            id=rule.id,
            title=rule.title,
            state=RiskState.UNKNOWN if why else RiskState.NOT_OBSERVED,
            severity=Severity.INFO,
            likelihood="unknown" if why else _again(rule, told, view),
            impact=_impact(rule, mine, view),
            description=f"Cannot be told: {why}.{_fired(times)}" if why else _before(times, _observed(told, view)),
            mitigation=rule.mitigation,
            since=None,
            target=source if len(mine) == 1 else None,
            summary=why or (life.condition.summary if life and len(mine) == 1 else ""),
            episodes=_episodes(life, view) if life else (),
        )
    ]


def _fired(times: int) -> str:
    return f" It fired before, {'once' if times == 1 else f'{times} times'}: see the timeline." if times else ""


def _before(times: int, observed: float) -> str:
    if not times:
        return f"Not observed in {units.duration(observed)}."
    return f"Not now; {'once' if times == 1 else f'{times} times'} in the last {units.duration(observed)}."


def _episodes(life: Life, view: View) -> tuple[tuple[str, str | None], ...]:
    return tuple(
        (units.rfc3339(view.wall_at(each.begin)), None if each.end is None else units.rfc3339(view.wall_at(each.end)))
        for each in life.episodes
    )
