"""What happened to a server or a GPU, for its graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.overlay import Moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metrics.sample import Event
    from metrics.snapshot import Snapshot

MOST = 12
"""Vertical lines in a graph that are no marks; the newest."""
NEAR_SECONDS = 10.0
"""Of what happens again so soon the first is drawn: a fault of a GPU comes as a burst of XIDs."""


def moments(snapshot: Snapshot, about: str | None) -> list[Moment]:
    """List the marks and the newest other events that `about`, a server or a GPU by its id, may have felt, in order.

    Those are its own, those of all (a mark), and those of the GPUs that a server runs on or the servers on a GPU.
    """
    related = {about}
    others: set[str | None] = {each.id for each in snapshot.targets}
    for gpu in snapshot.gpus:
        name = f"gpu:{gpu.uuid}"
        others.add(name)
        servers = {each.id for each in snapshot.targets if each.gpus is None or gpu.index in each.gpus}
        if about == name:
            related |= servers
        elif about in servers:
            related.add(name)
    mine = [each for each in snapshot.events if each.target not in others - related]
    marks = [Moment(each.wall, _label(each)) for each in mine if each.kind == "mark"]
    rest = _firsts(Moment(each.wall, _label(each)) for each in mine if each.kind != "mark")
    return sorted((*marks, *rest[-MOST:]))


def _firsts(found: Iterable[Moment]) -> list[Moment]:
    """Leave out what has the label of one that is drawn shortly before."""
    kept: list[Moment] = []
    drawn: dict[str, float] = {}
    for each in found:
        if each.label not in drawn or each.wall - drawn[each.label] > NEAR_SECONDS:
            drawn[each.label] = each.wall
            kept.append(each)
    return kept


def _label(event: Event) -> str:
    """Say in a word what happened: a mark by its text, an XID by its number."""
    if event.kind == "mark":
        return event.text
    return f"XID {event.code}" if event.code is not None else event.kind
