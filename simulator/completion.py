"""The shapes of OpenAI's completion API, as far as a simulated server needs them: what is asked, and how it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

if TYPE_CHECKING:
    from simulator.request import Request

WORDS = (" no", " model", " runs", " here", ":", " these", " words", " are", " simulated", ".")


class StreamOptions(Struct, frozen=True):
    """What a stream tells beside its tokens."""

    include_usage: bool = False


class Body(Struct, frozen=True):
    """What is read of a completion request; everything else in it is ignored."""

    model: str | None = None
    prompt: str | list[str | int] | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None

    @property
    def prompt_tokens(self) -> int:
        """Four characters to a token, as English text has on average; a list of token ids counts as it is."""
        prompt = self.prompt if isinstance(self.prompt, list) else [self.prompt or ""]
        ids = sum(isinstance(each, int) for each in prompt)
        texts = [each for each in prompt if isinstance(each, str)]
        texts += [str(message.get("content") or "") for message in self.messages]
        return max(1, ids + sum(map(len, texts)) // 4)


class Answer(Struct, frozen=True):
    """How an answer is written, as OpenAI's API has it."""

    id: str
    created: int
    model: str
    chat: bool

    def _shell(self, suffix: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        kind = f"chat.completion{suffix}" if self.chat else "text_completion"
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, "choices": choices}

    def opening(self) -> dict[str, Any]:
        """Write the chunk of a chat that says who speaks."""
        return self._shell(".chunk", [_choice({"delta": {"role": "assistant", "content": ""}}, None)])

    def chunk(self, index: int, finish_reason: str | None) -> dict[str, Any]:
        """Write the chunk of one token, by its index in the answer."""
        text = WORDS[index % len(WORDS)]
        return self._shell(
            ".chunk", [_choice({"delta": {"content": text}} if self.chat else {"text": text}, finish_reason)]
        )

    def usage_chunk(self, job: Request) -> dict[str, Any]:
        """Write the last chunk of a stream that was asked to tell the usage."""
        return self._shell(".chunk", []) | {"usage": _usage(job)}

    def whole(self, job: Request) -> dict[str, Any]:
        """Write an answer in one piece."""
        text = "".join(WORDS[index % len(WORDS)] for index in range(job.generated))
        content = {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}
        return self._shell("", [_choice(content, job.finish_reason)]) | {"usage": _usage(job)}


def _choice(content: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, **content, "logprobs": None, "finish_reason": finish_reason}


def _usage(job: Request) -> dict[str, Any]:
    total = job.prompt_tokens + job.generated
    details = {"cached_tokens": job.cached or 0}
    return {
        "prompt_tokens": job.prompt_tokens,
        "completion_tokens": job.generated,
        "total_tokens": total,
        "prompt_tokens_details": details,
    }


def event(chunk: dict[str, Any]) -> bytes:
    """Write a chunk as a server-sent event."""
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"
