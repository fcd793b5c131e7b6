"""What became of one request of the probe."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from collectors.probe.chunk import Usage


class Outcome(StrEnum):
    """How a request ended."""

    OK = "ok"
    TIMEOUT = "timeout"
    CUT = "cut"
    """It was still going on when it had sent more than any such answer has; it was broken off."""
    FAILED = "failed"
    """The server failed: no connection, a 5xx or 429, an error in the stream, a stream that broke off."""
    REFUSED = "refused"
    """The server does not take the request as it is asked: no such model, no token. It says nothing of its speed."""


class Limits(Struct, frozen=True):
    """What one request may take."""

    seconds: float = 60.0
    bytes: int = 256 * 2**10
    chunks: int = 200
    """Chunks with a token: a server that overlooks `max_tokens` is cut off here."""


class Reply(Struct, frozen=True, omit_defaults=True):
    """What became of one request. Moments are seconds of the monotonic clock; None is "did not come"."""

    outcome: Outcome
    sent: float
    ended: float
    """When the stream was over, for whatever reason."""
    reason: str = ""
    """One line where the outcome is not ok."""
    status: int | None = None
    first_byte: float | None = None
    """When the head of the response came: the server took the request in."""
    first_token: float | None = None
    """When the first piece of text, reasoning or tool call came."""
    first_answer: float | None = None
    """The same, reasoning left out."""
    last_token: float | None = None
    gaps: tuple[float, ...] = ()
    """Seconds between two chunks with a token, in their order (inter-chunk latency)."""
    chunks: int = 0
    """Chunks with a token."""
    usage: Usage | None = None
    """The last that any chunk told."""
    reused: bool = False
    """It went over a connection that was open before."""
    connecting: float = 0.0
    """Seconds that a new connection took, the look-up of the name included."""

    @property
    def tpot(self) -> float | None:
        """Time per output token after the first: from `usage` alone, for a chunk may hold several tokens."""
        tokens = self.usage.output_tokens if self.usage is not None else None
        if self.first_token is None or self.last_token is None or tokens is None or tokens < 2:
            return None
        return (self.last_token - self.first_token) / (tokens - 1)
