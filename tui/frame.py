"""The whole screen as rows: a pure function of the Snapshot, what the user looks at, and the size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.layout import Counts, layout
from tui.panes import (
    advice,
    capacity,
    device,
    footer,
    gpus,
    graphs,
    header,
    host,
    load,
    reference,
    risks,
    score,
    since,
    targets,
    watched,
    why,
)
from tui.rows import fit_row, to_ascii
from tui.view import chosen_risk, chosen_target, folded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from metrics.snapshot import Snapshot
    from tui.layout import Rect
    from tui.rows import Row, Span
    from tui.view import View

    Pane = Callable[[Snapshot, View, int, int], list[Row]]

PANES: Mapping[str, Pane] = {
    "header": header.header,
    "verdict": header.verdict,
    "score": score.score,
    "targets": targets.targets,
    "numbers": load.numbers,
    "ttft": graphs.ttft,
    "throughput": graphs.throughput,
    "itl": graphs.itl,
    "requests": graphs.requests,
    "load": load.load,
    "phases": load.phases,
    "estimates": capacity.estimates,
    "since": since.since,
    "gpus": gpus.gpus,
    "host": host.host,
    "risks": risks.risks,
    "evidence": risks.evidence,
    "advice": advice.advice,
    "unseen": risks.unseen,
    "events": risks.events,
}
"""Every pane of the overview by its name in the layout; the footer also needs to know what is hidden."""
_HIDDEN = {
    "targets": "servers",
    "ttft": "graphs",
    "itl": "ITL graph",
    "load": "load",
    "gpus": "GPUs",
    "host": "host",
    "score": "scores",
    "unseen": "not seen",
    "evidence": "evidence",
}


def counts(snapshot: Snapshot, view: View, width: int) -> Counts:
    """Count what there is to show at this width."""
    risk, target = chosen_risk(snapshot, view), chosen_target(snapshot, view)
    return Counts(
        verdict=len(header.verdict_lines(snapshot, width)),
        targets=len(snapshot.targets),
        gpus=max(gpus.gpu_lines(snapshot, width), 1 if gpus.unseen_reason(snapshot) else 0),
        risks=len(folded(snapshot)),
        quiet=int(bool(watched.counted(snapshot, more=False))),
        advice=len(advice.advice_lines(snapshot, view, width)),
        estimates=capacity.lines(snapshot, target),
        since=int(since.found_for(snapshot, target) is not None),
        unseen=risks.unseen_lines(snapshot, width) if snapshot.not_visible else 0,
        host=int(snapshot.host is not None),
        evidence=len(risk.evidence) if risk is not None else 0,
        events=len(snapshot.events),
        measured=bool(target is not None and target.quantities),
    )


def frame(snapshot: Snapshot | None, view: View, width: int, height: int, waiting: str = "") -> list[Row]:
    """Draw the screen: exactly `height` rows of exactly `width` cells; before the first snapshot, what it waits for."""
    if width < 1 or height < 1:
        return []
    if snapshot is None:
        rows = _skeleton(view, width, height, waiting)
    elif view.page == "overview":
        rows = _overview(snapshot, view, width, height)
    else:
        rows = _deeper(snapshot, view, width, height)
    rows = [fit_row(row, width) for row in rows[:height]]
    rows += [fit_row((), width)] * (height - len(rows))
    return [to_ascii(row) for row in rows] if view.charset == "ascii" else rows


def _skeleton(view: View, width: int, height: int, waiting: str) -> list[Row]:
    if view.page == "help":
        return [*reference.help_rows(width)[view.scroll :][: height - 1], *footer.footer(None, view, width, ())]
    rows: list[Row] = [((" chimera-top", "bold"),), ((f" {waiting}", "dim"),)]
    rows += [()] * (height - 3)
    return [*rows[: max(1, height - 1)], *footer.footer(None, view, width, ())]


def _deeper(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Draw a page that was opened from the overview: header, as much of the page as fits, footer."""
    top = header.header(snapshot, view, width, 1)
    room = max(0, height - 2)
    page = _page(snapshot, view, width, room)
    first = max(0, min(view.scroll, len(page) - room))
    body = page[first : first + room]
    below = len(page) - first - len(body)
    more = [f"{below} line{'s' if below > 1 else ''} below"] if below > 0 else []
    return [*top, *body, *([()] * (room - len(body))), *footer.footer(snapshot, view, width, more)]


def _page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    if view.page == "why":
        return why.why(snapshot, view, width, height)
    if view.page == "watched":
        return watched.watched(snapshot, width)
    if view.page == "gpu":
        return device.device(snapshot, view, width, height)
    if view.page == "numbers":
        return reference.numbers(snapshot, view, width)
    return reference.help_rows(width)


def _overview(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    wanted = counts(snapshot, view, width)
    places = layout(width, height, wanted)
    lines: list[list[tuple[Rect, Row]]] = [[] for _ in range(height)]
    for place in places:
        for offset, row in enumerate(_draw(snapshot, view, place, places, wanted)):
            lines[place.y + offset].append((place, row))
    return [_assemble(parts, width) for parts in lines]


def _draw(snapshot: Snapshot, view: View, place: Rect, places: Sequence[Rect], wanted: Counts) -> list[Row]:
    if place.pane == "footer":
        rows = footer.footer(snapshot, view, place.width, _hidden(places, wanted))
    else:
        rows = PANES[place.pane](snapshot, view, place.width, place.height)
    rows = [fit_row(row, place.width) for row in rows[: place.height]]
    return [*rows, *[fit_row((), place.width)] * (place.height - len(rows))]


def _hidden(places: Sequence[Rect], wanted: Counts) -> list[str]:
    """Name the panes for which there was no room."""
    if not wanted.measured:
        return []
    shown = {place.pane for place in places}
    there = {
        "targets": wanted.targets - 1,
        "gpus": wanted.gpus,
        "host": wanted.host,
        "unseen": wanted.unseen,
        "evidence": 0,
        "itl": 0,
    }
    return [name for pane, name in _HIDDEN.items() if pane not in shown and there.get(pane, 1)]


def _assemble(parts: Sequence[tuple[Rect, Row]], width: int) -> Row:
    """Join the rows of panes that stand side by side, with the rule between them."""
    spans: list[Span] = []
    at = 0
    for place, row in sorted(parts, key=lambda part: part[0].x):
        if place.x > at:
            spans.append(("│" if at else " ", "dim"))
            spans.append((" " * (place.x - at - 1), "plain"))
        spans += row
        at = place.x + place.width
    return fit_row(spans, width)
