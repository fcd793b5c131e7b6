from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from simulator import http
from simulator.faults import Freeze, Restart
from simulator.page import MARK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simulator.scenario import Scenario

CHAT, PLAIN = "/v1/chat/completions", "/v1/completions"


class _Clock:
    """Goes forward 5 ms at every look, so that no test depends on how fast the machine is."""

    def __init__(self) -> None:
        self.now = 100.0

    def wall(self) -> float:
        return 1_790_000_000.0 + self.now

    def mono(self) -> float:
        self.now += 0.005
        return self.now


def _with_server(
    scenario: Scenario,
    test: Callable[[http.Server, aiohttp.ClientSession, _Clock], Awaitable[None]],
    api_key: str | None = None,
) -> None:
    async def run() -> None:
        clock = _Clock()
        server = await http.start(scenario, seed=1, clock=clock, api_key=api_key)
        try:
            async with asyncio.timeout(30), aiohttp.ClientSession(server.url) as client:
                await test(server, client, clock)
        finally:
            await server.close()

    asyncio.run(run())


async def _events(response: aiohttp.ClientResponse) -> list[Any]:
    lines = [line.decode().strip() async for line in response.content]
    assert lines[-2] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2] if line]


async def _values(client: aiohttp.ClientSession) -> dict[str, float]:
    async with client.get("/metrics") as response:
        assert response.status == 200
        text = await response.text()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "le" not in sample.labels
    }


def test_a_stream_gives_as_many_tokens_as_asked(quiet: Scenario) -> None:
    """A chat streams its role, one chunk a token, the reason it ended, and the usage; the page counts the same."""

    async def test(_server: http.Server, client: aiohttp.ClientSession, _clock: _Clock) -> None:
        body = {
            "model": "small",
            "messages": [{"role": "user", "content": "four" * 90}],
            "max_tokens": 25,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        async with client.post(CHAT, json=body) as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            events = await _events(response)
        assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        tokens = [event["choices"][0] for event in events[1:-1]]
        assert len(tokens) == 25
        assert all(token["delta"]["content"] for token in tokens)
        assert [token["finish_reason"] for token in tokens] == [None] * 24 + ["length"]
        assert events[-1]["usage"] | {"prompt_tokens_details": None} == {
            "prompt_tokens": 90,
            "completion_tokens": 25,
            "total_tokens": 115,
            "prompt_tokens_details": None,
        }
        values = await _values(client)
        assert values["vllm:generation_tokens_total"] == 25
        assert values["vllm:prompt_tokens_total"] == 90
        assert values["vllm:time_to_first_token_seconds_count"] == 1

    _with_server(quiet, test)


def test_answers_in_one_piece(quiet: Scenario) -> None:
    """Without a stream the whole answer comes with its usage, for chats and for plain completions."""

    async def test(_server: http.Server, client: aiohttp.ClientSession, _clock: _Clock) -> None:
        async with client.post(PLAIN, json={"prompt": [1, 2, 3], "max_tokens": 7}) as response:
            plain = await response.json()
        async with client.post(CHAT, json={"messages": [{"content": "a"}], "max_completion_tokens": 3}) as response:
            chat = await response.json()
        assert plain["object"] == "text_completion"
        assert plain["choices"][0]["finish_reason"] == "length"
        assert plain["choices"][0]["text"]
        assert (plain["usage"]["prompt_tokens"], plain["usage"]["completion_tokens"]) == (3, 7)
        assert chat["object"] == "chat.completion"
        assert chat["choices"][0]["message"]["role"] == "assistant"
        assert chat["usage"]["completion_tokens"] == 3
        async with client.get("/metrics") as response:
            page = await response.text()
        assert f'http_requests_total{{handler="{PLAIN}",method="POST",status="2xx"}} 1.0' in page
        assert f'http_requests_total{{handler="{CHAT}",method="POST",status="2xx"}} 1.0' in page

    _with_server(quiet, test)


def test_many_streams_share_the_engine(quiet: Scenario) -> None:
    """More requests than slots at once all come to their end, each with its own number of tokens."""

    async def test(_server: http.Server, client: aiohttp.ClientSession, _clock: _Clock) -> None:
        async def ask(count: int) -> int:
            body = {"prompt": "x" * 40, "max_tokens": count, "stream": True}
            async with client.post(PLAIN, json=body) as response:
                return len(await _events(response))

        counts = list(range(1, 41))
        assert await asyncio.gather(*map(ask, counts)) == counts
        assert (await _values(client))["vllm:generation_tokens_total"] == sum(counts)

    _with_server(quiet, test)


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (PLAIN, b"{", 400, "the body is no completion request"),
        (PLAIN, b'{"prompt": 5}', 400, "the body is no completion request"),
        (PLAIN, b'{"prompt": "a", "max_tokens": 5000}', 400, "the model takes at most 2048 tokens"),
        (CHAT, b'{"model": "other"}', 404, "The model `other` does not exist."),
        ("/v1/nothing", b"", 404, "Not Found"),
    ],
)
def test_a_bad_request_is_told_so(quiet: Scenario, path: str, body: bytes, status: int, message: str) -> None:
    """What cannot be served gets OpenAI's error object, and counts as 4xx."""

    async def test(_server: http.Server, client: aiohttp.ClientSession, _clock: _Clock) -> None:
        async with client.post(path, data=body) as response:
            assert response.status == status
            assert message in (await response.json())["error"]["message"]
        async with client.get("/metrics") as response:
            counted = f'http_requests_total{{handler="{path}",method="POST",status="4xx"}} 1.0'
            assert counted in await response.text()

    _with_server(quiet, test)


