from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from collectors.clock import Clock
from collectors.quality.canary import Canary
from collectors.quality.examiner import Plan
from collectors.quality.items import Items
from metrics.quality import Exact, Graded, Item, Outcome, Reply
from metrics.sample import Source, State

if TYPE_CHECKING:
    from metrics.sample import Sample
    from tests.openai_server import Model

ITEMS = Items((Item("q", "words", "question", Exact(("answer",))),), ())


def grade(item: Item, _reply: Reply) -> Graded:
    return Graded(item.id, item.family, Outcome.RIGHT)


def until_graded(canary: Canary, most: int = 2000) -> Sample:
    """Poll until something was graded, and close."""

    async def poll() -> Sample:
        try:
            for _ in range(most):
                [sample] = await canary.collect()
                if sample.graded or sample.state is not State.OK:
                    return sample
                await asyncio.sleep(0.005)
        finally:
            await canary.close()
        raise AssertionError("nothing was graded")

    return asyncio.run(poll())


def test_a_poll_tells_what_was_graded(model: Model) -> None:
    """The thread asks, the poll reads; the source is named after the server, and a token goes with every request."""
    canary = Canary(model.url + "/metrics", Plan(ITEMS, grade), clock=Clock(), headers={"authorization": "Bearer abc1"})
    sample = until_graded(canary)
    assert (sample.source, sample.kind, sample.state) == (f"quality:{model.url}", Source.QUALITY, State.OK)
    assert [each.item for each in sample.graded] == ["q"]
    assert sample.counters['quality_items{family="words",outcome="right"}'] == 1.0
    assert {headers.get("authorization") for _, headers, _ in model.requests} == {"Bearer abc1"}


def test_a_poll_never_waits(model: Model) -> None:
    """While an answer is under way, polls go on, and closing breaks it off."""
    asked, go = threading.Event(), threading.Event()

    def say(_prompt: str) -> str:
        asked.set()
        go.wait(10)
        return "answer"

    async def poll() -> list[Sample]:
        canary = Canary(model.url, Plan(ITEMS, grade), clock=Clock())
        await canary.collect()
        assert await asyncio.to_thread(asked.wait, 10)
        samples = [sample for _ in range(3) for sample in await canary.collect()]
        await canary.close()
        await canary.close()
        return samples

    model.say = say
    samples = asyncio.run(poll())
    go.set()
    assert [(sample.state, sample.graded) for sample in samples] == [(State.OK, ())] * 3


def test_a_fault_of_its_own_is_told(model: Model) -> None:
    """A grader that fails does not end in silence, which would look like a server without faults."""

    def broken(_item: Item, _reply: Reply) -> Graded:
        raise ZeroDivisionError("by zero")

    sample = until_graded(Canary(model.url, Plan(ITEMS, broken), clock=Clock()))
    assert sample.state is State.DOWN
    assert sample.reason == "internal error: ZeroDivisionError: by zero"


def test_closing_what_never_began() -> None:
    """A canary that was never polled asks nothing and closes at once."""
    asyncio.run(Canary("http://127.0.0.1:9", Plan(ITEMS, grade), clock=Clock()).close())
