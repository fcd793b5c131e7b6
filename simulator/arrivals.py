"""Requests, and the stream in which they arrive."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.faults import LoadChange, Shift
    from simulator.scenario import Workload


class Request:
    """One request on its way through the engine; times are seconds of the engine's clock."""

    __slots__ = (
        "arrival",
        "blocks",
        "cached",
        "cancelled",
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


class Load:
    """How many times the workload's own rate arrives, over time: constant, with steps and ramps."""

    def __init__(self, changes: Sequence[LoadChange]) -> None:
        self._changes = sorted(changes, key=lambda change: change.at)
        self.most = max([1.0, *(change.multiplier for change in self._changes)])

    def at(self, seconds: float) -> float:
        """Tell the multiplier at this moment."""
        value = 1.0
        for change in self._changes:
            if seconds < change.at:
                break
            share = 1.0 if change.over <= 0 else min(1.0, (seconds - change.at) / change.over)
            value += (change.multiplier - value) * share
        return value


class Arrivals:
    """A Poisson stream of requests whose rate follows the load, drawn by thinning: the same for the same seed.

    `share` of the workload's rate comes here; after a Shift other requests come.
    """

    def __init__(
        self,
        workload: Workload,
        load: Load,
        max_model_len: int,
        seed: int,
        start: float,
        share: float = 1.0,
        shifts: Sequence[Shift] = (),
    ) -> None:
        self._workload = workload
        self._load = load
        self._longest = max_model_len
        self._random = Random(f"arrivals {seed}")
        self._share = share
        self._shifts = sorted(shifts, key=lambda shift: shift.at)
        self.next_at = start
        """When the next request comes."""
        self._advance()

    def pop(self) -> Request:
        """Take the next request off the stream."""
        at, random = self.next_at, self._random
        while self._shifts and self._shifts[0].at <= at:
            self._workload = _shifted(self._workload, self._shifts.pop(0))
        workload = self._workload
        prefix, prefix_tokens = None, 0
        if workload.shared_prefix_share and random.random() < workload.shared_prefix_share:
            prefix, prefix_tokens = random.randrange(workload.shared_prefixes), workload.shared_prefix_tokens
        prompt = min(prefix_tokens + workload.prompt_tokens.draw(random), self._longest - 1)
        asked = min(workload.max_tokens, self._longest - prompt)
        output = min(workload.output_tokens.draw(random), asked)
        self._advance()
        return Request(at, prompt, output, asked, prefix, prefix_tokens)

    def end(self) -> None:
        """Let no more come."""
        self.next_at = float("inf")

    def _advance(self) -> None:
        highest = self._workload.requests_per_second * self._share * self._load.most
        if highest <= 0:
            self.next_at = float("inf")
            return
        random = self._random
        while True:
            self.next_at += random.expovariate(highest)
            if random.random() * self._load.most < self._load.at(self.next_at):
                return


def _shifted(workload: Workload, shift: Shift) -> Workload:
    share = shift.shared_prefix_share
    return replace(
        workload,
        prompt_tokens=shift.prompt_tokens or workload.prompt_tokens,
        output_tokens=shift.output_tokens or workload.output_tokens,
        shared_prefix_share=workload.shared_prefix_share if share is None else share,
    )
