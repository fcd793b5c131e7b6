"""Questions to an OpenAI-compatible server: one request, one whole answer, at temperature 0.

No seed is sent: at temperature 0 nothing is drawn, and a seed of its own in a request ends a vLLM on a CPU.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from collectors.answer import Failure, quote
from metrics.quality import Reply
from metrics.sample import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from collectors.answer import Answer
    from collectors.fetch import Fetch

_THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
# What a server answers to /v1/chat/completions when it has no such path, or a model without a chat template.
_NO_CHAT = {400, 404, 405, 422, 501}


class Cache(Struct, frozen=True):
    """How a prompt may meet a prefix cache."""

    salt: str
    """Prompts of different salts share nothing."""
    reuse: bool
    """Whether the same prompt was asked with this salt before, so that the cache may be warm."""


class _Message(Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(Struct):
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Details(Struct):
    cached_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Completion(Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


class _Embedding(Struct):
    embedding: list[float]
    index: int = 0


class _Embeddings(Struct):
    data: list[_Embedding]


class _Model(Struct):
    id: str = ""
    owned_by: str = ""


class _Models(Struct):
    data: list[_Model] = field(default_factory=list)


class Chat:
    """One server: its model, and which of the two ways to ask it understands."""

    def __init__(self, root: str, shown: str, fetch: Fetch) -> None:
        self._root = root
        self._shown = shown
        self._fetch = fetch
        self._model: _Model | None = None
        self._plain = False
        """Whether it is asked by /v1/completions: it has no chat, or its model no chat template."""

    async def ask(self, prompt: str, max_tokens: int, cache: Cache | None = None) -> Reply | Failure:
        """Ask one question; `cache` says how its prompt may meet the server's cache, where that `can_be_cold`."""
        if (failure := await self.learn()) is not None:
            return failure
        if self._plain:
            return await self._complete(prompt, max_tokens, cache)
        answer = await self._post("/v1/chat/completions", self._chat_body(prompt, max_tokens, cache))
        if isinstance(answer, Failure) or answer.status not in _NO_CHAT:
            return _reply(answer, self._shown)
        plain = await self._complete(prompt, max_tokens, cache)
        if isinstance(plain, Failure):
            return _reply(answer, self._shown)
        self._plain = True
        return plain

    async def embed(self, texts: Sequence[str]) -> list[list[float]] | Failure:
        """Embed texts: a vector for each, all of one length."""
        if (failure := await self.learn()) is not None:
            return failure
        answer = await self._post("/v1/embeddings", {**self._named(), "input": list(texts)})
        if isinstance(answer, Failure):
            return answer
        if answer.status != 200:
            return _refused(answer, f"{self._shown}/v1/embeddings")
        try:
            rows = sorted(msgspec.json.decode(answer.body, type=_Embeddings).data, key=lambda each: each.index)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            rows = []
        vectors = [row.embedding for row in rows]
        if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) != 1 or not vectors[0]:
            return Failure(State.DOWN, f"{self._shown}/v1/embeddings did not answer one vector for each text")
        return vectors

    @property
    def can_be_cold(self) -> bool | None:
        """Whether this kind of server is known to answer from a cold cache when asked to; None before it was asked."""
        return None if self._model is None else self._model.owned_by in _CACHE

    async def learn(self) -> Failure | None:
        """Ask which model there is, once; a server that does not tell is asked without a name."""
        if self._model is not None:
            return None
        answer = await self._fetch.get(f"{self._root}/v1/models", f"{self._shown}/v1/models")
        if isinstance(answer, Failure):
            return answer
        if answer.status in {401, 403}:
            return _refused(answer, f"{self._shown}/v1/models")
        try:
            models = msgspec.json.decode(answer.body, type=_Models).data if answer.status == 200 else []
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            models = []
        self._model = models[0] if models else _Model()
        return None

    def forget(self) -> None:
        """Ask for the model again next time: another one may be served by now."""
        self._model, self._plain = None, False

    def _named(self) -> dict[str, Any]:
        return {"model": self._model.id} if self._model and self._model.id else {}

    def _common(self, max_tokens: int, cache: Cache | None) -> dict[str, Any]:
        wish = _CACHE.get(self._model.owned_by) if cache and self._model else None
        wished = wish(cache) if cache and wish else {}
        return {**self._named(), "max_tokens": max_tokens, "temperature": 0, "stream": False, **wished}

    def _chat_body(self, prompt: str, max_tokens: int, cache: Cache | None) -> dict[str, Any]:
        return {**self._common(max_tokens, cache), "messages": [{"role": "user", "content": prompt}]}

    async def _complete(self, prompt: str, max_tokens: int, cache: Cache | None) -> Reply | Failure:
        body = {**self._common(max_tokens, cache), "prompt": f"{prompt}\nAnswer:"}
        return _reply(await self._post("/v1/completions", body), self._shown)

    async def _post(self, path: str, body: Mapping[str, Any]) -> Answer | Failure:
        return await self._fetch.post(self._root + path, self._shown + path, msgspec.json.encode(body))


# vLLM keeps the prefixes of different salts apart; llama-server can be told not to look into its cache.
_CACHE: dict[str, Callable[[Cache], dict[str, Any]]] = {
    "vllm": lambda cache: {"cache_salt": cache.salt},
    "llamacpp": lambda cache: {"cache_prompt": cache.reuse},
}


def _reply(answer: Answer | Failure, shown: str) -> Reply | Failure:
    """Read an answer; what is no completion is a Failure that says so."""
    if isinstance(answer, Failure):
        return answer
    if answer.status != 200:
        return _refused(answer, shown)
    try:
        found = msgspec.json.decode(answer.body, type=_Completion)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Failure(State.DOWN, f"{shown} answered a question with what is no completion: {quote(answer.body)}")
    if not found.choices:
        return Failure(State.DOWN, f"{shown} answered a question without a choice")
    choice, usage = found.choices[0], found.usage or _Usage()
    message = choice.message or _Message()
    written = (message.content if choice.message else choice.text) or ""
    text = _THOUGHT.sub("", written)
    if "<think>" in text:  # cut off before it came to an answer
        text = text.partition("<think>")[0]
    details = usage.prompt_tokens_details
    return Reply(
        text=text.strip(),
        finish=choice.finish_reason or "",
        reasoning="<think>" in written or bool(message.reasoning_content or message.reasoning),
        prompt_tokens=max(0, usage.prompt_tokens or 0),
        output_tokens=max(0, usage.completion_tokens or 0),
        cached_tokens=None if details is None else details.cached_tokens,
    )


def _refused(answer: Answer, shown: str) -> Failure:
    said = quote(answer.body)
    if answer.status in {401, 403}:
        why = "it wants a token that may ask questions; give one with --token-env NAME"
        return Failure(State.UNAUTHORISED, f"{answer.status} from {shown}: {why}")
    return Failure(State.DOWN, ": ".join(filter(None, (f"{answer.status} from {shown}", said))))
