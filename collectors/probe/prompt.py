"""What is asked: a short prompt that no prefix cache can know, or the same one every time."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

OUTPUT_TOKENS = 16
"""Tokens that an answer may have: enough for a mean of 15 gaps, cheap enough to be asked for all day."""
PROMPT_TOKENS = 130
"""About what the prompt takes with any tokeniser: it has 100 words, a nonce, and a chat template around it."""
REQUEST_TOKENS = OUTPUT_TOKENS + PROMPT_TOKENS

_TEXT = (
    "is the number of this request. It comes from a monitor that measures how long an answer takes, and nobody reads "
    "what is said. A city keeps its water in three towers. The first stands by the river and is filled at night, when "
    "power is cheap. The second stands on the hill above the station and feeds the houses around it. The third is old "
    "and small, and holds what the fire brigade may need. Each morning a keeper reads the level of all three and "
    "writes it into a book. Tell in plain words how the keeper spends the rest of the day, hour by hour, until evening."
)


class Prefix(StrEnum):
    """Whether a prefix cache can help."""

    COLD = "cold"
    """The prompt differs from every other from its first character on."""
    WARM = "warm"
    """The prompt is the same every time."""


class Route(StrEnum):
    """Where a request goes."""

    CHAT = "/v1/chat/completions"
    COMPLETIONS = "/v1/completions"
    """For a model without a chat template."""


def body(route: Route, model: str | None, nonce: str, *, salted: bool) -> bytes:
    """Write the body of a request; with `salted`, the nonce also keys the prefix cache (vLLM's `cache_salt`)."""
    text = f"{nonce} {_TEXT}"
    asked: dict[str, Any] = {
        "max_tokens": OUTPUT_TOKENS,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if model is not None:
        asked["model"] = model
    if route is Route.CHAT:
        asked["messages"] = [{"role": "user", "content": text}]
    else:
        asked["prompt"] = text
    if salted:
        asked["cache_salt"] = nonce
    return msgspec.json.encode(asked)
