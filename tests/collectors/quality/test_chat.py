from __future__ import annotations

import asyncio
import json
from time import process_time
from typing import TYPE_CHECKING, Any

import pytest

from collectors.answer import Answer, Failure
from collectors.fetch import Fetch
from collectors.quality.chat import Cache, Chat, _reply
from metrics.quality import Reply
from metrics.sample import State

if TYPE_CHECKING:
    from tests.openai_server import Model


def ask(
    model: Model,
    *prompts: str,
    cache: Cache | None = None,
    headers: dict[str, str] | None = None,
    logprobs: bool = False,
) -> list[Any]:
    """Ask one after another, over one Chat."""

    async def run() -> list[Any]:
        fetch = Fetch(headers, deadline=5.0, max_body=2**20)
        chat = Chat(model.url, model.url, fetch)
        found = [await chat.ask(prompt, 16, cache, logprobs=logprobs) for prompt in prompts]
        await fetch.close()
        return found

    return asyncio.run(run())


def test_a_question_is_asked_as_it_should_be(model: Model) -> None:
    """The model that the server names, temperature 0, no stream, and never a seed, which ends a vLLM on a CPU."""
    model.say = lambda _: " 42 "
    [reply] = ask(model, "6 * 7?")
    assert reply == Reply("42", "stop", prompt_tokens=10, output_tokens=3)
    [body] = model.bodies("/v1/chat/completions")
    assert body == {
        "model": "tiny",
        "max_tokens": 16,
        "temperature": 0,
        "stream": False,
        "messages": [{"role": "user", "content": "6 * 7?"}],
    }


def test_a_model_without_a_chat_template_is_asked_without(model: Model) -> None:
    """Where chat is refused, /v1/completions is tried, and once that works it is all that is used."""
    model.instead["/v1/chat/completions"] = 400, b'{"error": {"message": "no chat template"}}'
    model.say = lambda _: "42"
    replies = ask(model, "one", "two")
    assert [reply.text for reply in replies] == ["42", "42"]
    paths = [path for path, _, _ in model.requests if path != "/v1/models"]
    assert paths == ["/v1/chat/completions", "/v1/completions", "/v1/completions"]


def test_what_chat_said_is_told_when_neither_works(model: Model) -> None:
    """The reason is that of the chat endpoint."""
    model.say = lambda _: (400, b'{"error": {"message": "prompt too long"}}')
    [failure] = ask(model, "one")
    assert failure == Failure(State.DOWN, f'400 from {model.url}: "prompt too long"')


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": "<think>six by seven</think>\n42"}, "42", True),
        ({"content": "<think>six by"}, "", True),
        ({"content": "six by seven</think>\n\n42"}, "42", True),
        ({"content": " 40 <think>a</think> + <think>b</think> 2 "}, "40+2", True),
        ({"content": None, "reasoning_content": "six by"}, "", True),
        ({"content": "42", "reasoning": "six by seven"}, "42", True),
        ({"content": None}, "", False),
    ],
)
def test_thoughts_are_no_answer(model: Model, message: dict[str, Any], text: str, *, reasoning: bool) -> None:
    """Reasoning is stripped, in whichever channel it comes, and also where it never ended."""
    model.say = lambda _: {"choices": [{"message": message, "finish_reason": "length"}]}
    [reply] = ask(model, "6 * 7?")
    assert (reply.text, reply.reasoning, reply.finish) == (text, reasoning, "length")


@pytest.mark.parametrize("piece", [" ", "\n", "<think>", "</think>", "<think></think>", "a "])
def test_a_megabyte_takes_no_time(piece: str) -> None:
    """An answer is read in one pass, whatever it repeats: no thread may be held up by it."""
    text = piece * (10**6 // len(piece))
    body = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
    began = process_time()
    assert isinstance(_reply(Answer(200, "application/json", body), "server"), Reply)
    assert process_time() - began < 2.0, "a quadratic pass takes minutes"


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xff\xfe",
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": 17}}]}',
        b'{"choices": [{"message": {"content": "4',
        b"[" * 100_000,
        b" " * (2**20 + 1),
        (500, b"out of memory"),
        (429, b""),
        (301, b""),
    ],
)
def test_garbage_is_no_answer(model: Model, garbage: bytes | tuple[int, bytes]) -> None:
    """Whatever comes instead of a completion is a Failure of one printable line, and no exception."""
    model.say = lambda _: garbage
    [failure] = ask(model, "6 * 7?")
    assert isinstance(failure, Failure)
    assert model.url in failure.reason
    assert failure.reason.isprintable()
    assert len(failure.reason) < 350


def test_a_server_without_a_list_of_models_is_asked_without_a_name(model: Model) -> None:
    """`model` is left out where nobody says what it is."""
    model.models = (404, b"")
    model.say = lambda _: "42"
    [reply] = ask(model, "6 * 7?")
    assert reply.text == "42"
    assert "model" not in model.bodies("/v1/chat/completions")[0]


