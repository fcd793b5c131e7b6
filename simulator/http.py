"""The simulated server on a real socket: vLLM's endpoints, in real time.

A request that comes in joins the queue of the simulated engine, and its tokens go out as the engine makes them. Every
answer carries the header `X-Simulated`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

import msgspec
from aiohttp import web

from simulator.completion import Answer, Body, event
from simulator.gpus import TICK
from simulator.host import HostCollector
from simulator.nvml import GpuCollector
from simulator.page import CONTENT_TYPE, render
from simulator.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from simulator.request import Request
    from simulator.scenario import Scenario

VERSION = "0.32.0"
"""The version of vLLM whose page and behaviour are simulated."""
UNCOUNTED = {"/metrics", "/health", "/version"}
"""vLLM leaves them out of its HTTP metrics."""


class Clock(Protocol):
    """Tells the time: seconds since the epoch, and seconds of a clock that only goes forward."""

    def wall(self) -> float:
        """Seconds since the epoch."""

    def mono(self) -> float:
        """Seconds since some moment."""


class _LostError(Exception):
    """The engine died with the request."""


class Server:
    """A simulated server that listens; `start` makes one."""

    def __init__(self, scenario: Scenario, seed: int, clock: Clock, api_key: str | None) -> None:
        self.simulation = Simulation(scenario, seed)
        self.url = ""
        self._clock = clock
        self._api_key = api_key
        self._wall, self._mono = clock.wall(), clock.mono()
        self.gpus = GpuCollector(self.simulation.gpus, scenario.gpus.memory_used_gib, self._wall, self._mono)
        """Tells what NVML would; may be polled from any thread."""
        self.host = HostCollector(self.simulation, self._wall, self._mono)
        """Tells what /proc would; the same holds for it."""
        self._runner = self._listener()
        self._ticker: asyncio.Task[None] | None = None
        self._served = 0

    def _listener(self) -> web.AppRunner:
        app = web.Application(middlewares=[self._admit])
        app.on_response_prepare.append(_mark)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/health", self._health)
        app.router.add_get("/version", self._version)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/completions", self._complete)
        app.router.add_post("/v1/chat/completions", self._complete)
        # Without cancellation a stream whose client has gone would hold its slot in the engine to its end.
        return web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def listen(self, port: int) -> None:
        """Begin to listen on loopback; port 0 takes a free one. Raises OSError where the port cannot be had."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._ticker = asyncio.create_task(self._keep_up())

    async def close(self) -> None:
        """Stop listening, and cut what is still streaming."""
        if self._ticker:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        await self._runner.cleanup()

    async def _keep_up(self) -> None:
        """Advance also when nobody asks, so that an answer never has long to catch up and the GPUs are never old."""
        while True:
            self._advance()
            await asyncio.sleep(TICK)

    def _advance(self) -> float:
        """Bring the simulation up to now, and tell what now is."""
        now = self._clock.mono() - self._mono
        self.simulation.advance(now)
        return now

    # --- requests

    @web.middleware
    async def _admit(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        begin = self._advance()
        if not self.simulation.up:
            return _cut(request)
        if self._api_key and request.path.startswith("/v1") and not self._knows(request):
            response: web.StreamResponse = web.json_response({"error": "Unauthorized"}, status=401)
        else:
            try:
                response = await handler(request)
            except web.HTTPException as error:
                response = _error(error.status, "NotFoundError", error.reason)
            except _LostError:
                return _cut(request)
        # What the engine finished, it has counted itself.
        if request.path not in UNCOUNTED and not (request.method == "POST" and response.status == 200):
            seconds = self._advance() - begin
            self.simulation.engine.counters.answer(request.path, request.method, response.status, seconds)
        return response

    def _knows(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self._api_key}"

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=render(self.simulation, self._wall).encode(),
            headers={"Content-Type": CONTENT_TYPE},
        )

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def _version(self, _request: web.Request) -> web.Response:
        return web.json_response({"version": VERSION, "simulated": True})

    async def _models(self, _request: web.Request) -> web.Response:
        config = self.simulation.scenario.engine
        created = int(self._wall + self.simulation.engine.up_at)
        model = {"id": config.model, "object": "model", "created": created, "owned_by": "vllm", "root": config.model}
        return web.json_response(
            {"object": "list", "data": [model | {"parent": None, "max_model_len": config.max_model_len}]}
        )

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        try:
            body = msgspec.json.decode(await request.read(), type=Body)
        except msgspec.MsgspecError as error:
            return _error(400, "BadRequestError", f"the body is no completion request: {error}")
        engine, model = self.simulation.engine, self.simulation.scenario.engine.model
        if body.model not in {None, model}:
            return _error(404, "NotFoundError", f"The model `{body.model}` does not exist.")
        await asyncio.sleep(self.simulation.ingress_delay)
        now = self._advance()
        if engine.refuses():
            return _error(503, "ServiceUnavailableError", "too many requests wait already")
        asked = body.max_completion_tokens or body.max_tokens or 16
        try:
            job = engine.submit(now, body.prompt_tokens, asked, request.path)
        except ValueError as error:
            return _error(400, "BadRequestError", str(error))
        self._served += 1
        answer = Answer(
            f"cmpl-{self._served}", int(self._clock.wall()), model, request.path.endswith("/chat/completions")
        )
        try:
            if body.stream:
                return await self._stream(request, job, answer, body)
            async for _ in self._tokens(job):
                pass
            return web.json_response(answer.whole(job))
        finally:
            engine.cancel(job)

    async def _stream(self, request: web.Request, job: Request, answer: Answer, body: Body) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        async for index in self._tokens(job):
            if index == 0 and answer.chat:
                await response.write(event(answer.opening()))
            finish = job.finish_reason if index + 1 == job.output_tokens else None
            await response.write(event(answer.chunk(index, finish)))
        if body.stream_options and body.stream_options.include_usage:
            await response.write(event(answer.usage_chunk(job)))
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def _tokens(self, job: Request) -> AsyncIterator[int]:
        """Give the index of each token of a request when it is out. Raises _LostError where the engine dies."""
        seen, engine = 0, self.simulation.engine
        while True:
            now = self._advance()
            if job.failed:
                raise _LostError
            generated = engine.generated(job)
            for index in range(seen, generated):
                yield index
            seen = generated
            if job.done:
                return
            end = engine.next_step_end
            # An engine that idles takes the request in at once; one that is frozen may thaw or be restarted.
            await asyncio.sleep(min(0.1, max(0.001, end - now if end is not None else 0.0)))


