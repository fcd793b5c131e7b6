"""What an HTTP answer means: the page that was asked for, or the reason why it is not, in one clear line."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from collectors.clean import clean
from collectors.exposition import foreign_format
from metrics.sample import State

_STARTING = re.compile(r"loading|starting|initiali[sz]|warming|not ready", re.IGNORECASE)
_HTML = re.compile(rb"\s*<(!doctype html|html|head|body|!--)", re.IGNORECASE)
_QUOTED = 80


class Answer(Struct, frozen=True):
    """What a server answered, whatever its status."""

    status: int
    content_type: str
    body: bytes
    date: float | None = None
    """What its clock said, in seconds since the epoch, as far as it tells: with a second's resolution."""


class Failure(Struct, frozen=True):
    """Why there is no answer, or none of use."""

    state: State
    reason: str
    """One line: what, why, what to do."""


def refusal(answer: Answer, url: str) -> Failure | None:
    """Say why an answer holds no page, by its status; None where it may hold one. `url` is quoted as it stands."""
    status = answer.status
    if status == HTTPStatus.OK:
        return None
    said = quote(answer.body)
    if status in {401, 403}:
        return Failure(State.UNAUTHORISED, f"{status} from {url}: {_WANTS_TOKEN[status]}")
    if status == 503 and _STARTING.search(said):
        return Failure(State.STARTING, f"503 from {url}: {said}: the server is not ready yet")
    remedy = _REMEDIES.get(status, "")
    return Failure(State.DOWN, ": ".join(part for part in (f"{status} from {url}", said, remedy) if part))


_WANTS_TOKEN = {
    401: "it wants a token; give one with --token-env NAME",
    403: "it forbids the metrics page to this client; give another token with --token-env NAME",
}
_REMEDIES = {
    400: "llama-server in router mode wants ?model=NAME; a TLS port wants https://",
    404: "no metrics page there: llama-server needs --metrics, SGLang --enable-metrics",
    429: "something in front of the server limits requests; poll less often with --interval",
    500: "the server failed to make its metrics page; its log says why",
    501: "start llama-server with --metrics",
    502: "a proxy answered, the server behind it did not",
    503: "the server, or a proxy before it, cannot serve now",
    504: "a proxy answered, the server behind it did not",
}


def nothing_there(body: bytes, url: str) -> Failure:
    """Say what a page without a single sample is instead."""
    kind = foreign_format(body)
    if kind is None:
        return Failure(State.DOWN, f"{url} answered text without a single sample: {quote(body)}: is it a metrics page?")
    return Failure(State.DOWN, f"{url} answered {kind} instead of metrics: {_INSTEAD[kind]}")


_INSTEAD = {
    "HTML": "is this a web page, or a proxy's error page?",
    "JSON": "is this the metrics page? TensorRT-LLM's is /prometheus/metrics",
    "nothing": "is it still starting, or does it need a flag to make metrics?",
    "binary data": "is this the server's port?",
}


def quote(body: bytes) -> str:
    """Quote what an error page says, cleaned and short: the message of a JSON error, else the page; '' for HTML."""
    if _HTML.match(body[:64]):
        return ""
    said = clean(_message(body) or body[:1024].decode("utf-8", "replace"), _QUOTED).strip()
    return f'"{said}"' if said else ""


def _message(body: bytes) -> str | None:
    """Find the message in `{"error": {"message": ...}}`, `{"error": ...}`, `{"message": ...}`, `{"detail": ...}`."""
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for _ in range(2):
        if not isinstance(found, dict):
            break
        found = next((found[name] for name in ("error", "message", "detail") if name in found), None)
    return found if isinstance(found, str) else None
