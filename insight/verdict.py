"""The one sentence at the top."""

from __future__ import annotations

import re
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING

from insight.rules.placement import span
from metrics import units
from metrics.finding import Risk, RiskState, Severity
from metrics.sample import Source
from metrics.snapshot import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.settings import Settings
    from metrics.view import View


SOON_SECONDS = 9.5
"""The rules about load take 10 s to fire; before that, nothing found says nothing. A watch of 10 s may come out a bit
shorter."""


def verdict(risks: tuple[Risk, ...], view: View, settings: Settings, seconds: float | None) -> Verdict:
    """Say what matters most. It is never said that all is well where nothing was seen.

    `seconds` is the real length of the window that was looked at.
    """
    firing = [risk for risk in risks if risk.state is RiskState.FIRING]
    if firing and firing[0].severity is not Severity.INFO:
        return Verdict(firing[0].severity, _says(firing[0], view, firing) + _others(firing), "firing")
    silent = _silent(view, settings)
    if silent:
        return Verdict(None, f"waiting for the first answer of {', '.join(silent)}", "blind")
    if not view.ids(Source.SERVER) and not view.ids(Source.GPU):
        return Verdict(None, "nothing to judge: no server and no GPU is seen", "blind")
    return _nothing_bad(risks, view, seconds)


def _nothing_bad(risks: tuple[Risk, ...], view: View, seconds: float | None) -> Verdict:
    """Say how it stands while nothing worse than an info fires."""
    lost = next((risk for risk in risks if risk.state is RiskState.UNKNOWN and risk.since is not None), None)
    if lost:
        text = f"cannot be told: {lost.title.lower()}, {lost.summary.removeprefix('cannot be told: ')}"
        return Verdict(None, text, "blind")
    pending = next((risk for risk in risks if risk.state is RiskState.PENDING), None)
    if pending:
        return Verdict(None, f"pending: {_says(pending, view)}", "pending")
    note = next((risk for risk in risks if risk.state is RiskState.FIRING), None)
    no = "no other" if note else "no"  # what is only to be known of is counted among the risks as well
    found = f"{no} risk found in {units.duration(seconds)}" if seconds else f"{no} risk found yet"
    over = _over(risks, view, seconds or 0.0)
    found = f"{no} risk now; {over}" if over else found
    if not view.ids(Source.SERVER):
        found += ", GPUs alone: no server is watched"
    resolving = next((risk for risk in risks if risk.state is RiskState.RESOLVING), None)
    if resolving:
        found = f"resolving: {_says(resolving, view)}"
    if note:
        return Verdict(Severity.INFO, f"{_says(note, view)}; {found}", "firing")
    return Verdict(None, found, "quiet" if seconds and seconds >= SOON_SECONDS else "young")


def _over(risks: tuple[Risk, ...], view: View, seconds: float) -> str | None:
    """Name what fired within the window and is over: a window with an outage in it was not one without a risk."""
    ended = [
        (view.wall - datetime.fromisoformat(end).timestamp(), risk)
        for risk in risks
        if not risk.id.startswith("server_restart")
        for _, end in risk.episodes
        if end is not None
    ]
    ago, last = min(ended, key=itemgetter(0), default=(seconds + 1.0, None))
    return f"{_lower(last.title)} ended {units.duration(ago)} ago" if last and ago <= seconds else None


def _says(risk: Risk, view: View, firing: Sequence[Risk] = ()) -> str:
    """Say a risk in one line, with its source where there are several that it could be about; of several GPUs once."""
    same = [each for each in firing if _finding(each) == _finding(risk)]
    summary = risk.summary if len(same) < 2 else _of_several(same, view)
    text = f"{_lower(risk.title)}: {summary}" if summary else _lower(risk.title)
    if risk.target in view.ids(Source.SERVER) and len(view.ids(Source.SERVER)) > 1:
        return f"{risk.target}: {text}"
    return text


def _lower(title: str) -> str:
    """Write a title within a sentence: `model overloading`, but `TTFT objective missed`."""
    return title if title[:2].isupper() else title[0].lower() + title[1:]


def _finding(risk: Risk) -> tuple[object, ...]:
    """Tell findings apart: the same about several GPUs is one."""
    about = "gpu" if (risk.target or "").startswith("gpu:") else risk.target
    return risk.id, risk.severity, about


_OF_GPU = re.compile(r"^GPU \S+?[:,]? ")


def _of_several(same: Sequence[Risk], view: View) -> str:
    """Say one finding about several GPUs: `GPUs 0-7: 80 °C`; of the worst as an example where they differ."""
    gpus = {risk.target for risk in same}
    said = [_OF_GPU.sub("", risk.summary) for risk in same]
    who = span([each for each in view.all(Source.GPU) if each.id in gpus])
    return f"{who}: {'' if len(set(said)) == 1 else 'e.g. '}{said[0]}"


def _others(firing: Sequence[Risk]) -> str:
    count = len({_finding(risk) for risk in firing}) - 1
    return f" (+{count} other risk{'s' if count > 1 else ''})" if count else ""


def _silent(view: View, settings: Settings) -> list[str]:
    """List the servers that were asked for, or are polled, and never answered."""
    answered = {source.id for source in view.all(Source.SERVER) if source.newest_ok is not None}
    return [each for each in dict.fromkeys((*settings.targets, *view.ids(Source.SERVER))) if each not in answered]
