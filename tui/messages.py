"""What is sent to the app from other threads and from itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from metrics.snapshot import Snapshot

MESSAGE = 8.0
"""Seconds for which a line stands in the footer."""


class SnapshotReady(Message, bubble=False):
    """A new moment to show."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """Take the place of an older one that still waits: only the newest moment is worth drawing."""
        return isinstance(message, SnapshotReady)


class Said(Message, bubble=False):
    """One line for the footer."""

    def __init__(self, line: str, seconds: float = MESSAGE) -> None:
        super().__init__()
        self.line = line
        self.seconds = seconds
