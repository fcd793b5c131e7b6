"""Why: one risk whole, what it is, what it rests on, what to do, with what effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics import units
from metrics.snapshot import RiskState
from tui import words
from tui.panes.page import INDENT, graph, heading, side_by_side, text
from tui.panes.risks import evidence_basis, evidence_text
from tui.rows import cells, fit_row, spread, wrap
from tui.view import advice_for, chosen_risk, severity_style

if TYPE_CHECKING:
    from metrics.snapshot import Evidence, Recommendation, Risk, Snapshot, Track
    from tui.palette import StyleName
    from tui.rows import Row
    from tui.view import View

_BASES = {"measured": "as measured", "model": "by a fitted model", "bound": "as a bound"}
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
    risk = chosen_risk(snapshot, view)
    if risk is None:
        return [fit_row(((" no risk is open now", "plain"),), width)]
    fires = risk.state is RiskState.FIRING
    word = risk.severity.value.upper() if fires else risk.state.value.upper()
    badges: dict[StyleName, StyleName] = {"critical": "badge_critical", "warning": "badge_warning"}
    style: StyleName = badges.get(severity_style(risk.severity), "badge") if fires else "badge"
    held = f", {risk.state.value} {units.duration(risk.seconds_in_state)}" if risk.seconds_in_state else ""
    since = f"since {words.clock_of(risk.since)}{held}"
    fires_in = f", fires in {units.duration(risk.fires_in_seconds)}" if risk.fires_in_seconds is not None else ""
    rows: list[Row] = [
        spread(
            ((" ", "plain"), (f" {word} ", style), ("  ", "plain"), (risk.title, "bold")),
            ((f" {since}{fires_in} ", "dim"),),
            width,
        ),
        fit_row(((f"   likelihood {risk.likelihood} · impact {risk.impact} · {risk.target or ''}", "dim"),), width),
        *text(risk.description, width),
        heading("EVIDENCE", width),
    ]
    rows += _evidence_rows(risk, width)
    rows += _graphs_of(snapshot, view, risk, width, height)
    if risk.mitigation:
        rows += [heading("MITIGATION", width), *text(risk.mitigation, width)]
    for one in advice_for(snapshot, risk):
        rows += _recommendation(one, width)
    if len(risk.episodes) > 1:
        rows.append(heading("EPISODES", width))
        for begin, end in risk.episodes[-5:]:
            until = words.clock_of(end) if end else "now"
            rows.append(fit_row(((f"   {words.clock_of(begin)} to {until}", "plain"),), width))
    return rows


def _evidence_rows(risk: Risk, width: int) -> list[Row]:
    rows: list[Row] = []
    for one in risk.evidence:
        basis = evidence_basis(one)
        said = evidence_text(one)
        if one.text and one.threshold is not None:
            limit = f"limit {units.value(one.threshold, one.unit)}"
            basis = f"{limit}, {basis}" if basis else limit
        if cells(said) + cells(basis) + INDENT + 3 <= width:
            rows.append(spread(((" " * INDENT + said, "plain"),), ((f" {basis} ", "dim"),), width))
        else:
            rows += [*text(said, width), *text(basis, width, "dim", INDENT + 2)]
    return rows or [fit_row((("   none given", "dim"),), width)]


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
    drawn = [graph(title, track, view.charset, size, tall, one.threshold) for title, track, one in found[:most]]
    return side_by_side(drawn, width, across)


def _recommendation(one: Recommendation, width: int) -> list[Row]:
    rows = [heading(f"ADVICE  {one.title}", width)]
    if one.effect is not None:
        rows += text(f"expected: {words.effect(one.effect)}, {_BASES.get(one.effect.basis, one.effect.basis)}", width)
        rows += text("if " + "; ".join(one.effect.assumptions), width, "dim") if one.effect.assumptions else []
    for action in one.actions:
        rows += [
            fit_row((("   · " if not index else "     ", "plain"), (line, "plain")), width)
            for index, line in enumerate(wrap(action, max(1, width - 6)))
        ]
    for reason in one.because:
        rows += text(f"because {reason}", width, "dim")
    return rows
