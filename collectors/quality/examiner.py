"""Asks one server the questions of a quality file, one at a time, and notes what became of each and what it cost."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from collectors.answer import Failure
from collectors.quality.budget import TOKENS_PER_HOUR, Budget
from collectors.quality.chat import Cache
from collectors.quality.embeddings import coherence, cosine, sentences
from collectors.quality.items import Items, interleaved, prompt
from metrics.quality import Arm, Graded, Item, Outcome, Reply
from metrics.sample import Missing
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from collectors.clock import Clock
    from collectors.quality.chat import Chat

_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0
"""After a question that failed, seconds until the next one; doubled with each failure in a row."""
_QUEUE_PAUSE = 5.0
_REASONING_FACTOR, _MOST_TOKENS = 16, 4096
"""A model that reasons gets so many times an item's tokens, up to so many, so that an answer follows the thoughts."""


def _nobody() -> float:
    return 0.0


class Plan(Struct, frozen=True):
    """What to ask, and how often."""

    items: Items
    grade: Callable[[Item, Reply], Graded]
    """Says whether a reply is right: a collector concludes nothing."""
    tokens_per_hour: float = TOKENS_PER_HOUR
    pass_seconds: float = 3600.0
    """A pass over all items begins so long after the one before it."""
    waiting: Callable[[], float] = _nobody
    """How many requests wait at the server: while any does, nothing is asked."""


class Examiner:
    """What was found so far. `run` is one task; the rest may be read from another thread."""

    def __init__(
        self, plan: Plan, chat: Chat, clock: Clock, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._plan = plan
        self._chat = chat
        self._clock = clock
        self._sleep = sleep
        self._budget = Budget(plan.tokens_per_hour)
        self._graded: deque[Graded] = deque()
        self._counters: Counter[str] = Counter()
        self._trouble = self._held = ""
        self._reasons = False
        self._embeds: bool | None = None
        self.passes = 0
        """Passes over all items that are over."""

    @property
    def counters(self) -> dict[str, float]:
        """What was asked and what it cost, by series name."""
        return {name: float(value) for name, value in dict(self._counters).items()}

    def take(self) -> tuple[Graded, ...]:
        """Give what was graded since the last time."""
        return tuple(self._graded.popleft() for _ in range(len(self._graded)))

    def missing(self) -> Iterator[Missing]:
        """Tell what cannot be measured, and why."""
        if self._trouble:
            yield Missing("answers to questions", self._trouble, "quality is told of the questions that were answered")
        if self._held:
            yield Missing("answers to questions", self._held, "the other questions are asked later")
        if self._embeds is False:
            why = "not measured (no embedding endpoint)"
            yield Missing("relevancy and coherence", why, "answers that miss the point may go unnoticed")
        if self._chat.can_be_cold is False and any(item.consistency for item in self._plan.items.items):
            why = "no way is known to have this server answer from a cold cache"
            yield Missing("cache consistency", why, "answers that a cache spoils may go unnoticed")
        if bad := self._plan.items.bad:
            why = f"{len(bad)} cannot be used, the first: line {bad[0].number}: {bad[0].reason}"
            yield Missing("some lines of the quality file", why, "what they ask is not asked")

    async def run(self) -> None:
        """Pass over all items again and again, until cancelled."""
        while True:
            began = self._clock.mono()
            await self.examine()
            await self._sleep(max(0.0, began + self._plan.pass_seconds - self._clock.mono()))

    async def examine(self) -> None:
        """Ask every item once, the families in turn. One that fails is not asked again in this pass."""
        pause = _FIRST_PAUSE
        self._chat.forget()  # another model may be served by now
        self._embeds = None
        for item in interleaved(self._plan.items.items):
            if await self._item(item):
                pause = _FIRST_PAUSE
                continue
            await self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        self.passes += 1

    async def _item(self, item: Item) -> bool:
        """Ask one item in all its arms; tells whether each was answered."""
        if (failure := await self._chat.learn()) is not None:
            return self._note(_failed(item, Arm.ONLY, self.passes), failure.reason)
        if not (item.consistency and self._chat.can_be_cold):
            return await self._ask(item, Arm.ONLY, None)
        one, other = secrets.token_hex(8), secrets.token_hex(8)
        arms = {
            Arm.COLD: Cache(one, reuse=False),
            Arm.WARM: Cache(one, reuse=True),
            Arm.AGAIN: Cache(other, reuse=False),
        }
        for arm, cache in arms.items():
            if not await self._ask(item, arm, cache):
                return False
        return True

    async def _ask(self, item: Item, arm: Arm, cache: Cache | None) -> bool:
        text = prompt(item)
        await self._wait_for_room(len(text) // 3 + self._limit(item))
        reply = await self._chat.ask(text, self._limit(item), cache)
        if isinstance(reply, Reply):
            self._spend(reply)
            if reply.reasoning and reply.finish == "length" and not self._reasons:
                self._reasons = True  # its thoughts took all the tokens: once more, with room for them
                return await self._ask(item, arm, cache)
        if isinstance(reply, Failure):
            return self._note(_failed(item, arm, self.passes), reply.reason)
        graded = replace(self._plan.grade(item, reply), arm=arm, round=self.passes)
        return self._note(await self._embedded(item, reply, graded), "")

    def _limit(self, item: Item) -> int:
        return min(_MOST_TOKENS, item.max_tokens * _REASONING_FACTOR) if self._reasons else item.max_tokens

    async def _wait_for_room(self, tokens: int) -> None:
        """Wait while requests queue at the server, and while the budget has no room for so many tokens."""
        while True:
            if waiting := self._plan.waiting():
                self._held = f"{waiting:.0f} requests wait at the server, so that nothing is asked"
                await self._sleep(_QUEUE_PAUSE)
            elif seconds := self._budget.seconds_until(tokens, self._clock.mono()):
                self._held = f"the budget of {self._plan.tokens_per_hour:.0f} tokens an hour is spent"
                await self._sleep(seconds)
            else:
                self._held = ""
                return

    async def _embedded(self, item: Item, reply: Reply, graded: Graded) -> Graded:
        """Add what embeddings tell, where the server makes any. Once it did not, it is not asked again."""
        if self._embeds is False or not reply.text or graded.arm in {Arm.WARM, Arm.AGAIN}:
            return graded
        vectors = await self._chat.embed([item.prompt, reply.text, *sentences(reply.text)])
        self._embeds = not isinstance(vectors, Failure)
        if isinstance(vectors, Failure):
            return graded
        return replace(graded, relevancy=cosine(vectors[0], vectors[1]), coherence=coherence(vectors[2:]))

    def _spend(self, reply: Reply) -> None:
        self._budget.spend(reply.prompt_tokens + reply.output_tokens, self._clock.mono())
        self._counters["quality_prompt_tokens"] += reply.prompt_tokens
        self._counters["quality_output_tokens"] += reply.output_tokens

    def _note(self, graded: Graded, trouble: str) -> bool:
        self._graded.append(replace(graded, wall=self._clock.wall()))
        self._counters[series("quality_items", family=graded.family, outcome=graded.outcome.value)] += 1
        self._trouble = trouble
        return graded.outcome is not Outcome.FAILED


def _failed(item: Item, arm: Arm, number: int) -> Graded:
    return Graded(item.id, item.family, Outcome.FAILED, why="no answer", arm=arm, round=number)
