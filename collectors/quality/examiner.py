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
from collectors.quality.items import Items, interleaved, prompt
from metrics.quality import Arm, Graded, Item, Outcome, Reply
from metrics.sample import Missing
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from collectors.clock import Clock
    from collectors.quality.chat import Chat
    from collectors.quality.embedder import Embedder

_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0
"""After a question that failed, seconds until the next one; doubled with each failure in a row."""
_QUEUE_PAUSE = 5.0
_REASONING_FACTOR, _MOST_TOKENS = 16, 4096
"""A model that reasons gets so many times an item's tokens, up to so many, so that an answer follows the thoughts."""


_DAY = 86_400.0


def _nobody() -> float:
    return 0.0


def _none_held_out(_item: str, _wall: float) -> bool:
    return False


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
    held_out: Callable[[str, float], bool] = _none_held_out
    """Whether an item, by its id, is held out at a time (seconds since the epoch): it is asked but once a day."""
    price: float | None = None
    """Dollars for a million tokens."""


class Examiner:
    """What was found so far. `run` is one task; the rest may be read from another thread."""

    def __init__(
        self,
        plan: Plan,
        chat: Chat,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        *,
        embedder: Embedder | str,
    ) -> None:
        self._plan = plan
        self._chat = chat
        self._clock = clock
        self._sleep = sleep
        self._embedder = embedder
        self._unembedded = embedder if isinstance(embedder, str) else ""
        self._salt = secrets.token_hex(8)
        self._asked_at: dict[str, float] = {}
        self.budget = Budget(plan.tokens_per_hour)
        self._graded: deque[Graded] = deque()
        self._counters: Counter[str] = Counter()
        self._trouble = self._held = ""
        self._reasons = False
        self.passes = 0
        """Passes over all items that are over."""
        self.estimated = False
        """Whether what was spent is known only from above."""

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
        if why := self._unembedded:
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
        """Ask every item that is due once, the families in turn. One that fails is not asked again in this pass."""
        pause = _FIRST_PAUSE
        self._chat.forget()  # another model may be served by now
        if not isinstance(self._embedder, str):
            self._unembedded = ""
        for place, item in enumerate(interleaved(self._plan.items.items)):
            if not self._due(item):
                continue
            if await self._item(item, cold=place % 2 == 0):
                self._asked_at[item.id] = self._clock.wall()
                pause = _FIRST_PAUSE
                continue
            await self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        self.passes += 1

    def _due(self, item: Item) -> bool:
        """Tell whether an item is asked in this pass: one that is held out is when it was not for a day."""
        now, asked = self._clock.wall(), self._asked_at.get(item.id)
        return asked is None or now - asked >= _DAY or not self._plan.held_out(item.id, now)

    async def _item(self, item: Item, *, cold: bool) -> bool:
        """Ask one item in all its arms; tells whether each was answered.

        Where there is but one, every other item meets a `cold` cache: always the same ones, so that two passes differ
        in nothing else. The others share the salt of this run: warm from the second pass on, but by our own prompts.
        """
        if (failure := await self._chat.learn()) is not None:
            return self._note(_failed(item, Arm.ONLY, self.passes), failure.reason)
        one, other = secrets.token_hex(8), secrets.token_hex(8)
        if not (item.consistency and self._chat.can_be_cold):
            cache = Cache(one, reuse=False) if cold else Cache(self._salt, reuse=True)
            return await self._ask(item, Arm.ONLY, cache)
        arms = {
            Arm.COLD: Cache(one, reuse=False),
            Arm.WARM: Cache(one, reuse=True),
            Arm.AGAIN: Cache(other, reuse=False),
        }
        for arm, cache in arms.items():
            if not await self._ask(item, arm, cache):
                return False
        return True

    async def _ask(self, item: Item, arm: Arm, cache: Cache) -> bool:
        text = prompt(item)
        most = len(text) // 3 + self._limit(item)
        await self._wait_for_room(most)
        reply = await self._chat.ask(text, self._limit(item), cache, logprobs=arm is not Arm.ONLY)
        if isinstance(reply, Reply):
            self._spend(reply, most)
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
            elif seconds := self.budget.seconds_until(tokens, self._clock.mono()):
                self._held = f"the budget of {self._plan.tokens_per_hour:.0f} tokens an hour is spent"
                await self._sleep(seconds)
            else:
                self._held = ""
                return

    async def _embedded(self, item: Item, reply: Reply, graded: Graded) -> Graded:
        """Add what embeddings tell, where somebody makes any. Who fails is not asked again before the next pass."""
        if isinstance(self._embedder, str) or self._unembedded or graded.arm in {Arm.WARM, Arm.AGAIN}:
            return graded
        found = await self._embedder.closeness(item.prompt, reply.text)
        if isinstance(found, Failure):
            self._unembedded = f"not measured: {found.reason}"
            return graded
        return replace(graded, relevancy=found.relevancy, coherence=found.coherence)

    def _spend(self, reply: Reply, most: int) -> None:
        """Charge an answer; one of which the server does not tell what it took is charged as the most it may have."""
        told = reply.prompt_tokens + reply.output_tokens
        self.budget.spend(told or most, self._clock.mono())
        if not told:  # what it was is not known, and no 0
            self.estimated = True
            return
        self._counters["quality_prompt_tokens"] += reply.prompt_tokens
        self._counters["quality_output_tokens"] += reply.output_tokens

    def _note(self, graded: Graded, trouble: str) -> bool:
        self._graded.append(replace(graded, wall=self._clock.wall()))
        self._counters[series("quality_items", family=graded.family, outcome=graded.outcome.value)] += 1
        self._trouble = trouble
        return graded.outcome is not Outcome.FAILED


def _failed(item: Item, arm: Arm, number: int) -> Graded:
    return Graded(item.id, item.family, Outcome.FAILED, why="no answer", arm=arm, round=number)
