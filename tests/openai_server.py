"""An OpenAI-compatible server on loopback that answers what a function of the prompt says."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away while it is answered is what some tests are about."""


class Model:
    """`say` answers a prompt: with a text, with the whole JSON body, with raw bytes, or with (status, raw bytes)."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        """Path, headers (names in lower case) and body of every request."""
        self.say: Callable[[str], Any] = lambda _: "I do not know."
        self.owned_by = "vllm"
        self.embed: Callable[[str], list[float]] | None = None
        self.finish = "stop"
        self.cached: Callable[[dict[str, Any]], int | None] = lambda _: None
        self.logprobs: Callable[[dict[str, Any]], Any] = lambda _: None
        """What stands in `logprobs` of the answer to a body that asks for it."""
        self.refuses = ""
        """A field that it answers with 400."""
        self.models: tuple[int, bytes] | None = None
        self.instead: dict[str, tuple[int, bytes]] = {}
        """What a path answers whatever is asked."""
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(*model.get(self.path, dict(self.headers.items())))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(*model.post(self.path, dict(self.headers.items()), body))

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name that is overridden
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.01), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def asked(self) -> list[str]:
        """The prompts, in the order in which they came."""
        return [_prompt(body) for path, _, body in self.requests if path.endswith("completions")]

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for each, _, body in self.requests if each == path]

    def get(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        self.requests.append((path, {name.lower(): value for name, value in headers.items()}, {}))
        if path != "/v1/models":
            return 404, b"{}"
        return self.models or (200, json.dumps({"data": [{"id": "tiny", "owned_by": self.owned_by}]}).encode())

    def post(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, bytes]:
        self.requests.append((path, {name.lower(): value for name, value in headers.items()}, body))
        if path in self.instead or (self.refuses and self.refuses in body):
            return self.instead.get(path, (400, b'{"error": {"message": "unknown field"}}'))
        if path == "/v1/embeddings" and self.embed:
            rows = [{"index": index, "embedding": self.embed(text)} for index, text in enumerate(body["input"])]
            return 200, json.dumps({"data": rows[::-1]}).encode()
        if path not in {"/v1/chat/completions", "/v1/completions"}:
            return 404, b'{"detail": "Not Found"}'
        said = self.say(_prompt(body))
        if isinstance(said, tuple):
            return said
        if isinstance(said, bytes):
            return 200, said
        return 200, json.dumps(said if isinstance(said, dict) else self._completion(path, body, said)).encode()

    def _completion(self, path: str, body: dict[str, Any], text: str) -> dict[str, Any]:
        choice: dict[str, Any] = {"finish_reason": self.finish, "index": 0}
        if path == "/v1/chat/completions":
            choice["logprobs"] = self.logprobs(body) if body.get("logprobs") else None
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        usage: dict[str, Any] = {"prompt_tokens": 10, "completion_tokens": 3}
        if (cached := self.cached(body)) is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": cached}
        return {"choices": [choice], "usage": usage}


def _prompt(body: dict[str, Any]) -> str:
    if "messages" in body:
        return str(body["messages"][0]["content"])
    return str(body["prompt"]).removesuffix("\nAnswer:")
