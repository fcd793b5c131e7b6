"""Why: one risk whole, what it is, what it rests on, what to do, with what effect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metrics import units
from metrics.finding import RiskState
from tui import words
from tui.overlay import Threshold
from tui.panes import onsets, steps
from tui.panes.moments import moments
from tui.panes.page import INDENT, graph, heading, side_by_side, text
from tui.panes.risks import evidence_basis, evidence_text, threshold_text
from tui.rows import cells, fit_row, spread
from tui.view import advice_for, alike, opened_risk, severity_style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.finding import Evidence, Recommendation, Risk
    from metrics.observed import Track
    from metrics.snapshot import Snapshot
    from tui.palette import StyleName
    from tui.rows import Row
    from tui.view import View

_TALL = 34
_TRACKS = {
    "ttft_seconds": ("ttft_p95", "TTFT p95"),
    "itl_seconds": ("itl_p95", "ITL p95"),
    "requests_waiting": ("requests_waiting", "requests waiting"),
    "requests_running": ("requests_running", "requests running"),
    "kv_cache_usage": ("kv_cache_usage", "KV cache"),
    "requests_finished": ("requests_rate", "requests finished"),
    "output_tokens_total": ("output_tokens_rate", "output tokens"),
    "prompt_tokens_total": ("prompt_tokens_rate", "prompt tokens"),
}


def why(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show one risk whole: what it is, what it rests on, what to do, with what effect."""
    risk = opened_risk(snapshot, view)
    if risk is None or risk.state is RiskState.NOT_OBSERVED:
        return _over(risk, view, width)
    advice = advice_for(snapshot, risk)
    rows: list[Row] = [_title(risk, width), *_odds(risk, width), *text(_told(risk), width)]
    if risk.evidence:
        rows += [heading("EVIDENCE", width), *_evidence_rows(risk, width)]
    rows += onsets.onsets(snapshot, risk, width)
    graphs = _graphs_of(snapshot, view, risk, width, height)
    rows += graphs if height >= _TALL else []
    rows += steps.steps(advice, risk, width)
    rows += _others(snapshot, risk, width)
    rows += steps.withheld(snapshot, risk, width)
    rows += graphs if height < _TALL else []  # on a small screen what to do is seen without scrolling
    if risk.mitigation and _says_more(risk.mitigation, advice):
        rows += [heading("MITIGATION", width), *text(risk.mitigation, width)]
    if len(risk.episodes) > 1 or not risk.evidence:
        rows += _episodes(risk, width)
    return rows


def _over(risk: Risk | None, view: View, width: int) -> list[Row]:
    """Say that the risk whose page is open has ended, so that nobody takes another one's numbers for its own."""
    if risk is None and view.opened is None:
        return [fit_row(((" no risk is open now", "plain"),), width)]
    title = risk.title if risk is not None else words.quantity(view.opened[0] if view.opened else "")
    rows: list[Row] = [fit_row(((" ", "plain"), (" OVER ", "badge_good"), ("  ", "plain"), (title, "bold")), width)]
    rows += text("This risk has ended: its condition no longer holds. Escape leads back to what is open now.", width)
    if risk is None:
        return rows
    rows += text(risk.description, width, "dim") if risk.description else []
    return rows + _episodes(risk, width)


def _title(risk: Risk, width: int) -> Row:
    fires = risk.state is RiskState.FIRING
    word = risk.severity.value.upper() if fires else risk.state.value.upper()
    badges: dict[StyleName, StyleName] = {"critical": "badge_critical", "warning": "badge_warning"}
    style: StyleName = badges.get(severity_style(risk.severity), "badge") if fires else "badge"
    held = f", {risk.state.value} {units.duration(risk.seconds_in_state)}" if risk.seconds_in_state else ""
    since = f"since {words.clock_of(risk.since)}{held}" if risk.since else ""
    fires_in = f", fires in {units.duration(risk.fires_in_seconds)}" if risk.fires_in_seconds is not None else ""
    left: Row = ((" ", "plain"), (f" {word} ", style), ("  ", "plain"), (risk.title, "bold"))
    return spread(left, ((f" {since}{fires_in} ", "dim"),), width)


def _odds(risk: Risk, width: int) -> list[Row]:
    parts = (f"likelihood {risk.likelihood}", f"impact {risk.impact}", risk.target or "")
    return text(" · ".join(filter(None, parts)), width, "dim")


