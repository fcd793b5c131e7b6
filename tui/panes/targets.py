"""Many servers: a table, those in trouble first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from metrics import units
from metrics.finding import RiskState
from metrics.sample import State
from tui import words
from tui.rows import fit, fit_row
from tui.view import chosen_target, severity_style, without_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.finding import Risk
    from metrics.observed import Target
    from metrics.snapshot import Snapshot
    from tui.palette import StyleName
    from tui.rows import Row
    from tui.view import View


_STATE = 11
"""Cells for the state of a server: `NO METRICS`."""


def targets(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show each server in a line: state, address, model, TTFT, output, running, waiting."""
    name = max(12, min(30, (width - 61) // 2))
    head = (
        f"{'':{4 + _STATE}}{'SERVER':<{name}} {'model':<{name}} {'TTFT p95':>11} {'output':>11} {'run':>5} {'wait':>5}"
    )
    rows = [fit_row(((head, "dim"),), width)]
    worst = {each.id: _worst(snapshot, each) for each in snapshot.targets}
    ranks = [risk for risk in snapshot.risks if risk.state is RiskState.FIRING]
    numbered = list(enumerate(snapshot.targets, 1))
    numbered.sort(key=lambda pair: _rank(snapshot, pair[1], worst[pair[1].id], ranks))
    chosen = chosen_target(snapshot, view)
    for number, target in numbered:
        state, style = _state(snapshot, target, worst[target.id])
        get = target.quantities.get
        run, wait = (units.count(words.latest(target.quantities, f"requests_{x}")) for x in ("running", "waiting"))
        output = units.value(words.output_now(target), "tok/s")
        address = fit(target.url.split("//")[-1], name)
        model = fit(words.model(target.model or units.UNKNOWN, name), name)
        text = f"{address} {model} {words.bounds(get('ttft_seconds'), 'p95'):>11} {output:>11} {run:>5} {wait:>5}"
        mark = "▸" if target is chosen else " "
        old: StyleName = "dim" if target.state is not State.OK else "plain"
        rows.append(fit_row(((f"{mark}{number:<3}", "bold"), (fit(state, _STATE), style), (text, old)), width))
    return [*rows[: height - 1], _together(snapshot, name, width)]


def _together(snapshot: Snapshot, name: int, width: int) -> Row:
    """Write the last line: what all servers do together, and the scores of all."""
    card = snapshot.scorecard
    scores = (("throughput", card.throughput), ("TTFT", card.ttft), ("quality", card.quality))
    known = [f"{title} {units.score(one.score, one.best)}" for title, one in scores if one.score is not None]
    answering = [each for each in snapshot.targets if each.state is State.OK]
    output, run, wait = (
        _sum(values)
        for values in (
            [words.output_now(each) for each in answering],
            [words.latest(each.quantities, "requests_running") for each in answering],
            [words.latest(each.quantities, "requests_waiting") for each in answering],
        )
    )
    text = (
        f"{fit('  '.join(known), 2 * name + 13)} "
        f"{units.value(output, 'tok/s'):>11} {units.count(run):>5} {units.count(wait):>5}"
    )
    return fit_row((("    ", "plain"), (fit(f"all {len(snapshot.targets)}", _STATE), "bold"), (text, "plain")), width)


def _sum(values: Sequence[float | None]) -> float | None:
    """Add up; None where one of them is not known."""
    known = [each for each in values if each is not None]
    return math.fsum(known) if known and len(known) == len(values) else None


def _worst(snapshot: Snapshot, target: Target) -> Risk | None:
    firing = (risk for risk in snapshot.risks if risk.state is RiskState.FIRING and risk.target == target.id)
    return next(firing, None)


def _rank(snapshot: Snapshot, target: Target, worst: Risk | None, ranks: list[Risk]) -> tuple[bool, int]:
    """Put what does not answer first, the others in the order of what fires of them."""
    at = next((index for index, risk in enumerate(ranks) if risk is worst), len(ranks))
    return target.state is State.OK or without_page(snapshot, target), at


def _state(snapshot: Snapshot, target: Target, worst: Risk | None) -> tuple[str, StyleName]:
    if without_page(snapshot, target):
        return "NO METRICS", "warning"
    if target.state is not State.OK:
        return target.state.value.upper(), "critical"
    if worst is None:
        return "ok", "good"
    return worst.severity.value.upper(), severity_style(worst.severity)