def _error(status: int, kind: str, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": kind, "code": status}}, status=status)


def _cut(request: web.Request) -> web.Response:
    """Drop the connection, as a process that is gone does."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _mark(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["X-Simulated"] = "chimera-top"
    response.headers["Server"] = "uvicorn"


async def start(scenario: Scenario, *, seed: int, clock: Clock, port: int = 0, api_key: str | None = None) -> Server:
    """Let a scenario begin and serve it on loopback until the server is closed.

    With an `api_key`, what lies under /v1 answers 401 without it, as vLLM's does. Raises OSError where the port cannot
    be had.
    """
    server = Server(scenario, seed, clock, api_key)
    await server.listen(port)
    return server


class ServerThread:
    """A server in a thread and an event loop of its own; `serve_in_thread` makes one."""

    def __init__(self, server: Server, thread: threading.Thread, stop: Callable[[], object]) -> None:
        self.url = server.url
        self.gpus = server.gpus
        self.host = server.host
        self._thread = thread
        self._stop = stop

    def close(self) -> None:
        """Stop the server, and wait until it has stopped."""
        self._stop()
        self._thread.join()


def serve_in_thread(
    scenario: Scenario, *, seed: int, clock: Clock, port: int = 0, api_key: str | None = None
) -> ServerThread:
    """Do as `start` does, beside whatever this thread is busy with. Raises OSError where the port cannot be had."""
    server = Server(scenario, seed, clock, api_key)
    ready: Future[Callable[[], object]] = Future()

    async def serve() -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        try:
            await server.listen(port)
        except OSError as error:
            ready.set_exception(error)
            return
        ready.set_result(lambda: loop.call_soon_threadsafe(stopped.set))
        await stopped.wait()
        await server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="simulator", daemon=True)
    thread.start()
    return ServerThread(server, thread, stop=ready.result())
