"""The probe at work: one request at a time, each at the moment for which it was planned.

The schedule is open-loop: request k belongs to `start + k * interval`, whatever became of those before it. One that
cannot be sent because another still runs is counted with the time that it certainly waited.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from collectors.poller import next_tick
from collectors.probe import tally as tallies
from collectors.probe.lag import BEAT
from collectors.probe.prompt import REQUEST_TOKENS, Prefix, Route, body
from collectors.probe.reply import Outcome
from collectors.probe.schedule import WARM_UP, Budget
from collectors.probe.tally import Skipped, Tally

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from collectors.clock import Clock
    from collectors.probe.lag import Lag
    from collectors.probe.reply import Limits, Reply
    from collectors.probe.schedule import Heard, Plan

_LEAD = 1.0
"""Seconds before a request at which a GET opens its connection: vLLM and llama-server close one that is 5 s silent."""
_OTHER_ROUTE = frozenset((400, 404, 405, 422))
"""vLLM answers a chat with 400 where the model has no chat template; other servers have but one of the two routes."""


class Client(Protocol):
    """What sends: `collectors.probe.stream.Client`."""

    async def models(self, url: str, seconds: float) -> tuple[str, ...] | None:
        """Ask what is served."""

    async def ask(self, url: str, shown: str, body: bytes, limits: Limits) -> Reply:
        """Send one request."""


class Prober:
    """Probes the server at `root` (its URL without a slash at the end) until cancelled.

    `nonce` makes a text of 16 characters that no other call has made. What has no underscore may be read from
    any thread.
    """

    def __init__(
        self,
        root: str,
        shown: str,
        plan: Plan,
        heard: Heard,
        *,
        clock: Clock,
        nonce: Callable[[], str],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._root = root
        self._shown = shown
        self._plan = plan
        self._heard = heard
        self._clock = clock
        self._nonce = nonce
        self._sleep = sleep
        self._warm_nonce = nonce()
        self._route = Route.CHAT
        self._salted = True
        self._last = Prefix.WARM
        self._model = plan.model
        self._restarts = heard.restarts
        self._warm_up = WARM_UP
        self.budget = Budget(plan.tokens_per_hour, REQUEST_TOKENS)
        self._cost = float(REQUEST_TOKENS)
        self.tally = Tally()
        self.trouble = ""
        """Why the last request gave no latency; empty where it did."""
        self.held = ""
        """Why the last planned request was not sent; empty where it was."""
        self.answered = 0
        """Requests that were answered to their end, ..."""
        self.without_usage = 0
        """... those of them of which the server did not tell what they cost, ..."""
        self.new_connections = 0
        """... and those whose TTFT holds the making of a connection."""

    async def run(self, client: Client, lag: Lag) -> None:
        """Send the planned requests."""
        interval = self._plan.interval
        lead = min(_LEAD, interval / 4)
        start = self._clock.mono() + lead
        slot = -1
        while True:
            now = self._clock.mono()
            following = next_tick(start, interval, slot, now)
            for missed in range(slot + 1, following):
                self.tally = self.tally.overrun(self._turn(), now - (start + missed * interval))
            slot = following
            planned = start + slot * interval
            await self._until(planned - lead)
            if not self._may_send(self._clock.mono()):
                await self._until(planned)
                continue
            names = await client.models(f"{self._root}/v1/models", max(lead / 2, planned - self._clock.mono()))
            self._model = self._plan.model or (names[0] if names else self._model or self._heard.model)
            await self._until(planned)
            await self._send(client, lag, self._turn(), planned)

    async def _until(self, moment: float) -> None:
        """Sleep until a moment, and a little less: a timer is up to a millisecond late, the rest is waited out."""
        left = moment - self._clock.mono()
        if left > 0.002:
            await self._sleep(left - 0.002)
        while self._clock.mono() < moment:
            await self._sleep(0)

    def _may_send(self, now: float) -> bool:
        if self._heard.crowded(now) and not self._plan.force:
            self.tally = self.tally.skipped(Skipped.QUEUE)
            self.held = f"{self._heard.waiting:g} requests have been waiting in the server: the probe adds none"
        elif not self.budget.allows(self._cost, now):
            self.tally = self.tally.skipped(Skipped.BUDGET)
            self.held = f"the budget of {self._plan.tokens_per_hour:g} tokens an hour is spent for now"
        else:
            self.held = ""
            return True
        return False

    async def _send(self, client: Client, lag: Lag, prefix: Prefix, planned: float) -> None:
        if self._restarts != self._heard.restarts:
            self._restarts, self._warm_up = self._heard.restarts, WARM_UP
        nonce = self._nonce() if prefix is Prefix.COLD else self._warm_nonce
        salted = self._salted and self._heard.engine == "vllm"
        asked = body(self._route, self._model, nonce, salted=salted)
        shown = self._shown + self._route
        reply = await client.ask(self._root + self._route, shown, asked, self._plan.limits)
        self._charge(reply)
        if reply.outcome is Outcome.REFUSED:
            self._ask_otherwise(reply)
        await self._sleep(2 * BEAT)  # the beat that the request may have held up is still to come
        first = reply.first_token if reply.first_token is not None else reply.ended
        tainted = lag.taints(planned, reply.ended, first - planned)
        left_out = tallies.left_out(reply, warming_up=self._warm_up > 0, tainted=tainted)
        if reply.outcome is Outcome.OK:
            self.answered += 1
            self.without_usage += reply.usage is None
            self.new_connections += not reply.reused
            self._warm_up = max(0, self._warm_up - 1)
        self.tally = self.tally.answered(prefix, planned, reply, left_out)
        self.trouble = reply.reason

    def _charge(self, reply: Reply) -> None:
        """Charge a request to the budget; what is not known is charged as the most that it can have been."""
        usage = reply.usage
        if usage is not None:
            self._cost = float((usage.prompt_tokens or 0) + (usage.output_tokens or 0))
            self.budget.spend(self._cost)
        elif reply.outcome is not Outcome.REFUSED:
            self.budget.spend(REQUEST_TOKENS, estimated=True)

    def _ask_otherwise(self, reply: Reply) -> None:
        """Ask in another way next time: without a salt, or through the other route where this one never answered."""
        if "cache_salt" in reply.reason:
            self._salted = False
        elif reply.status in _OTHER_ROUTE and not self.answered:
            self._route = Route.COMPLETIONS if self._route is Route.CHAT else Route.CHAT

    def _turn(self) -> Prefix:
        """Take turns by what is sent: by the slot, a budget for every other one would pay for cold ones alone."""
        self._last = Prefix.WARM if self._last is Prefix.COLD else Prefix.COLD
        return self._last
