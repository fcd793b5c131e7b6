"""Which advice is given, in which order, and which is withheld and why.

Advice comes in the order of the findings. Of the advice about what limits a server, that which lifts the limit reached
first comes first, and the rest contributes; a limit that a finding shows outranks the one that the model foretells.
"""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from insight.causes import ANSWERED_BY_THE_CAUSE, CAUSES, cause
from insight.recommend.case import Case, Estimate
from insight.recommend.catalogue import ADVICE, CHECK, Advice
from insight.recommend.effects import EFFECTS
from insight.recommend.setting import left, setting
from metrics.finding import Change, Recommendation, Risk, RiskState, Withheld

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from insight.recommend.known import Known
    from insight.recommend.setting import Setting
    from insight.settings import Settings
    from metrics.observed import Gpu, Target

_OF_GPU = re.compile(r"nvidia-smi -i (\d+)")
_NOW = {RiskState.FIRING, RiskState.PENDING}
_SHOWN = {"cache_saturation": "kv_cache", "preemption": "kv_cache", "slot_cap": "slots"}
"""The limit that a finding shows to be reached."""
_LIMITS = {
    "slots": "the limit of running requests",
    "kv_cache": "the KV cache",
    "objective": "the ITL objective",
    "measured": "the capacity that was measured under a queue",
}


class _Found(Struct, frozen=True, eq=False):
    """A recommendation, and where it stands."""

    one: Recommendation
    advice: Advice
    place: str | None
    """The server that it is about; the GPU, where it is one's."""


def recommendations(
    risks: tuple[Risk, ...],
    targets: tuple[Target, ...],
    knowns: Mapping[str, Known],
    gpus: tuple[Gpu, ...],
    settings: Settings,
) -> tuple[tuple[Recommendation, ...], tuple[Withheld, ...]]:
    """Recommend something for every finding that is under way, and tell what is not recommended, and why.

    `risks` are in their order, worst first; `knowns` is by the id of the server.
    """
    open_ = [risk for risk in risks if risk.state in _NOW]
    servers = {risk.target: server_of(risk.target, targets, gpus) for risk in open_}
    findings: dict[str | None, set[str]] = {}
    for risk in open_:
        findings.setdefault(_at(risk.target, servers), set()).add(risk.id)
    titles = {risk.id: risk.title for risk in risks}
    found: dict[tuple[str, str | None], _Found] = {}
    withheld: dict[tuple[str, str | None], Withheld] = {}
    for risk in open_:
        target = servers[risk.target]
        present = frozenset(findings[_at(risk.target, servers)])
        known = knowns.get(target.id) if target else None
        alike = _alike(target, targets, knowns)
        case = Case(risk=risk, target=target, known=known, alike=alike, gpus=gpus, present=present, settings=settings)
        place = risk.target if (risk.target or "").startswith("gpu:") else _at(risk.target, servers)
        reason = cause(risk.id, set(present)) if risk.id in ANSWERED_BY_THE_CAUSE else None
        for advice in (each for each in ADVICE if risk.id in each.rules):
            key = advice.id, place
            if reason is not None:
                why = f"answered by what is advised against its cause: {titles[reason].lower()}"
                withheld.setdefault(key, Withheld(advice.id, advice.title, why, risk.target))
                continue
            said = _consider(advice, case, titles)
            if isinstance(said, Withheld):
                withheld.setdefault(key, said)
            elif said is not None:
                before = found.get(key)
                found[key] = _Found(said if before is None else _together(before.one, said), advice, place)
    given = _ranked(_in_one_command(list(found.values())), findings, knowns)
    return tuple(given), tuple(each for key, each in withheld.items() if key not in found)


def server_of(place: str | None, targets: tuple[Target, ...], gpus: tuple[Gpu, ...]) -> Target | None:
    """Find the server that a finding is about: itself, the one whose answers or whose GPU it is, or the only one."""
    named = {target.id: target for target in targets}
    own = named.get((place or "").removeprefix("quality:"))
    if own is not None:
        return own
    index = next((gpu.index for gpu in gpus if place == f"gpu:{gpu.uuid}"), None)
    users = [target for target in targets if index is not None and index in (target.gpus or ())]
    if len(users) == 1:
        return users[0]
    return targets[0] if len(targets) == 1 and not users else None


def _alike(target: Target | None, targets: tuple[Target, ...], knowns: Mapping[str, Known]) -> tuple[Known, ...]:
    """List what is known of the servers of one model; () where one of them tells nothing."""
    ids = [each.id for each in targets if target is not None and each.model == target.model]
    return tuple(knowns[each] for each in ids) if all(each in knowns for each in ids) else ()


def _at(place: str | None, servers: Mapping[str | None, Target | None]) -> str | None:
    server = servers[place]
    return server.id if server else place


