from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from collectors.answer import Failure
from collectors.fetch import Fetch
from collectors.quality.embedder import MAX_CHARS, Closeness, Embedder, Endpoint
from metrics.sample import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.openai_server import Model

ANSWER = "Leaves are green because of chlorophyll. It takes in red and blue light."


def embedded(
    model: Model, *answers: str, headers: dict[str, str] | None = None, named: str | None = None
) -> tuple[Embedder, list[Closeness | Failure]]:
    """Measure answers to one question, over one Embedder."""
    there = Endpoint(model.url, model.url, headers or {}, model=named)

    async def run() -> tuple[Embedder, list[Closeness | Failure]]:
        fetch = Fetch(there.headers, deadline=5.0, max_body=2**20)
        embedder = Embedder(there, fetch)
        found = [await embedder.closeness("Why are leaves green?", answer) for answer in answers]
        await fetch.close()
        return embedder, found

    return asyncio.run(run())


def test_what_is_sent(model: Model) -> None:
    """Question, answer and sentences in one request, with the first model that is served and the endpoint's token."""
    model.embed = lambda text: [float(len(text)), 1.0]
    embedder, [found] = embedded(model, ANSWER, headers={"Authorization": "Bearer ruler-9"})
    assert isinstance(found, Closeness)
    [body] = model.bodies("/v1/embeddings")
    sentences = ["Leaves are green because of chlorophyll.", "It takes in red and blue light."]
    assert body == {"model": "tiny", "input": ["Why are leaves green?", ANSWER, *sentences]}
    assert {headers["authorization"] for _, headers, _ in model.requests} == {"Bearer ruler-9"}
    assert embedder.model == "tiny"


def test_the_model_that_was_asked_for(model: Model) -> None:
    """It is not looked for, and it stays the same for the whole run: cosines of two models cannot be compared."""
    model.embed = lambda _: [1.0, 0.0]
    embedded(model, ANSWER, ANSWER, named="bge-m3")
    assert [path for path, _, _ in model.requests] == ["/v1/embeddings"] * 2
    assert {body["model"] for body in model.bodies("/v1/embeddings")} == {"bge-m3"}


def test_a_long_answer_is_cut(model: Model) -> None:
    """Embedding models refuse what is longer than they can read, and a megabyte is nobody's to be sent."""
    model.embed = lambda _: [1.0, 0.0]
    embedded(model, "word " * 200_000)
    [body] = model.bodies("/v1/embeddings")
    assert max(map(len, body["input"])) == MAX_CHARS


def test_what_it_costs(model: Model) -> None:
    """Tokens add up, as the server counts them."""
    answer = {"data": [{"index": i, "embedding": [1.0]} for i in range(4)], "usage": {"total_tokens": 21}}
    model.instead["/v1/embeddings"] = 200, json.dumps(answer).encode()
    embedder, _ = embedded(model, ANSWER, ANSWER)
    assert embedder.tokens == 42


@pytest.mark.parametrize(
    "rows", [[], [[1.0]], [[1.0], [1.0, 2.0], [1.0], [1.0]], [[], [], [], []], [[1.0], [2.0], [3.0], [4.0], [5.0]]]
)
def test_embeddings_have_to_fit(model: Model, rows: list[list[float]]) -> None:
    """One vector for each text, all of one length; anything else is a Failure."""
    answer = json.dumps({"data": [{"index": i, "embedding": row} for i, row in enumerate(rows)]}).encode()
    model.instead["/v1/embeddings"] = 200, answer
    _, [found] = embedded(model, ANSWER)
    assert isinstance(found, Failure)
    assert found.reason.endswith("did not answer one vector for each text")


def _no_models(model: Model) -> None:
    model.models = 401, b"{}"


def _no_embeddings(model: Model) -> None:
    model.instead["/v1/embeddings"] = 403, b"{}"


@pytest.mark.parametrize("refuse", [_no_models, _no_embeddings])
def test_who_is_not_let_in_is_told_by_which_flag(model: Model, refuse: Callable[[Model], None]) -> None:
    """The token of this server has a flag of its own."""
    refuse(model)
    _, [found] = embedded(model, ANSWER)
    assert isinstance(found, Failure)
    assert found.state is State.UNAUTHORISED
    assert "--embeddings-token-env NAME" in found.reason


@pytest.mark.parametrize("garbage", [b"", b"\xff", b"[" * 100_000, b'{"data": [{"embedding": "x"}]}', b" " * 2**21])
def test_garbage_is_no_embedding(model: Model, garbage: bytes) -> None:
    """Whatever comes instead is a Failure, and no exception."""
    model.instead["/v1/embeddings"] = 200, garbage
    _, [found] = embedded(model, ANSWER)
    assert isinstance(found, Failure)
