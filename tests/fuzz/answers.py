"""Answers in JSON: what facts endpoints say, steps of a TensorRT-LLM, replies to questions, and what discovery asks."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING
from unittest.mock import patch

import msgspec

from collectors.answer import Answer, nothing_there, quote, refusal
from collectors.discovery import discover
from collectors.engines import DIALECTS
from collectors.engines.ollama import OLLAMA, read_running
from collectors.engines.trtllm_json import read_steps
from collectors.listening import Listener
from collectors.quality.chat import Chat
from insight.quality.grading import grade
from metrics.quality import Item, Reply
from metrics.sample import Sample, Source
from tests.fuzz import corpus
from tests.fuzz.case import drawn_from
from tests.fuzz.files import ITEMS
from tests.fuzz.invariants import is_harmless, leaves, sound_sample
from tests.fuzz.mutation import TEXTS, mutated, mutated_json

if TYPE_CHECKING:
    from random import Random

    from collectors.engines.dialect import Reading

_URL = "http://127.0.0.1:8000"
_PROGRAMS = (
    (b"python3", b"-m", b"vllm.entrypoints.openai.api_server", b"--port", b"8000"),
    (b"/usr/bin/llama-server", b"-m", b"model.gguf", b"--port=8080", b"--ssl-key-file", b"k"),
    (b"ollama", b"serve"),
    (b"trtllm-serve", b"model"),
    (b"nginx: worker process",),
    (),
)


def make(random: Random) -> list[bytes]:
    """Make an answer, and behind it the arguments of the process that gave it."""
    if random.random() < 0.2:
        body = mutated(corpus.any_page(random), random)
    else:
        body = mutated_json(random.choice(corpus.JSON_ANSWERS), random)
    program = [each if random.random() < 0.8 else random.choice(TEXTS) for each in random.choice(_PROGRAMS)]
    return [body, *program]


def run(pieces: list[bytes]) -> None:
    """Read it in every way in which an answer is read."""
    body, *program = pieces
    random = drawn_from(pieces)
    for dialect in (*DIALECTS, OLLAMA):
        for endpoint in dialect.endpoints:
            _sound(endpoint.read(body))
    before: dict[str, float] = {}
    for _ in range(2):
        steps = read_steps(body, before)
        if steps is not None:
            _sound(steps)
            assert all(value >= before.get(name, 0.0) for name, value in steps.counters.items())
            before = steps.counters
    if (running := read_running(body)) is not None:
        _sound(running)
    answer = Answer(random.choice((200, 401, 404, 500, 501, 503)), "application/json", body)
    _sound_reasons(answer)
    _discovered(answer, program, random)
    _asked(answer, random)


def _sound(reading: Reading) -> None:
    sound_sample(
        Sample(
            _URL,
            Source.SERVER,
            1.8e9,
            1.0,
            counters=reading.counters,
            gauges=reading.gauges,
            histograms=reading.histograms,
            facts=reading.facts,
            missing=reading.missing,
        )
    )


def _sound_reasons(answer: Answer) -> None:
    assert is_harmless(quote(answer.body))
    assert is_harmless(nothing_there(answer.body, _URL).reason)
    failure = refusal(answer, _URL)
    assert failure is None or is_harmless(failure.reason)


def _discovered(answer: Answer, program: list[bytes], random: Random) -> None:
    arguments = tuple(each.decode("utf-8", "surrogateescape") for each in program)
    name = arguments[0] if arguments else ""
    listeners = [
        Listener("127.0.0.1", port, pid, name, arguments)
        for pid, port in ((7, 8000), (None, random.choice((8000, 9999))))
    ]
    with patch("collectors.fetch.Fetch", lambda *_, **__: _Server(answer)):
        found = asyncio.run(discover(listeners))
    for path, leaf in leaves(msgspec.to_builtins(found), "found"):
        assert not isinstance(leaf, str) or is_harmless(leaf), (path, leaf)


class _Server:
    """Answers in the place of `collectors.fetch.Fetch`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def get(self, _url: str, _shown: str, _deadline: float | None = None) -> Answer:
        return self._answer

    async def post(self, _url: str, _shown: str, _data: bytes, _deadline: float | None = None) -> Answer:
        return self._answer

    async def close(self) -> None:
        """Nothing is open."""


def _asked(answer: Answer, random: Random) -> None:
    """Ask as the canary does, and grade what is answered."""
    chat = Chat(_URL, _URL, _Server(answer))  # type: ignore[arg-type] # it is asked for no more than this
    reply = asyncio.run(chat.ask("1 + 1 = ?", 8))
    if not isinstance(reply, Reply):
        assert is_harmless(reply.reason)
        return
    tokens = (reply.prompt_tokens, reply.output_tokens, reply.cached_tokens or 0)
    assert all(0 <= each < 2**53 for each in tokens), reply
    graded = grade(msgspec.json.decode(random.choice(ITEMS), type=Item), reply)
    assert graded.f1 is None or (math.isfinite(graded.f1) and 0 <= graded.f1 <= 1)
