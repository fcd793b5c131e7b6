"""A narrative from a real server over a real socket: it comes checked, or one line says why it does not come."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from chimera_top.exit import UsageError
from chimera_top.narrate import MAX_BODY, Endpoint, narrate, narrator
from insight.report.redact import redact
from tests.insight.report import canned

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = "Server A is overloaded: 54 requests wait. Cap the queue: TTFT p95 falls from 33.2 s to 700 ms, grade B."


class Teller:
    """An OpenAI-compatible server in a thread of its own that answers what `answer` makes of a request."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str | None, Any]] = []
        self.answer: Any = GOOD
        self.models: Any = {"data": [{"id": "tiny"}]}
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._end = asyncio.Event()
        self.hold = False
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/v1/chat/completions", self._tell)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()

    async def _list(self, request: web.Request) -> web.Response:
        self.requests.append((request.path, request.headers.get("Authorization"), None))
        return web.json_response(self.models)

    async def _tell(self, request: web.Request) -> web.Response:
        self.requests.append((request.path, request.headers.get("Authorization"), await request.json()))
        if self.hold:
            await self._end.wait()
        if isinstance(self.answer, web.Response):
            return self.answer
        message = {"role": "assistant", "content": self.answer}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}]})

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def teller() -> Iterator[Teller]:
    made = Teller()
    yield made
    made.close()


SNAPSHOT = redact(canned.overloaded())


def test_a_narrative_comes_checked(teller: Teller, capsys: pytest.CaptureFixture[str]) -> None:
    """The first model of the server writes it, from the redacted report; the token goes to it and nowhere else."""
    ask = narrator(f"{teller.url}/v1", None, "TELL", None, {"TELL": "s3cret"})
    told = ask(SNAPSHOT)
    assert told is not None
    assert (told.model, told.text) == ("tiny", GOOD)
    (_, _, _), (path, token, body) = teller.requests
    assert (path, token, body["model"], body["temperature"]) == ("/v1/chat/completions", "Bearer s3cret", "tiny", 0)
    sent = json.dumps(body)
    assert "server A" in sent
    for hidden in ("127.0.0.1", "gpu-host-7", "s3cret"):
        assert hidden not in sent
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
def test_a_url_is_taken_as_it_is_copied(teller: Teller, path: str) -> None:
    """Whether the root, the base or the whole path is given, the same is asked; a named model is not looked up."""
    assert narrator(teller.url + path, "big", None, None, {})(SNAPSHOT) is not None
    assert [(each, body["model"]) for each, _, body in teller.requests] == [("/v1/chat/completions", "big")]


def test_a_number_of_its_own_refuses_it(teller: Teller, capsys: pytest.CaptureFixture[str]) -> None:
    """A text with a number that is not in the report is no narrative; one line says which number."""
    teller.answer = f"{GOOD} That is 47 times better."
    assert narrate(SNAPSHOT, Endpoint(teller.url, "big")) is None
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "no narrative: big wrote '47 times', which is not in the report" in err
    assert "the report is written without it" in err


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (web.Response(status=401), "--narrate-token-env NAME"),
        (web.Response(status=500, text="CUDA error"), "500 from"),
        (web.Response(status=404, text="no such model"), "no such model"),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "302 from"),
        (web.Response(text="<html>"), "answered what is no chat completion"),
        (web.Response(text="[" * 100_000), "answered what is no chat completion"),
        (web.Response(body=b"x" * (MAX_BODY + 1)), "answered more than 1 MiB"),
        (web.Response(text='{"choices": []}'), "answered with no text"),
        (web.Response(text='{"choices": [{"message": {"content": null}}]}'), "answered with no text"),
        (web.Response(text='{"choices": [{"message": {"content": "x"}, "finish_reason": "length"}]}'), "no end in"),
    ],
)
def test_what_goes_wrong_is_one_line(
    teller: Teller, answer: web.Response, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the server answers, there is no narrative and one line on stderr; nothing is raised."""
    teller.answer = answer
    assert narrate(SNAPSHOT, Endpoint(teller.url, "big")) is None
    err = capsys.readouterr().err
    assert err.startswith("chimera-top: no narrative: ")
    assert why in err
    assert err.count("\n") == 1


def test_a_server_that_names_no_model(teller: Teller, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the server lists nothing, the flag that names a model is named."""
    teller.models = {"data": []}
    assert narrate(SNAPSHOT, Endpoint(teller.url)) is None
    assert "names no model; give one with --narrate-model NAME" in capsys.readouterr().err


def test_a_server_that_stalls_is_left(teller: Teller, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer is awaited for so long and no longer."""
    teller.hold = True
    assert narrate(SNAPSHOT, Endpoint(teller.url, "big", seconds=0.05)) is None
    assert "no answer from" in capsys.readouterr().err


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A refused connection is one line too, for the list of models and for the text."""
    for model in (None, "big"):
        assert narrate(SNAPSHOT, Endpoint("http://127.0.0.1:9", model)) is None
        assert "refused" in capsys.readouterr().err


def test_escapes_of_a_model_are_no_escapes(teller: Teller) -> None:
    """What a model writes is made harmless like any text from outside, its paragraphs kept."""
    teller.answer = f"\x1b[31m{GOOD}\x1b[0m\n\nIt was\tat 14:21:50."
    told = narrate(SNAPSHOT, Endpoint(teller.url, "big"))
    assert told is not None
    assert told.text == f"{GOOD}\n\nIt was at 14:21:50."


@pytest.mark.parametrize(
    ("url", "token", "ca", "why"),
    [
        ("ftp://host", None, None, "--narrate: unusable URL"),
        ("http://", None, None, "names no host"),
        ("http://host", "NOT_SET", None, "--narrate-token-env names the environment variable 'NOT_SET'"),
        ("https://host", None, "/no/such/ca.pem", "unusable CA file"),
    ],
)
def test_what_cannot_be_asked_is_told_at_once(url: str, token: str | None, ca: str | None, why: str) -> None:
    """A wrong URL, a token that is not set and a certificate that is not there are told before anything is watched."""
    with pytest.raises(UsageError, match=why):
        narrator(url, None, token, ca, {})