def test_who_is_not_let_in_is_told_how(model: Model) -> None:
    """401 is no fault of the model, and the token itself never stands in the reason."""
    model.models = (401, b'{"error": "bad key swordfish-17"}')
    [failure] = ask(model, "6 * 7?", headers={"Authorization": "Bearer swordfish-17"})
    assert failure.state is State.UNAUTHORISED
    assert "--token-env" in failure.reason
    assert "swordfish" not in failure.reason
    assert model.asked == []
    assert model.requests[0][1]["authorization"] == "Bearer swordfish-17"


@pytest.mark.parametrize(
    ("owner", "cache", "wish"),
    [
        ("vllm", Cache("a1", reuse=True), {"cache_salt": "a1"}),
        ("llamacpp", Cache("a1", reuse=True), {"cache_prompt": True}),
        ("llamacpp", Cache("a1", reuse=False), {"cache_prompt": False}),
        ("somebody", Cache("a1", reuse=False), {}),
    ],
)
def test_each_server_is_asked_for_a_cold_cache_in_its_own_way(
    model: Model, owner: str, cache: Cache, wish: dict[str, Any]
) -> None:
    """vLLM by salt, llama-server by switch, and one that is not known not at all."""
    model.owned_by = owner
    ask(model, "6 * 7?", cache=cache)
    [body] = model.bodies("/v1/chat/completions")
    assert {name: body[name] for name in body if name.startswith("cache")} == wish


def test_what_the_cache_gave_is_told(model: Model) -> None:
    """`usage.prompt_tokens_details.cached_tokens`, and None where the server does not say."""
    model.cached = lambda _: 8
    assert ask(model, "6 * 7?")[0].cached_tokens == 8
    model.cached = lambda _: None
    assert ask(model, "6 * 7?")[0].cached_tokens is None


def told(*logprobs: object) -> dict[str, Any]:
    return {"content": [{"token": "4", "logprob": each, "top_logprobs": []} for each in logprobs]}


@pytest.mark.parametrize("owner", ["vllm", "llamacpp", "sglang"])
def test_the_probability_of_the_first_token_is_read_where_it_is_wanted(model: Model, owner: str) -> None:
    """Servers that are known to tell it are asked, and only in questions that want it."""
    model.owned_by = owner
    model.logprobs = lambda _: told(-0.25, -3.0)
    assert ask(model, "6 * 7?", logprobs=True)[0].first_logprob == -0.25
    assert ask(model, "6 * 7?")[0].first_logprob is None
    wanted, plain = model.bodies("/v1/chat/completions")
    assert (wanted["logprobs"], wanted["top_logprobs"]) == (True, 1)
    assert "logprobs" not in plain


def test_a_server_that_is_not_known_is_not_asked_for_probabilities(model: Model) -> None:
    """Who may refuse the whole question for it is not asked."""
    model.owned_by = "somebody"
    assert ask(model, "6 * 7?", logprobs=True)[0].first_logprob is None
    assert "logprobs" not in model.bodies("/v1/chat/completions")[0]


def test_a_server_that_refuses_probabilities_is_asked_without_from_then_on(model: Model) -> None:
    """One refusal, the same question again without, and no second refusal; it is still asked by chat."""
    model.refuses = "logprobs"
    model.say = lambda _: "42"
    replies = ask(model, "one", "two", logprobs=True)
    assert [(reply.text, reply.first_logprob) for reply in replies] == [("42", None)] * 2
    assert ["logprobs" in body for body in model.bodies("/v1/chat/completions")] == [True, False, False]
    assert model.bodies("/v1/completions") == []


def test_a_question_that_is_refused_anyway_does_not_end_the_asking_for_probabilities(model: Model) -> None:
    """A prompt that is too long says nothing about probabilities: the next question asks for them again."""
    model.say = lambda prompt: (400, b"too long") if prompt == "long" else "42"
    model.logprobs = lambda _: told(-1.0)
    failure, reply = ask(model, "long", "short", logprobs=True)
    assert isinstance(failure, Failure)
    assert reply.first_logprob == -1.0


@pytest.mark.parametrize(
    "told_instead",
    ["yes", [], {}, {"content": []}, {"content": None}, {"content": [{"token": "4"}]}, told("-1"), told(None), 7],
)
def test_probabilities_that_make_no_sense_spoil_no_answer(model: Model, told_instead: object) -> None:
    """They are not known; the answer is what it is."""
    model.say = lambda _: "42"
    model.logprobs = lambda _: told_instead
    [reply] = ask(model, "6 * 7?", logprobs=True)
    assert (reply.text, reply.first_logprob) == ("42", None)


def test_rounding_makes_nothing_more_than_certain(model: Model) -> None:
    """A logarithm a hair above 0 is 0; one that is no number is not known."""
    model.logprobs = lambda _: told(1e-7)
    assert ask(model, "6 * 7?", logprobs=True)[0].first_logprob == 0.0
    model.say = lambda _: b'{"choices":[{"message":{"content":"4"},"logprobs":{"content":[{"logprob":1e999}]}}]}'
    assert ask(model, "6 * 7?", logprobs=True)[0].first_logprob is None