def test_everything_is_marked_as_simulated(quiet: Scenario) -> None:
    """Every answer carries the header, streams and errors too, and the small endpoints are vLLM's."""

    async def test(_server: http.Server, client: aiohttp.ClientSession, _clock: _Clock) -> None:
        for path, status in (("/metrics", 200), ("/health", 200), ("/version", 200), ("/v1/models", 200), ("/x", 404)):
            async with client.get(path) as response:
                assert response.status == status
                assert response.headers["X-Simulated"] == "chimera-top"
        async with client.post(PLAIN, json={"max_tokens": 1, "stream": True}) as response:
            assert response.headers["X-Simulated"] == "chimera-top"
        async with client.get("/metrics") as response:
            assert response.headers["Content-Type"] == "text/plain; version=1.0.0; charset=utf-8"
            assert (await response.text()).startswith(MARK)
        async with client.get("/version") as response:
            assert await response.json() == {"version": "0.32.0", "simulated": True}
        async with client.get("/v1/models") as response:
            (model,) = (await response.json())["data"]
            assert (model["id"], model["max_model_len"], model["parent"]) == ("small", 2048, None)

    _with_server(quiet, test)


def test_a_key_guards_what_vllm_guards(quiet: Scenario) -> None:
    """With a key, /v1 answers 401 without it, and the metrics page stays open."""

    async def test(_server: http.Server, client: aiohttp.ClientSession, _clock: _Clock) -> None:
        for path, headers, status in (
            ("/v1/models", {}, 401),
            ("/v1/models", {"Authorization": "Bearer wrong"}, 401),
            ("/v1/models", {"Authorization": "Bearer right"}, 200),
            ("/metrics", {}, 200),
            ("/health", {}, 200),
        ):
            async with client.get(path, headers=headers) as response:
                assert response.status == status

    _with_server(quiet, test, api_key="right")


def test_a_client_that_goes_away_frees_its_slot(quiet: Scenario) -> None:
    """When a stream is dropped the engine stops working on it, and counts nothing, as vLLM does."""

    async def test(server: http.Server, client: aiohttp.ClientSession, clock: _Clock) -> None:
        body = {"prompt": "x" * 40, "max_tokens": 2000, "stream": True}
        async with client.post(PLAIN, json=body) as response:
            await response.content.readline()
            response.close()
        engine = server.simulation.engine
        while engine.next_step_end is not None:
            await asyncio.sleep(0)
            server.simulation.advance(clock.mono() - 100.0)
        assert 0 < engine.counters.generation_tokens < 2000
        assert sum(engine.counters.finished.values()) == 0

    _with_server(quiet, test)


