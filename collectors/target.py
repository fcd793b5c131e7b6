"""What a user calls a server, and what that means: its identity, its metrics page, the root of its other endpoints."""

from __future__ import annotations

import re
from base64 import b64encode
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct, field

_FORBIDDEN = re.compile(r"[\s<>\"\\^`{|}]")
_SECRET = re.compile(r"token|key|secret|passw|auth|signature", re.IGNORECASE)
_PAGE = "/metrics"
# Where a metrics page lies below the root: vLLM, SGLang, llama.cpp / TensorRT-LLM / NIM.
_PAGES = ("/prometheus/metrics", "/v1/metrics", _PAGE)


class Target(Struct, frozen=True):
    """One server, as far as its URL tells."""

    source: str
    """Identity, and what is shown: the URL without user, password, the values of secret parameters, and `/metrics`."""
    page: str
    """URL of the metrics page."""
    shown: str
    """The same, as it may be shown."""
    root: str
    """What the paths of the server's other endpoints are appended to: no slash at its end."""
    headers: dict[str, str] = field(default_factory=dict)
    """What the URL's user and password became."""


def target(text: str) -> Target:
    """Read a server's base URL (`http://host:8000`, `host:8000`, `.../v1`) or the URL of its metrics page.

    A path that ends in `/metrics` is taken for the page itself, any other for the base of the server. Raises
    ValueError, with one line that never holds a password, where no server can be meant.
    """
    url = text.strip()
    if "://" not in url:
        url = f"http://{url}"
    shown = url.rpartition("@")[2] if "@" in url else url
    if _FORBIDDEN.search(url) or not url.isprintable():
        raise ValueError("unusable URL: it holds a blank or a character that no URL may hold")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"unusable URL {shown!r}: {_without_userinfo(error)}") from None
    if parts.scheme not in {"http", "https"}:
        raise ValueError(f"unusable URL {shown!r}: a server is reached by http:// or https://, not {parts.scheme}://")
    if not parts.hostname:
        raise ValueError(f"unusable URL {shown!r}: it names no host; write it as http://host:8000")
    if port == 0:
        raise ValueError(f"unusable URL {shown!r}: 0 is no port")
    return _target(parts, port)


def _target(parts: SplitResult, port: int | None) -> Target:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    path = parts.path.rstrip("/")
    query = f"?{parts.query}" if parts.query else ""
    if not path.endswith(_PAGE):
        path = path.removesuffix("/v1") + _PAGE
        page = origin + path + query
    else:
        # A slash behind it is kept: on vLLM, `/metrics/` is another endpoint than `/metrics`.
        page = origin + parts.path + query
    root = path
    for known in _PAGES:
        if path.endswith(known):
            root = path.removesuffix(known)
            break
    asked = _shown_query(parts.query)
    source = origin + (root if path == root + _PAGE else path) + asked
    return Target(source, page, origin + path + asked, origin + root, _basic(parts))


def _basic(parts: SplitResult) -> dict[str, str]:
    if parts.username is None and parts.password is None:
        return {}
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _shown_query(query: str) -> str:
    """Write a query so that it may be shown: `?model=a&token=...`."""
    pairs = [part.partition("=") for part in query.split("&") if part]
    shown = "&".join(name + equals + ("..." if _SECRET.search(name) else value) for name, equals, value in pairs)
    return f"?{shown}" if shown else ""


def _without_userinfo(error: ValueError) -> str:
    """Say what urlsplit minds, without what it quotes: that may be a part of a password."""
    return "its port is no number from 1 to 65535" if "ort" in str(error) else "its host is malformed"
