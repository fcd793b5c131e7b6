"""Asks a model to put a report into prose. Whatever goes wrong, the report is written without it.

What is sent is the redacted report as text, and nothing else; what comes back is checked number by number
(`insight.report.narrative`) before anybody reads it.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from chimera_top.access import secrets
from chimera_top.exit import UsageError
from collectors.answer import Failure
from collectors.clean import clean
from collectors.target import target
from collectors.trust import trust
from insight.report import render
from insight.report.narrative import INSTRUCTIONS, Narrative, RefusedError, checked

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from metrics.snapshot import Snapshot

SECONDS = 120.0
"""For the whole answer: a large model on a loaded server takes a minute for 500 tokens."""
MAX_TOKENS = 2_000
"""Of the answer; most of them for a model that thinks before it writes."""
MAX_BODY = 2**20
_COMPLETIONS = re.compile(r"/chat/completions/?$")
_FLAG = "--narrate-token-env"


class Endpoint(Struct, frozen=True):
    """Who is asked."""

    root: str
    """Its URL, which `/v1/chat/completions` is appended to."""
    model: str | None = None
    """None: the first that the server names."""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = SECONDS


class _Message(Struct):
    content: str | None = None


class _Choice(Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(Struct):
    choices: list[_Choice]


class NoNarrativeError(Exception):
    """There is no narrative: one line that says why."""


def narrator(
    url: str, model: str | None, token_env: str | None, ca_cert: str | None, environ: Mapping[str, str]
) -> Callable[[Snapshot], Narrative | None]:
    """Make what asks about a redacted Snapshot; raises UsageError for a URL or a token that cannot be used."""
    try:
        meant = target(_COMPLETIONS.sub("", url.strip()))
        authority = trust(ca_cert)
    except ValueError as error:
        raise UsageError(f"--narrate: {error}") from None
    headers = {**meant.headers, **secrets(token_env, (), environ, called=(_FLAG, ""))}
    endpoint = Endpoint(meant.root, model, headers)
    return lambda snapshot: narrate(snapshot, endpoint, authority)


def narrate(snapshot: Snapshot, endpoint: Endpoint, authority: ssl.SSLContext | None = None) -> Narrative | None:
    """Ask for a narrative of a redacted Snapshot; None, and a line on stderr that says why, where there is none."""
    report = render(snapshot, "text").decode()
    if sys.stderr.isatty():
        sys.stderr.write(f"chimera-top: the redacted report goes to {endpoint.root}; up to {endpoint.seconds:g} s\n")
    try:
        model, text = asyncio.run(_ask(endpoint, report, authority))
        return checked(text, report, model)
    except (NoNarrativeError, RefusedError) as error:
        sys.stderr.write(f"chimera-top: no narrative: {error}; the report is written without it\n")
        return None


async def _ask(endpoint: Endpoint, report: str, authority: ssl.SSLContext | None) -> tuple[str, str]:
    """Ask for the text, and say who wrote it; raises NoNarrativeError."""
    from collectors.fetch import Fetch  # noqa: PLC0415 aiohttp takes a tenth of a second
    from collectors.quality.served import refused, served  # noqa: PLC0415

    page = f"{endpoint.root}/v1/chat/completions"
    fetch = Fetch(endpoint.headers, trust=authority, max_body=MAX_BODY)
    try:
        model = endpoint.model
        if model is None:
            found = await served(fetch, endpoint.root, endpoint.root, _FLAG)
            if isinstance(found, Failure):
                raise NoNarrativeError(found.reason)
            model = found.id
        if not model:
            raise NoNarrativeError(f"{endpoint.root} names no model; give one with --narrate-model NAME")
        body = {
            "model": model,
            "messages": [{"role": "user", "content": f"{INSTRUCTIONS}\n\n<report>\n{report}</report>"}],
            "temperature": 0,
            "max_tokens": MAX_TOKENS,
        }
        answer = await fetch.post(page, page, msgspec.json.encode(body), endpoint.seconds)
    finally:
        await fetch.close()
    if not isinstance(answer, Failure) and answer.status != 200:
        answer = refused(answer, page, _FLAG)
    if isinstance(answer, Failure):
        raise NoNarrativeError(answer.reason)
    return clean(model), _written(answer.body, page)


def _written(body: bytes, page: str) -> str:
    """Read the text out of an answer, made harmless; raises NoNarrativeError."""
    try:
        choices = msgspec.json.decode(body, type=_Completion).choices
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NoNarrativeError(f"{page} answered what is no chat completion") from None
    if not choices or not (text := choices[0].message.content):
        raise NoNarrativeError(f"{page} answered with no text")
    if choices[0].finish_reason == "length":
        raise NoNarrativeError(f"{page} came to no end in {MAX_TOKENS} tokens")
    return "\n\n".join(clean(paragraph, MAX_BODY) for paragraph in text.split("\n\n"))
