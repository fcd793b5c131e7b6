"""Questions to an OpenAI-compatible server: one request, one whole answer, at temperature 0.

No seed is sent: at temperature 0 nothing is drawn, and a seed of its own in a request ends a vLLM on a CPU.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from collectors.answer import Failure, quote
from collectors.quality.served import refused, served
from metrics.quality import Reply
from metrics.sample import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from collectors.answer import Answer
    from collectors.fetch import Fetch
    from collectors.quality.served import Served

_THOUGHT, _ANSWER = "<think>", "</think>"
_TOKEN_FLAG = "--token-env"  # noqa: S105 -- the name of a flag
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
    logprobs: msgspec.Raw = msgspec.Raw(b"null")
    """Read apart: an answer whose probabilities make no sense is an answer all the same."""


class _Token(Struct):
    logprob: float


class _Logprobs(Struct):
    content: list[_Token] | None = None


_MOST_TOKENS = 2**53


class _Details(Struct):
    cached_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Completion(Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


class Chat:
    """One server: its model, and which of the two ways to ask it understands."""

    def __init__(self, root: str, shown: str, fetch: Fetch) -> None:
        self._root = root
        self._shown = shown
        self._fetch = fetch
        self._model: Served | None = None
        self._plain = False
        """Whether it is asked by /v1/completions: it has no chat, or its model no chat template."""
        self._silent = False
        """Whether it tells no probabilities: it refused a question that asked for them, and answered it without."""

    async def ask(
        self, prompt: str, max_tokens: int, cache: Cache | None = None, *, logprobs: bool = False
    ) -> Reply | Failure:
        """Ask one question; `cache` says how its prompt may meet the server's cache, where that `can_be_cold`.

        `logprobs` asks for the probability of the first token as well, where the server is known to tell it.
        """
        if (failure := await self.learn()) is not None:
            return failure
        if self._plain:
            return await self._complete(prompt, max_tokens, cache)
        answer = await self._chat(self._chat_body(prompt, max_tokens, cache), logprobs=logprobs)
        if isinstance(answer, Failure) or answer.status not in _NO_CHAT:
            return _reply(answer, self._shown)
        plain = await self._complete(prompt, max_tokens, cache)
        if isinstance(plain, Failure):
            return _reply(answer, self._shown)
        self._plain = True
        return plain

    @property
    def can_be_cold(self) -> bool | None:
        """Whether this kind of server is known to answer from a cold cache when asked to; None before it was asked."""
        return None if self._model is None else self._model.owned_by in _CACHE

    async def learn(self) -> Failure | None:
        """Ask which model there is, once; a server that does not tell is asked without a name."""
        if self._model is None:
            found = await served(self._fetch, self._root, self._shown, _TOKEN_FLAG)
            if isinstance(found, Failure):
                return found
            self._model = found
        return None

    def forget(self) -> None:
        """Ask for the model again next time: another one may be served by now."""
        self._model, self._plain, self._silent = None, False, False

    def _named(self) -> dict[str, Any]:
        return {"model": self._model.id} if self._model and self._model.id else {}

    def _common(self, max_tokens: int, cache: Cache | None) -> dict[str, Any]:
        wish = _CACHE.get(self._model.owned_by) if cache and self._model else None
        wished = wish(cache) if cache and wish else {}
        return {**self._named(), "max_tokens": max_tokens, "temperature": 0, "stream": False, **wished}

    def _chat_body(self, prompt: str, max_tokens: int, cache: Cache | None) -> dict[str, Any]:
        return {**self._common(max_tokens, cache), "messages": [{"role": "user", "content": prompt}]}

    async def _chat(self, body: dict[str, Any], *, logprobs: bool) -> Answer | Failure:
        """Ask by chat; a server that refuses to tell probabilities is asked without, now and from then on."""
        path = "/v1/chat/completions"
        tells = self._model is not None and self._model.owned_by in _LOGPROBS and not self._silent
        if not (logprobs and tells):
            return await self._post(path, body)
        answer = await self._post(path, {**body, "logprobs": True, "top_logprobs": 1})
        if isinstance(answer, Failure) or answer.status not in _NO_CHAT:
            return answer
        without = await self._post(path, body)
        self._silent = not isinstance(without, Failure) and without.status == 200
        return without

    async def _complete(self, prompt: str, max_tokens: int, cache: Cache | None) -> Reply | Failure:
        body = {**self._common(max_tokens, cache), "prompt": f"{prompt}\nAnswer:"}
        return _reply(await self._post("/v1/completions", body), self._shown)

    async def _post(self, path: str, body: Mapping[str, Any]) -> Answer | Failure:
        return await self._fetch.post(self._root + path, self._shown + path, msgspec.json.encode(body))


# Servers that name themselves so and take `logprobs` and `top_logprobs` in a chat, by their sources.
_LOGPROBS = frozenset(("vllm", "llamacpp", "sglang"))
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
        return refused(answer, shown, _TOKEN_FLAG)
    try:
        found = msgspec.json.decode(answer.body, type=_Completion)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Failure(State.DOWN, f"{shown} answered a question with what is no completion: {quote(answer.body)}")
    if not found.choices:
        return Failure(State.DOWN, f"{shown} answered a question without a choice")
    choice, usage = found.choices[0], found.usage or _Usage()
    message = choice.message or _Message()
    written = (message.content if choice.message else choice.text) or ""
    details = usage.prompt_tokens_details
    return Reply(
        text=_spoken(written),
        finish=choice.finish_reason or "",
        reasoning=_THOUGHT in written or _ANSWER in written or bool(message.reasoning_content or message.reasoning),
        prompt_tokens=_count(usage.prompt_tokens) or 0,
        output_tokens=_count(usage.completion_tokens) or 0,
        cached_tokens=None if details is None else _count(details.cached_tokens),
        first_logprob=_first_logprob(choice.logprobs),
    )


def _count(told: int | None) -> int | None:
    """Take a number of tokens that can be one; None for any other: JSON may hold an integer of a thousand digits."""
    return told if told is not None and 0 <= told < _MOST_TOKENS else None


def _first_logprob(told: msgspec.Raw) -> float | None:
    """Read the logarithm of the probability of the first token; None where there is none that can be."""
    try:
        content = (msgspec.json.decode(told, type=_Logprobs | None) or _Logprobs()).content or [_Token(math.nan)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return min(0.0, content[0].logprob) if math.isfinite(content[0].logprob) else None  # rounding may leave 1e-7


def _spoken(written: str) -> str:
    """Take off what was thought; where only its end stands, it began in the prompt, as some templates have it.

    A thought without an end was cut off before it came to an answer. All in one pass: a pattern that looks for both
    ends takes minutes over a megabyte of blanks, with every thread waiting.
    """
    first, *later = written.split(_THOUGHT)
    said = [first.rpartition(_ANSWER)[2], *(part.partition(_ANSWER)[2] for part in later)]
    return "".join(part.strip() for part in said)
