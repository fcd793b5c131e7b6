"""GET and POST, as a monitor must do it: a deadline, a limit, one connection, and no token where it does not belong.

It imports aiohttp, as `collectors.probe.stream` does and nothing else here. That takes a tenth of a second, so import
this where it is first needed, not at the top of a module: the screen paints first.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import threading
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from collectors.answer import Answer, Failure
from collectors.clean import clean
from metrics.sample import State

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine, Mapping

MAX_BODY = 16 * 2**20
"""Bytes of a page, unpacked, after which nothing more is read. Real pages have 3 to 100 KB."""
_MAX_ERROR_BODY = 64 * 2**10
_MAX_REDIRECTS = 3
_REDIRECTS = {301, 302, 303, 307, 308}
_NAMES = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "gzip", "User-Agent": "chimera-top"}


class Fetch:
    """GETs from one server, over one connection that is kept alive.

    `headers` go with every request and to no other origin; what stands in them never appears in a Failure or in the
    body of an error. Nothing is taken from the environment: no proxy, no netrc. No cookie is kept.
    """

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        *,
        trust: ssl.SSLContext | None = None,
        deadline: float = 5.0,
        max_body: int = MAX_BODY,
    ) -> None:
        self._headers = {**_NAMES, **(headers or {})}
        self._secrets = secrets_of(headers or {})
        self._trust = trust
        self._deadline = deadline
        self._max_body = max_body
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, shown: str, deadline: float | None = None) -> Answer | Failure:
        """GET `url` within `deadline` seconds, redirects within its origin included; reasons call it `shown`.

        Raises nothing but CancelledError.
        """
        seconds = self._deadline if deadline is None else deadline
        body = bytearray()
        return await self._within(seconds, self._follow(url, shown, body), url, shown, body)

    async def post(self, url: str, shown: str, data: bytes, deadline: float | None = None) -> Answer | Failure:
        """POST JSON to `url` over a connection of its own, and follow no redirect. Else as `get`.

        A POST is never sent twice, and a kept connection may prove dead when it is used.
        """
        seconds = self._deadline if deadline is None else deadline
        body = bytearray()
        return await self._within(seconds, self._send(url, shown, data, body), url, shown, body)

    async def _send(self, url: str, shown: str, data: bytes, body: bytearray) -> Answer | Failure:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
        async with self._open().post(url, data=data, headers=headers, allow_redirects=False) as response:
            return await self._read(response, shown, body)

    async def _within(
        self, seconds: float, asking: Coroutine[None, None, Answer | Failure], url: str, shown: str, body: bytearray
    ) -> Answer | Failure:
        """Wait for an answer, and say in one line why none came."""
        try:
            async with asyncio.timeout(seconds):
                return await asking
        except TimeoutError:
            if body:
                return self._down(f"the page of {shown} did not end in {seconds:g} s ({len(body)} bytes came)")
            return self._down(f"no answer from {shown} in {seconds:g} s: does it stall, or does a firewall drop?")
        except aiohttp.ClientPayloadError:
            return self._down(f"{shown} broke off its answer after {len(body)} bytes")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._down(explain(error, url, shown))

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(self._headers, self._trust)
        return self._session

    async def _follow(self, url: str, shown: str, body: bytearray) -> Answer | Failure:
        here = url
        for _ in range(_MAX_REDIRECTS + 1):
            # aiohttp itself sends a GET once more when a kept connection proves dead: llama-server closes one after
            # 5 s of silence and after 100 requests.
            async with self._open().get(here, allow_redirects=False) as response:
                if response.status not in _REDIRECTS or not (location := response.headers.get("Location")):
                    return await self._read(response, shown, body)
                response.close()
            try:
                here = urljoin(here, location)
                origin = _origin(here)
            except ValueError:
                return self._down(f"{shown} redirects to what is no URL: is this a proxy that is set up wrongly?")
            if origin != _origin(url):
                return self._down(f"{shown} redirects to {origin}, which is not followed; give its URL if it is meant")
        return self._down(f"{shown} redirects in circles: more than {_MAX_REDIRECTS} times")

    async def _read(self, response: aiohttp.ClientResponse, shown: str, body: bytearray) -> Answer | Failure:
        good = response.status == HTTPStatus.OK
        limit = self._max_body if good else _MAX_ERROR_BODY
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limit:
                response.close()
                if good:
                    return self._down(f"{shown} answered more than {limit / 2**20:g} MiB: is this a metrics page?")
                break
        found = bytes(body[:limit])
        if not good:
            for secret in self._secrets:
                found = found.replace(secret.encode(), b"...")
        return Answer(response.status, response.content_type, found, _date(response.headers.get("Date")))

    def _down(self, reason: str) -> Failure:
        for secret in self._secrets:
            reason = reason.replace(secret, "...")
        return Failure(State.DOWN, clean(reason, 300))


def _date(text: str | None) -> float | None:
    """Read the `Date` of an answer; None where there is none, or something else stands there."""
    try:
        moment = parsedate_to_datetime(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def open_session(
    headers: Mapping[str, str], trust: ssl.SSLContext | None, traces: list[aiohttp.TraceConfig] | None = None
) -> aiohttp.ClientSession:
    """Open what holds one connection to one server. Deadlines are the caller's."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, resolver=_Resolver(), ssl=True if trust is None else trust),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),
        trust_env=False,
        trace_configs=traces,
    )


