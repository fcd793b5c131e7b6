"""The probe as a collector: it works in a thread and an event loop of its own, and a poll only reads what it found.

Neither the screen nor a page that is being parsed may hold up a request that is being timed.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from msgspec.structs import replace

from collectors.own_loop import OwnLoop
from collectors.probe.prompt import REQUEST_TOKENS
from collectors.probe.schedule import Heard, Plan
from collectors.target import target
from collectors.trust import trust
from metrics.sample import Missing, Sample, Source, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from collectors.clock import Clock
    from collectors.probe.prober import Prober

_HOUR = 3600.0


class ProbeCollector:
    """Probes one server: its base URL or its metrics page, the headers that go with every request to it.

    `heard` is what its own metrics say; `collectors.probe.overhear` feeds it. The thread begins with the first poll.
    Raises ValueError, in one line, where the URL or the CA file is unusable.
    """

    kind = Source.PROBE
    interval = None

    def __init__(
        self,
        url: str,
        plan: Plan,
        *,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        heard: Heard | None = None,
    ) -> None:
        self._target = target(url)
        self.name = f"probe:{self._target.source}"
        self.heard = Heard() if heard is None else heard
        self._plan = plan
        self._clock = clock
        self._headers = {**self._target.headers, **{name.title(): value for name, value in (headers or {}).items()}}
        self._trust = trust(ca_file)
        self._prober: Prober | None = None
        self._own = OwnLoop(self.name, self._probe)
        self._began = 0.0

    async def collect(self) -> Sequence[Sample]:
        """Read what the probe has found so far: one Sample."""
        if not self._own.begun:
            self._began = self._clock.mono()
        self._own.start()
        return [self._sample(self._clock.mono(), self._prober)]

    async def close(self) -> None:
        """End the probe; a request under way is broken off."""
        await self._own.close()

    async def _probe(self) -> None:
        from collectors.probe.lag import Lag, keep_beat  # noqa: PLC0415 -- all of these after the first paint
        from collectors.probe.prober import Prober  # noqa: PLC0415
        from collectors.probe.stream import Client  # noqa: PLC0415 -- aiohttp takes 0.1 s

        lag = Lag()
        client = Client(self._headers, self._trust, self._clock)
        self._prober = Prober(
            self._target.root,
            self._target.source,
            self._plan,
            self.heard,
            clock=self._clock,
            nonce=lambda: secrets.token_hex(8),
        )
        beat = asyncio.create_task(keep_beat(lag, self._clock))
        try:
            await self._prober.run(client, lag)
        finally:
            beat.cancel()
            await client.close()

    def _sample(self, now: float, prober: Prober | None) -> Sample:
        sample = Sample(self.name, self.kind, self._clock.wall(), now)
        if self._own.fault:
            return replace(sample, state=State.DOWN, reason=self._own.fault)
        if prober is None:  # its thread still imports
            return sample
        tally = prober.tally
        return replace(
            sample,
            counters=tally.counters,
            histograms=tally.histograms,
            facts={
                "probe": cost(self._plan, prober.budget.spent, now - self._began, estimated=prober.budget.estimated)
            },
            missing=tuple(_missing(prober)),
        )


def cost(plan: Plan, spent: float, seconds: float, *, estimated: bool) -> str:
    """Say what a probe costs: tokens so far and an hour, and dollars where their price is known.

    In the first minute the rate is what the plan allows, from then on it is what was spent.
    """
    planned = min(plan.tokens_per_hour, _HOUR / plan.interval * REQUEST_TOKENS)
    hourly = planned if seconds < 60 else spent / seconds * _HOUR
    words = f"{'at most ' if estimated else ''}{spent:,.0f} tokens so far, {hourly:,.0f} an hour"
    if plan.price is not None:
        words += f"; ${spent * plan.price / 1e6:.4f} so far, ${hourly * plan.price / 1e6:.4f} an hour"
    return f"{words}; never more than {plan.tokens_per_hour:,.0f} an hour"


def _missing(prober: Prober) -> Iterator[Missing]:
    if prober.held:
        yield Missing("the probe", prober.held, "what a client gets is not measured meanwhile")
    if prober.trouble:
        yield Missing("an answer to the probe", prober.trouble, "a client may get none either")
    if prober.answered and prober.without_usage == prober.answered:
        yield Missing(
            "TPOT and ITL of the probe",
            "the server sends no usage, and a chunk is not a token",
            "only TTFT and E2E are",
        )
    if prober.answered and prober.new_connections == prober.answered:
        yield Missing(
            "TTFT of the probe",
            "the server closes its connections, so each TTFT would hold the making of one",
            "TPOT is",
        )