def test_a_client_that_does_not_wait_frees_its_slot(quiet: Scenario) -> None:
    """The same where the answer was to come in one piece, so that nothing is written before the end."""

    async def test(server: http.Server, client: aiohttp.ClientSession, clock: _Clock) -> None:
        asking = asyncio.create_task(client.post(PLAIN, json={"prompt": "x" * 40, "max_tokens": 2000}))
        engine = server.simulation.engine
        while not engine.counters.generation_tokens:
            await asyncio.sleep(0)
            server.simulation.advance(clock.mono() - 100.0)
        asking.cancel()
        while engine.next_step_end is not None:
            await asyncio.sleep(0)
            server.simulation.advance(clock.mono() - 100.0)
        assert engine.counters.generation_tokens < 2000
        assert sum(engine.counters.finished.values()) == 0

    _with_server(quiet, test)


def test_a_full_queue_answers_503(quiet: Scenario) -> None:
    """Beyond the queue's limit a request is refused at once and counted as rejected."""

    async def test(server: http.Server, client: aiohttp.ClientSession, _clock: _Clock) -> None:
        async with client.post(PLAIN, json={"prompt": "x", "max_tokens": 1}) as response:
            assert response.status == 503
            assert "wait already" in (await response.json())["error"]["message"]
        assert server.simulation.engine.counters.rejected == 1

    _with_server(replace(quiet, engine=replace(quiet.engine, max_num_queued_reqs=0)), test)


def test_a_stuck_engine_answers_with_old_numbers(quiet: Scenario) -> None:
    """While the engine is frozen /health says 200, and the page says that a request runs and gains no token."""

    async def test(server: http.Server, client: aiohttp.ClientSession, clock: _Clock) -> None:
        body = {"prompt": "x" * 40, "max_tokens": 2000, "stream": True}
        async with client.post(PLAIN, json=body) as response:
            await response.content.readline()
            clock.now = 150.0
            first = await _values(client)
            clock.now = 190.0
            second = await _values(client)
            async with client.get("/health") as health:
                assert health.status == 200
            response.close()
        assert first["vllm:generation_tokens_total"] == second["vllm:generation_tokens_total"] > 0
        assert second["vllm:num_requests_running"] == 1.0
        assert server.simulation.up

    _with_server(replace(quiet, faults=(Freeze(at=2.0, seconds=1000.0),)), test)


def test_a_server_that_restarts_drops_its_connections(quiet: Scenario) -> None:
    """Streams break off, nothing answers until it is back, and then everything counts from zero."""

    async def test(_server: http.Server, client: aiohttp.ClientSession, clock: _Clock) -> None:
        body = {"prompt": "x" * 40, "max_tokens": 2000, "stream": True}
        async with client.post(PLAIN, json=body) as response:
            await response.content.readline()
            clock.now = 105.0
            with pytest.raises(aiohttp.ClientError):
                await response.read()
        with pytest.raises(aiohttp.ClientError):
            await client.get("/metrics")
        clock.now = 115.0
        values = await _values(client)
        assert values["vllm:generation_tokens_total"] == 0
        assert values["process_start_time_seconds"] == pytest.approx(1_790_000_000.0 + 105.0, abs=0.5)

    _with_server(replace(quiet, faults=(Restart(at=5.0, seconds=10.0),)), test)


def test_a_port_that_is_taken_is_an_error(quiet: Scenario) -> None:
    """It is raised where the server was to start, also from a thread of its own."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            asyncio.run(http.start(quiet, seed=1, clock=_Clock(), port=port))
        with pytest.raises(OSError, match="in use"):
            http.serve_in_thread(quiet, seed=1, clock=_Clock(), port=port)


def test_a_server_in_a_thread_serves_and_stops(quiet: Scenario) -> None:
    """It answers beside this thread, its GPUs can be polled from here, and after close nobody listens."""

    async def ask(url: str) -> int:
        async with aiohttp.ClientSession() as client, client.get(f"{url}/metrics") as response:
            return response.status

    server = http.serve_in_thread(quiet, seed=1, clock=_Clock())
    try:
        assert asyncio.run(ask(server.url)) == 200
        assert len(asyncio.run(_poll(server))) == 3
    finally:
        server.close()
    with pytest.raises(aiohttp.ClientConnectionError):
        asyncio.run(ask(server.url))


async def _poll(server: http.ServerThread) -> list[object]:
    return list(await server.gpus.collect())
