"""One request on its way through the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.faults import Clients


class Request:
    """One request; times are seconds of the engine's clock."""

    __slots__ = (
        "arrival",
        "blocks",
        "cached",
        "cancelled",
        "clients",
        "ended",
        "failed",
        "finish_reason",
        "finish_tick",
        "first_token",
        "generated",
        "handler",
        "join_tick",
        "last_token",
        "max_tokens",
        "output_tokens",
        "preemptions",
        "prefix",
        "prefix_tokens",
        "prompt_tokens",
        "queued",
        "remaining",
        "ring_slot",
        "scheduled",
        "stored",
    )

    def __init__(
        self,
        arrival: float,
        prompt_tokens: int,
        output_tokens: int,
        max_tokens: int,
        prefix: int | None = None,
        prefix_tokens: int = 0,
        handler: str = "/v1/chat/completions",
        clients: Clients | None = None,
    ) -> None:
        self.arrival = arrival
        self.prompt_tokens = prompt_tokens
        self.output_tokens = output_tokens
        """How many it will have generated at its end; no engine knows that beforehand, and this one does not look."""
        self.max_tokens = max_tokens
        self.prefix = prefix
        """Which shared prefix it begins with, and how many of its tokens that is."""
        self.prefix_tokens = prefix_tokens
        self.handler = handler
        """Path of the HTTP request."""
        self.clients = clients
        """Of which one sent it, and sends the next when this is over; None where nobody waits for it."""
        self.queued: float | None = None
        """When the scheduler saw it: between two steps."""
        self.scheduled: float | None = None
        """When it was first scheduled; a preemption does not change that."""
        self.first_token: float | None = None
        self.ended: float | None = None
        """When its last token was out."""
        self.last_token = 0.0
        """Kept up to date only when it does not decode."""
        self.generated = 0
        """Tokens out; while it decodes, as of the step in which it began to (`Engine.generated` knows more)."""
        self.finish_reason: str | None = None
        self.failed = False
        """True when the engine died with it."""
        self.cancelled = False
        self.cached: int | None = None
        """Prompt tokens that came from the prefix cache when it was first admitted."""
        self.preemptions = 0
        self.remaining = 0
        """Tokens of its prefill that are still to be computed."""
        self.blocks = 0
        """Blocks of its own, the shared prefix left out; while it decodes, as of the step in which it began to."""
        self.stored = 0
        """Tokens in the cache when it began to decode."""
        self.join_tick: int | None = None
        """Step number at which it began to decode; None while it does not."""
        self.finish_tick = 0
        self.ring_slot = 0

    @property
    def done(self) -> bool:
        """Nothing more will come of it."""
        return self.failed or self.cancelled or self.finish_reason is not None
