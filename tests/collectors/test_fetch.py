"""`collectors.fetch` and `collectors.answer` against a web server that behaves badly, over real sockets."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.answer import Answer, Failure, nothing_there, quote, refusal
from collectors.fetch import MAX_BODY, Fetch
from metrics.sample import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.collectors.conftest import Web

CERTIFICATE = Path(__file__).parent.parent / "fixtures" / "served" / "localhost.pem"
PAGE = b"requests_total 1\nlatency NaN\nlatency_max +Inf\n"


def get(
    url: str, *, headers: Mapping[str, str] | None = None, trust: ssl.SSLContext | None = None, deadline: float = 10.0
) -> Answer | Failure:
    async def once() -> Answer | Failure:
        fetch = Fetch(headers, trust=trust, deadline=deadline)
        try:
            return await fetch.get(url, url)
        finally:
            await fetch.close()

    return asyncio.run(once())


def failure(url: str, *, headers: Mapping[str, str] | None = None, deadline: float = 10.0) -> Failure:
    got = get(url, headers=headers, deadline=deadline)
    if isinstance(got, Answer):
        refused = refusal(got, url) or nothing_there(got.body, url)
        assert refused is not None
        got = refused
    assert "\n" not in got.reason
    return got


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_page(web: Web) -> None:
    """A page comes back byte for byte, with its status and its content type."""
    web.answer("/metrics", PAGE)
    assert get(f"{web.url}/metrics") == Answer(200, "text/plain", PAGE)


@pytest.mark.parametrize(
    ("said", "date"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777.0),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 784_111_777.0),
        ("Sun, 06 Nov 1994 10:49:37 +0200", 784_111_777.0),
        ("yesterday", None),
        ("Sun, 06 Nov 99999999 08:49:37 GMT", None),
        ("Sun, 32 Nov 1994 08:49:37 GMT", None),
    ],
)
def test_the_clock_of_the_server(web: Web, said: str, date: float | None) -> None:
    """`Date` tells what its clock says; what is no date tells nothing and is no failure."""
    web.answer("/metrics", PAGE, Date=said)
    got = get(f"{web.url}/metrics")
    assert isinstance(got, Answer)
    assert got.date == date


def test_asks_for_the_text_format(web: Web) -> None:
    """The request asks for text 0.0.4, since OpenMetrics renames vLLM's and SGLang's series, and keeps no cookie."""
    web.answer("/metrics", PAGE, Set_Cookie="session=1; Path=/")

    async def twice() -> None:
        fetch = Fetch({"X-Api-Key": "abc"})
        for _ in range(2):  # by a name: from a bare address a cookie is never taken
            await fetch.get(f"http://localhost:{web.port}/metrics", "it")
        await fetch.close()

    asyncio.run(twice())
    _, sent = web.requests[1]
    assert sent["accept"] == "text/plain;version=0.0.4"
    assert sent["x-api-key"] == "abc"
    assert "cookie" not in sent
    assert web.connections == 1


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_refused(name: str) -> None:
    """A port where nobody listens is named, with the two things to look at."""
    port = free_port()
    assert failure(f"http://{name}:{port}/metrics") == Failure(
        State.DOWN, f"{name}:{port} refused the connection: is the server running, and is this its port?"
    )


@pytest.mark.parametrize(
    ("status", "body", "state", "words"),
    [
        (401, b'{"error":{"message":"Invalid API Key","code":401}}', State.UNAUTHORISED, "--token-env NAME"),
        (403, b"no", State.UNAUTHORISED, "--token-env NAME"),
        (404, b'{"detail":"Not Found"}', State.DOWN, "llama-server needs --metrics, SGLang --enable-metrics"),
        (429, b"", State.DOWN, "--interval"),
        (500, b"Internal Server Error", State.DOWN, '"Internal Server Error"'),
        (
            501,
            b'{"error":{"code":501,"message":"This server does not support metrics endpoint"}}',
            State.DOWN,
            '"This server does not support metrics endpoint": start llama-server with --metrics',
        ),
        (
            503,
            b'{"error":{"message":"Loading model","type":"unavailable_error","code":503}}',
            State.STARTING,
            '503 from URL: "Loading model": the server is not ready yet',
        ),
        (503, b"<html><h1>no healthy upstream</h1></html>", State.DOWN, "503 from URL: the server, or a proxy"),
        (502, b"<!DOCTYPE html>\n<title>502 Bad Gateway</title>", State.DOWN, "a proxy answered"),
        (302, b"", State.DOWN, "302 from URL"),
        (204, b"", State.DOWN, "204 from URL"),
        (418, b"", State.DOWN, "418 from URL"),
    ],
)
def test_status(web: Web, status: int, body: bytes, state: State, words: str) -> None:
    """Each status that is not 200 has its state, quotes what the server says and names the remedy."""
    url = f"{web.url}/metrics"
    web.answer("/metrics", body, status, "application/json")
    got = failure(url)
    assert got.state is state
    assert words.replace("URL", url) in got.reason
    assert got.reason.startswith(f"{status} from {url}")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\n<!DOCTYPE html><html><body>Welcome</body></html>", "HTML instead of metrics: is this a web page"),
        (b'[{"iter": 1}]', "JSON instead of metrics"),
        (b"", "nothing instead of metrics"),
        (b"it works!", '"it works!": is it a metrics page?'),
        (b"\x00\x01\x02", "binary data"),
    ],
)
def test_no_metrics(web: Web, body: bytes, words: str) -> None:
    """A 200 that is no metrics page is called by its name."""
    web.answer("/metrics", body, content_type="text/html")
    got = failure(f"{web.url}/metrics")
    assert got.state is State.DOWN
    assert words in got.reason


def test_an_error_page_is_data() -> None:
    """What a server says in an error is quoted cleaned and short: no escape sequence, no second line, no long text."""
    said = quote(b'{"error": {"message": "bad\\u001b]0;owned\\u0007\\r\\nERROR forged' + b" word" * 100 + b'"}}')
    assert said.startswith('"bad')
    assert said.isprintable()
    assert len(said) <= 82
    assert quote(b'{"error": "\xff') == '"{"error": "\ufffd"'
    assert quote(b"[" * 100_000)


def test_huge_page(web: Web) -> None:
    """Of a page of 50 MB no more is read than the limit and what the sockets' buffers hold."""
    written = 0
    line = b"x" * 65_536

    async def write(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        for _ in range(50_000_000 // len(line)):
            writer.write(line)
            await writer.drain()
            written += len(line)

    web.reply("/metrics", write)
    got = failure(f"{web.url}/metrics")
    assert "more than 16 MiB" in got.reason
    assert written > MAX_BODY / 2
    assert written < 2 * MAX_BODY


def test_gzip_bomb(web: Web) -> None:
    """A small body that unpacks into 50 MB is cut off where it passes the limit."""
    web.answer("/metrics", gzip.compress(bytes(50_000_000)), Content_Encoding="gzip")
    assert "more than 16 MiB" in failure(f"{web.url}/metrics").reason


def test_huge_error_page(web: Web) -> None:
    """An error page is read no further than is needed to quote it."""
    web.answer("/metrics", b"no " * 1_000_000, 500)
    assert failure(f"{web.url}/metrics").reason.startswith("500 from")


def test_gzip(web: Web) -> None:
    """A packed page is unpacked."""
    web.answer("/metrics", gzip.compress(PAGE), Content_Encoding="gzip")
    assert get(f"{web.url}/metrics") == Answer(200, "text/plain", PAGE)


def test_broken_gzip(web: Web) -> None:
    """A body that says it is gzip and is not gives a reason."""
    web.answer("/metrics", PAGE, Content_Encoding="gzip")
    assert failure(f"{web.url}/metrics").state is State.DOWN


async def forever(_writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def test_no_answer(web: Web) -> None:
    """A server that accepts and says nothing is given up at the deadline."""
    web.reply("/metrics", forever)
    got = failure(f"{web.url}/metrics", deadline=0.05)
    assert got.state is State.DOWN
    assert got.reason.startswith(f"no answer from {web.url}/metrics in 0.05 s")


def test_page_that_never_ends(web: Web) -> None:
    """A page of which a little comes all the time is cut by the deadline, however steadily it comes."""

    async def trickle(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"requests_total 1\n")
            await writer.drain()
            await asyncio.sleep(0.001)

    web.reply("/metrics", trickle)
    assert "did not end in 0.5 s" in failure(f"{web.url}/metrics", deadline=0.5).reason


def test_page_that_breaks_off(web: Web) -> None:
    """A page that is shorter than it said is not taken for a page."""

    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nrequests_total 1\n")
        await writer.drain()
        writer.close()

    web.reply("/metrics", half)
    assert "broke off its answer after 17 bytes" in failure(f"{web.url}/metrics").reason


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 banana\r\n\r\n"])
def test_not_http(web: Web, said: bytes) -> None:
    """A port that does not speak HTTP gives a reason, whether it hangs up or says something else."""

    async def speak(writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        writer.close()

    web.reply("/metrics", speak)
    assert failure(f"{web.url}/metrics").state is State.DOWN


def test_redirect_to_another_host(web: Web, other_web: Web) -> None:
    """A redirect to another origin is not followed: the token stays here, and the reason names where it pointed."""
    web.answer("/metrics", b"", 307, Location=f"http://user:hidden@{other_web.place}/metrics")
    other_web.answer("/metrics", PAGE)
    got = failure(f"{web.url}/metrics", headers={"Authorization": "Bearer s3cret"})
    assert f"redirects to {other_web.url}, which is not followed" in got.reason
    assert "hidden" not in got.reason
    assert not other_web.requests


@pytest.mark.parametrize("absolute", [True, False])
def test_redirect_within_the_server(web: Web, absolute: bool) -> None:
    """A redirect on the same origin (vLLM's `/metrics` to `/metrics/`) is followed, and the token goes along."""
    web.answer("/metrics", b"", 307, Location=f"{web.url}/metrics/" if absolute else "/metrics/")
    web.answer("/metrics/", PAGE)
    got = get(f"{web.url}/metrics", headers={"Authorization": "Bearer s3cret"})
    assert got == Answer(200, "text/plain", PAGE)
    assert [headers["authorization"] for _, headers in web.requests] == ["Bearer s3cret"] * 2


def test_redirect_in_circles(web: Web) -> None:
    """Redirects end after the third."""
    web.answer("/metrics", b"", 302, Location="/metrics")
    assert "redirects in circles" in failure(f"{web.url}/metrics").reason
    assert len(web.requests) == 4


@pytest.mark.parametrize("location", ["http://[", "ftp://127.0.0.1/", "//", "http://127.0.0.1:99999/", "\x7f"])
def test_redirect_to_nowhere(web: Web, location: str) -> None:
    """A redirect that is no URL gives a reason."""
    web.answer("/metrics", b"", 302, Location=location)
    got = failure(f"{web.url}/metrics")
    assert got.state is State.DOWN
    assert "internal" not in got.reason
    assert "Error" not in got.reason


def test_token_never_shown(web: Web) -> None:
    """A server that quotes the token in its error does not bring it onto the screen."""
    web.answer("/metrics", b'{"error": "Bearer s3cret is wrong: s3cret"}', 500)
    got = failure(f"{web.url}/metrics", headers={"Authorization": "Bearer s3cret"})
    assert "s3cret" not in got.reason
    assert "is wrong" in got.reason
    web.answer("/metrics", b"", 302, Location="http://s3cret.example/")
    assert "s3cret" not in failure(f"{web.url}/metrics", headers={"Authorization": "Bearer s3cret"}).reason


def test_stale_connection(web: Web) -> None:
    """A kept connection that the server closed meanwhile (llama-server: after 5 s) is replaced."""
    web.answer("/metrics", PAGE)
    web.requests_per_connection = 1

    async def thrice() -> list[Answer | Failure]:
        fetch = Fetch()
        got = [await fetch.get(f"{web.url}/metrics", "it") for _ in range(3)]
        await fetch.close()
        return got

    assert asyncio.run(thrice()) == [Answer(200, "text/plain", PAGE)] * 3
    assert web.connections == 3


def test_one_connection(web: Web) -> None:
    """GETs at the same time share one connection."""
    web.answer("/metrics", PAGE)

    async def together() -> None:
        fetch = Fetch()
        await asyncio.gather(*(fetch.get(f"{web.url}/metrics", "it") for _ in range(5)))
        await fetch.close()

    asyncio.run(together())
    assert (web.connections, len(web.requests)) == (1, 5)


def test_no_proxy_from_the_environment(web: Web, other_web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names never sees a request, nor a token."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, other_web.url)
    web.answer("/metrics", PAGE)
    assert get(f"{web.url}/metrics") == Answer(200, "text/plain", PAGE)
    assert not other_web.connections


def test_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that DNS does not know is said to be that."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert failure("http://gpu-node.invalid:8000/metrics") == Failure(
        State.DOWN,
        "no address is known for the host of gpu-node.invalid:8000: is it spelt right, and does DNS answer here?",
    )
    assert failure(f"http://{'a' * 70}.invalid/metrics").state is State.DOWN


def test_dns_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that does not answer holds up neither the poll beyond its deadline nor the end of the program."""
    asked, release = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def hang(*_: object, **__: object) -> None:
        threads.append(threading.current_thread())
        asked.set()
        release.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        got = failure("http://gpu-node.invalid:8000/metrics", deadline=0.05)
        assert got.reason.startswith("no answer")
        assert asked.wait(10)
        assert threads[0].daemon
    finally:
        release.set()
        for thread in threads:
            thread.join(10)


def test_certificate_that_is_not_trusted(tls_web: Web) -> None:
    """A certificate that nobody vouches for ends the poll, and the reason names the way to trust it."""
    got = failure(f"https://{tls_web.place}/metrics")
    assert got.state is State.DOWN
    assert "is not trusted" in got.reason
    assert "--ca-cert FILE" in got.reason
    assert not tls_web.requests


def test_certificate_that_is_trusted(tls_web: Web) -> None:
    """With its authority named, the page comes."""
    tls_web.answer("/metrics", PAGE)
    trust = ssl.create_default_context(cafile=CERTIFICATE)
    assert get(f"https://{tls_web.place}/metrics", trust=trust) == Answer(200, "text/plain", PAGE)


def test_tls_where_there_is_none(web: Web) -> None:
    """https:// to a server that speaks plain HTTP is said to be that."""
    assert failure(f"https://{web.place}/metrics") == Failure(
        State.DOWN, f"{web.place} does not speak TLS as it should: is it an http:// server?"
    )