def secrets_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """List what may never be shown, longest first: the values of headers, whole and without `Bearer` or `Basic`."""
    values = {part for value in headers.values() for part in (value, value.rpartition(" ")[2]) if len(part) > 3}
    return tuple(sorted(values, key=len, reverse=True))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port else "")


def explain(error: Exception, url: str, shown: str) -> str:
    """Say what a failed connection means and what may be done about it."""
    place = urlsplit(url).netloc.rpartition("@")[2]
    match error:
        case aiohttp.ClientConnectorDNSError():
            reason = f"no address is known for the host of {place}: is it spelt right, and does DNS answer here?"
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(error.certificate_error, "verify_message", "") or "it cannot be verified"
            reason = f"the certificate of {place} is not trusted ({why}): name its authority with --ca-cert FILE"
        case aiohttp.ClientConnectorSSLError():
            reason = f"{place} does not speak TLS as it should: is it an http:// server?"
        case aiohttp.ServerDisconnectedError() | ConnectionResetError():
            reason = f"{place} closed the connection without an answer: is it starting, or does it want https://?"
        case aiohttp.ClientResponseError():
            said = clean(error.message.partition("\n")[0], 60).rstrip(" :")
            reason = f"{shown} does not answer in HTTP ({said}): is this the server's port?"
        case OSError() if error.errno == errno.ECONNREFUSED:
            reason = f"{place} refused the connection: is the server running, and is this its port?"
        case OSError() if error.errno:
            why = os.strerror(error.errno) if error.errno > 0 else error.strerror  # below 0 it is one of getaddrinfo's
            reason = f"{place} cannot be reached: {why}"
        case _:
            reason = f"{shown} cannot be read: {type(error).__name__}: {error}"
    return reason


class _Resolver(AbstractResolver):
    """Looks names up in a thread that nobody waits for.

    aiohttp's own does it in a thread of the event loop's executor, and the interpreter waits for those when it ends:
    for half a minute while DNS is down.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def settle(outcome: list[ResolveResult] | OSError) -> None:
            if found.done():
                return
            if isinstance(outcome, OSError):
                found.set_exception(outcome)
            else:
                found.set_result(outcome)

        def look_up() -> None:
            outcome: list[ResolveResult] | OSError
            try:
                outcome = _addresses(host, port, family)
            except OSError as error:
                outcome = error
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits for this
                loop.call_soon_threadsafe(settle, outcome)

        threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
        return await found

    async def close(self) -> None:
        """Hold nothing."""


def _addresses(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    """Look up the addresses of a host, as getaddrinfo does. Raises OSError."""
    try:
        rows = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError:  # a label longer than 63 characters
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return [
        ResolveResult(hostname=host, host=str(where[0]), port=int(where[1]), family=kind, proto=proto, flags=flags)
        for kind, _, proto, _, where in rows
    ]
