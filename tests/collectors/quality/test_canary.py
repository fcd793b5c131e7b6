from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from collectors.clock import Clock
from collectors.quality.canary import Canary
from collectors.quality.embedder import Endpoint
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


@pytest.mark.parametrize(
    ("body", "outcome", "why"),
    [
        ({"choices": [{"message": {"content": "x" * 900_000}}]}, Outcome.RIGHT, ""),
        (b" " * (2**20 + 1), Outcome.FAILED, "answered more than 1 MiB"),
        ((503, b'{"error": "overloaded"}'), Outcome.FAILED, '503 from {url}: "overloaded"'),
        ((401, b""), Outcome.FAILED, "401 from {url}: it wants a token"),
        ({"choices": [{"message": {"content": ""}}]}, Outcome.RIGHT, ""),
    ],
)
def test_whatever_is_answered(model: Model, body: object, outcome: Outcome, why: str) -> None:
    """A megabyte and nothing at all are answers to be graded; more than that, and a refusal, are none, and why."""
    model.say = lambda _: body
    sample = until_graded(Canary(model.url, Plan(ITEMS, grade), clock=Clock()))
    assert [each.outcome for each in sample.graded] == [outcome]
    told = [each.why for each in sample.missing if each.what == "answers to questions"]
    assert len(told) == bool(why)
    assert all(why.format(url=model.url) in each for each in told)


def test_an_answer_without_an_end() -> None:
    """It ends at the deadline, as no answer."""
    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        with contextlib.suppress(OSError):  # the canary, and then the test, hang up
            while True:
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    while not ended.wait(0.005):
                        connection.sendall(b"1\r\n \r\n")

    ended = threading.Event()
    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.getsockname()[1]}"
    sample = until_graded(Canary(url, Plan(ITEMS, grade), clock=Clock(), deadline=0.2))
    ended.set()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(10)
    assert [each.outcome for each in sample.graded] == [Outcome.FAILED]
    assert any("did not end in 0.2 s" in each.why for each in sample.missing)


def test_what_embeds_is_told(model: Model, other: Model) -> None:
    """The facts name the model and the server of the embeddings: cosines of two of them cannot be compared."""
    model.say = lambda _: "an answer of at least eight words is embedded"
    other.embed = lambda _: [1.0]
    endpoint = Endpoint(other.url, other.url)
    sample = until_graded(Canary(model.url, Plan(ITEMS, grade), clock=Clock(), embeddings=endpoint))
    assert sample.facts["embeddings"] == f"tiny of {other.url}"
    assert [each.relevancy for each in sample.graded] == [1.0]


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
