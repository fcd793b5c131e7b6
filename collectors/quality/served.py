"""What an OpenAI-compatible server serves, and what it means when it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from collectors.answer import Failure, quote
from metrics.sample import State

if TYPE_CHECKING:
    from collectors.answer import Answer
    from collectors.fetch import Fetch


class Served(Struct, frozen=True):
    """A model as `/v1/models` names it; both are empty where the server does not tell."""

    id: str = ""
    owned_by: str = ""
    """Who serves it: `vllm`, `llamacpp`, ..."""


class _List(Struct):
    data: list[Served] = field(default_factory=list)


async def served(fetch: Fetch, root: str, shown: str, token_flag: str) -> Served | Failure:
    """Ask for the first model of the server at `root`; a Failure where it does not answer or lets nobody in."""
    answer = await fetch.get(f"{root}/v1/models", f"{shown}/v1/models")
    if isinstance(answer, Failure):
        return answer
    if answer.status in {401, 403}:
        return refused(answer, f"{shown}/v1/models", token_flag)
    try:
        models = msgspec.json.decode(answer.body, type=_List).data if answer.status == 200 else []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        models = []
    return models[0] if models else Served()


def refused(answer: Answer, shown: str, token_flag: str) -> Failure:
    """Say why an answer is none, by its status; `token_flag` is the flag that a token for this server is given by."""
    said = quote(answer.body)
    if answer.status in {401, 403}:
        why = f"it wants a token that may ask questions; give one with {token_flag} NAME"
        return Failure(State.UNAUTHORISED, f"{answer.status} from {shown}: {why}")
    return Failure(State.DOWN, ": ".join(filter(None, (f"{answer.status} from {shown}", said))))
