"""What one event of a completion stream says: whether a token came, through which channel, and what it cost.

The shape is OpenAI's, read as tolerantly as servers write it: nothing is required, a field of another type is not
there. vLLM renamed `reasoning_content` to `reasoning`, llama.cpp puts `usage` beside a choice, gateways report errors
inside a stream that began with 200.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from collectors.clean import clean

_DONE = "[DONE]"
_ANSWERS = ("content", "refusal")
_REASONING = ("reasoning", "reasoning_content")


class Usage(Struct, frozen=True):
    """What the server says a request cost; None is "it does not say"."""

    prompt_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None = None


class Chunk(Struct, frozen=True, omit_defaults=True):
    """One event."""

    token: bool = False
    """It carries a piece of text, of reasoning or of a tool call that is not empty."""
    answer: bool = False
    """The same, reasoning left out."""
    usage: Usage | None = None
    error: str = ""
    """What went wrong, as the server says it; empty where nothing did."""
    done: bool = False
    """The stream says that it ends here."""


def read_chunk(data: str, name: str = "message") -> Chunk:
    """Read the data of an event. What is no JSON object carries no token."""
    if data.strip() == _DONE:
        return Chunk(done=True)
    try:
        found: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return Chunk(error=_said(data)) if name == "error" else Chunk()
    if not isinstance(found, dict):
        return Chunk()
    error = _error(found, name)
    choices = found.get("choices")
    spoken = [_channels(choice) for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    return Chunk(
        token=any(reasoning or answer for reasoning, answer in spoken),
        answer=any(answer for _, answer in spoken),
        usage=_usage(found.get("usage")),
        error=error,
    )


def _channels(choice: dict[str, Any]) -> tuple[bool, bool]:
    """Tell whether a choice carries reasoning, and whether it carries a piece of the answer."""
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return False, _full(choice.get("text"))  # /v1/completions
    calls = delta.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    functions.append(delta.get("function_call"))
    called = any(
        _full(function.get(part)) for function in functions if isinstance(function, dict) for part in _CALL_PARTS
    )
    return any(_full(delta.get(name)) for name in _REASONING), called or any(_full(delta.get(n)) for n in _ANSWERS)


_CALL_PARTS = ("name", "arguments")


def _full(value: object) -> bool:
    """Tell whether a channel holds text; content may also come as a list of parts (`{"type": "text", "text": ...}`)."""
    if isinstance(value, list):
        return any(isinstance(part, dict) and _full(part.get("text")) for part in value)
    return isinstance(value, str) and value != ""


def _usage(found: object) -> Usage | None:
    if not isinstance(found, dict):
        return None
    details = found.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    usage = Usage(_count(found.get("prompt_tokens")), _count(found.get("completion_tokens")), cached)
    return None if usage == Usage(None, None) else usage


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _error(found: dict[str, Any], name: str) -> str:
    error = found.get("error")
    if error in (None, "", {}, False) and name != "error" and found.get("object") != "error":
        return ""
    said = error if error not in (None, "", {}, False) else found
    if isinstance(said, dict):
        said = said.get("message") or said.get("detail") or said.get("type") or "no message"
    return _said(str(said))


def _said(text: str) -> str:
    return clean(text, 120).strip() or "no message"