def _consider(advice: Advice, case: Case, titles: Mapping[str, str]) -> Recommendation | Withheld | None:
    """Make a recommendation of advice on one finding; None where it has nothing to say of such a server."""
    offered = advice.offered(case.target.engine if case.target else None, case.risk)
    if not offered:
        return None
    work_out = EFFECTS.get(advice.id)
    estimate = work_out(case) if work_out is not None else Estimate()
    settings = [setting(each, case.target, estimate.values) for each in offered]
    kept = left(settings, case.present)
    why = estimate.withheld or ("" if kept else _dropped(settings, case.present, titles))
    if why:
        return Withheld(advice.id, advice.title, why, case.risk.target)
    check = (CHECK,) if any(each.action.flag and each.action.restart for each in kept) else ()
    basis = estimate.because or (() if estimate.effect is not None else (advice.because,))
    return Recommendation(
        id=advice.id,
        title=advice.title,
        actions=(*(each.text for each in kept), *check),
        effect=estimate.effect,
        because=(case.risk.summary, *basis),
        risks=_answered(case.risk.id, case.present),
        target=case.risk.target,
        changes=_changes(kept),
        cost=advice.cost,
        harm=advice.harm,
        disproved_by=advice.disproved_by,
    )


def _changes(kept: list[Setting]) -> tuple[Change, ...]:
    """List the flags that it sets: those for which a value was worked out, where there are any, for of these it tells.

    The others are other ways to the same end.
    """
    worked_out = [each for each in kept if each.worked_out]
    return tuple(each.change for each in worked_out or kept if each.change is not None)


def _dropped(settings: Iterable[Setting], present: frozenset[str], titles: Mapping[str, str]) -> str:
    """Say why none of the actions is left."""
    worse = dict.fromkeys(each.action.not_with for each in settings if each.action.not_with in present)
    if worse:
        return f"it would make this worse: {', '.join(titles[each].lower() for each in worse)}"
    return f"already so: {', '.join(each.already for each in settings)}"


def _answered(risk_id: str, present: frozenset[str]) -> tuple[str, ...]:
    """List the finding and those that it brings about."""
    return (risk_id, *(each for each in CAUSES if each in present and cause(each, set(present)) == risk_id))


def _together(first: Recommendation, second: Recommendation) -> Recommendation:
    """Make one of the same advice on two findings: with the numbers of the worse one, where it has any."""
    told = second if first.effect is None and second.effect is not None else first
    return replace(
        told,
        because=tuple(dict.fromkeys((*first.because, *second.because))),
        risks=tuple(dict.fromkeys((*first.risks, *second.risks))),
        target=first.target if first.target == second.target else None,
    )


def _in_one_command(found: list[_Found]) -> list[_Found]:
    """Make one of what the same command does on several GPUs: `nvidia-smi -i 0,1 -pl 700`."""
    together: dict[tuple[str, ...], list[_Found]] = {}
    for each in found:
        actions = tuple(_OF_GPU.sub("nvidia-smi -i N", action) for action in each.one.actions)
        own = () if actions != each.one.actions else (each.one.target or "",)
        together.setdefault((each.advice.id, *own, *actions), []).append(each)
    return [_on_all(some) for some in together.values()]


def _on_all(some: list[_Found]) -> _Found:
    if len(some) == 1:
        return some[0]
    indices = sorted({int(index) for each in some for index in _OF_GPU.findall(" ".join(each.one.actions))})
    command = f"nvidia-smi -i {','.join(map(str, indices))}"
    one = reduce(_together, (each.one for each in some))
    return replace(some[0], one=replace(one, actions=tuple(_OF_GPU.sub(command, each) for each in one.actions)))


def _ranked(
    found: list[_Found], findings: Mapping[str | None, set[str]], knowns: Mapping[str, Known]
) -> list[Recommendation]:
    """Put, of the advice that lifts a limit of a server, the one for the limit reached first before the others."""
    ranked = list(found)
    for place in dict.fromkeys(each.place for each in found):
        limit = _limit(place, findings.get(place, set()), knowns)
        mine = [index for index, each in enumerate(ranked) if each.place == place and each.advice.relieves]
        lifting = [index for index in mine if limit in ranked[index].advice.relieves]
        if limit is None or not lifting:
            continue
        # What lifts this limit alone is made for it; another replica lifts any.
        chosen = min(lifting, key=lambda index: (len(ranked[index].advice.relieves), index))
        for index in mine:
            word = "lifts" if index == chosen else "contributes;"
            one = ranked[index].one
            because = (*one.because, f"{word} the limit reached first: {_LIMITS[limit]}")
            ranked[index] = replace(ranked[index], one=replace(one, because=because))
        ranked.insert(mine[0], ranked.pop(chosen))
    return [each.one for each in ranked]


def _limit(place: str | None, present: set[str], knowns: Mapping[str, Known]) -> str | None:
    """Name the limit of a server that is reached first: as findings show it, else as its step times foretell."""
    shown = next((limit for risk, limit in _SHOWN.items() if risk in present), None)
    known = knowns.get(place or "")
    return shown or (known.binding if known else None)
