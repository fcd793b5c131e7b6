"""What happened to a server or a GPU, for its graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.overlay import Moment

if TYPE_CHECKING:
    from metrics.sample import Event
    from metrics.snapshot import Snapshot

MOST = 12
"""Vertical lines in a graph; the newest."""


def moments(snapshot: Snapshot, about: str | None) -> list[Moment]:
    """List the newest events that `about`, a server or a GPU by its id, may have felt, oldest first.

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
    return [Moment(each.wall, _label(each)) for each in mine[-MOST:]]


def _label(event: Event) -> str:
    """Say in a word what happened: a mark by its text, an XID by its number."""
    if event.kind == "mark":
        return event.text
    return f"XID {event.code}" if event.code is not None else event.kind