def _told(risk: Risk) -> str:
    """Describe a risk; of one that is over, until when it was so."""
    over = risk.state is RiskState.RESOLVING and risk.description
    return f"{f'Until {words.clock_of(risk.since)}: ' if over else ''}{_ended(risk.description)}"


def _ended(said: str) -> str:
    """End a sentence with its period, also where it ends in the words of a driver or a server."""
    return f"{said}." if said and said[-1].isalnum() else said


def _others(snapshot: Snapshot, risk: Risk, width: int) -> list[Row]:
    """Say the same finding of the other GPUs that share its row."""
    found = [each for each in alike(snapshot, risk) if each is not risk]
    rows = [heading(f"AS WELL  {len(found)}", width)] if found else []
    for each in found:
        rows += text(each.summary or each.description, width)
    return rows


def _episodes(risk: Risk, width: int) -> list[Row]:
    """List when it fired, the last five times."""
    rows = [heading("EPISODES", width)] if risk.episodes else []
    for begin, end in risk.episodes[-5:]:
        until = words.clock_of(end) if end else "now"
        rows.append(fit_row(((f"   {words.clock_of(begin)} to {until}", "plain"),), width))
    return rows


def _evidence_rows(risk: Risk, width: int) -> list[Row]:
    rows: list[Row] = []
    for one in risk.evidence:
        basis = evidence_basis(one)
        said = evidence_text(one)
        if one.text and (limit := threshold_text(one)):
            basis = f"{limit}, {basis}" if basis else limit
        if cells(said) + cells(basis) + INDENT + 3 <= width:
            rows.append(spread(((" " * INDENT + said, "plain"),), ((f" {basis} ", "dim"),), width))
        else:
            rows += [*text(said, width), *text(basis, width, "dim", INDENT + 2)]
    return rows


def _graphs_of(snapshot: Snapshot, view: View, risk: Risk, width: int, height: int) -> list[Row]:
    """Draw what the evidence speaks of on one clock, two graphs side by side, as many as there is room for."""
    found: list[tuple[str, Track, Evidence]] = []
    for one in risk.evidence:
        tracks = next((target.tracks for target in snapshot.targets if target.id == risk.target), None)
        tracks = tracks or next((gpu.tracks for gpu in snapshot.gpus if f"gpu:{gpu.uuid}" == risk.target), {})
        name, title = _TRACKS.get(one.quantity, (one.quantity, words.quantity(one.quantity)))
        if name in tracks:
            found.append((title, tracks[name], one))
    if not found or height < 18 or width < 30:
        return []
    across = 2 if width >= 76 and len(found) > 1 else 1
    tall = 8 if height >= 30 else 6
    size = (width - across + 1) // across
    most = 4 if height >= 30 else across
    events = moments(snapshot, risk.target)
    drawn = [
        graph(title, track, view.charset, size, tall, _limit(track, one), events) for title, track, one in found[:most]
    ]
    return side_by_side(drawn, width, across)


_NEAR = 1.2
"""How far the value of the evidence may lie outside of what is drawn: of a quantile only its interval is known."""


def _limit(track: Track, one: Evidence) -> Threshold | None:
    """Give the limit to draw: that of a value on this axis, not of a ratio of it to what others have."""
    if one.unit != track.unit or one.value is None or one.threshold is None:
        return None
    seconds = one.window_seconds if one.window_seconds is not None else len(track.values) * track.step
    drawn = [each for each in track.values[-max(1, round(seconds / track.step)) :] if each is not None]
    low, high = one.lo if one.lo is not None else one.value, one.hi if one.hi is not None else one.value
    near = drawn and min(drawn) <= high * _NEAR and max(drawn) * _NEAR >= low
    return Threshold(one.threshold, threshold_text(one)) if near else None


_STEM = 4
"""Letters by which words are compared: `cool` and `cooling` say the same."""


def _says_more(mitigation: str, advice: Sequence[Recommendation]) -> bool:
    """Tell whether a clause of the mitigation has no word in common with the advice, that is, says something new."""
    said = " ".join(part for one in advice for part in (one.title, *one.actions)).lower()
    clauses = (re.findall(rf"\w{{{_STEM},}}", part) for part in re.split(r"[,;:.]", mitigation.lower()))
    return any(clause and not any(word[:_STEM] in said for word in clause) for clause in clauses)
