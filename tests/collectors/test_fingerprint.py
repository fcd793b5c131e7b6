"""`collectors.fingerprint`: what answers on a port, by a few GETs without side effects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.answer import Answer
from collectors.engines.served import PAGE as MODELS
from collectors.fingerprint import METRICS, NO_METRICS, PROMETHEUS, Found, Said, ask, judged, said
from collectors.listening import Listener

if TYPE_CHECKING:
    from tests.collectors.conftest import Web

VLLM = ("/opt/venv/bin/python3", "/opt/venv/bin/vllm", "serve", "some/model", "--port", "9001")
NIM = b"num_requests_running 1\nnum_request_max 256\ngpu_cache_usage_perc 0.1\n"
TRTLLM = b"# TYPE trtllm_num_requests_running gauge\ntrtllm_num_requests_running 1\n"
STEPS = b'[{"iter": 7, "numActiveRequests": 2, "gpuMemUsage": 1}]'
LIST = b'{"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "%s"}]}'
ALL = ["/metrics", "/prometheus/metrics", "/v1/metrics", "/api/ps", "/v1/models"]


def asked(web: Web, *cmdline: str, deadline: float = 20.0) -> tuple[Found | None, bool]:
    listener = Listener("127.0.0.1", web.port, 7 if cmdline else None, cmdline[0] if cmdline else "", cmdline)
    return asyncio.run(ask(listener, web.url, deadline))


# --- what is asked, and found


def test_a_nim_is_found_at_its_page(web: Web) -> None:
    """What answers 404 at /metrics is asked for the page that NIM has."""
    web.answer("/v1/metrics", NIM)
    assert asked(web) == (Found(web.url, "nim", None, "its metrics page"), True)
    assert web.paths == ["/metrics", "/prometheus/metrics", "/v1/metrics"]


def test_an_ollama_is_found_by_its_models(web: Web) -> None:
    """An Ollama has no page; the models that it has loaded tell it, asked for at once where its process is known."""
    web.answer("/api/ps", b'{"models": []}', content_type="application/json")
    assert asked(web) == (Found(web.url, "ollama", None, "the models that it has loaded"), True)
    assert web.paths == ALL[:4]
    web.requests.clear()
    assert asked(web, "ollama", "serve") == (Found(web.url, "ollama", 7, "the models that it has loaded"), True)
    assert web.paths == ["/api/ps"]


def test_the_steps_of_a_tensorrt_llm_are_not_taken_where_its_process_is_known(web: Web) -> None:
    """Its other page is read first, which nobody else loses anything by, and is what is polled from then on."""
    web.answer("/metrics", STEPS, content_type="application/json")
    web.answer("/prometheus/metrics", TRTLLM)
    url = f"{web.url}/prometheus/metrics"
    assert asked(web, "trtllm-serve", "m") == (Found(url, "trtllm", 7, "its metrics page"), True)
    assert web.paths == ["/prometheus/metrics"]


def test_the_better_page_of_a_tensorrt_llm_is_taken(web: Web) -> None:
    """One that is known by its steps is asked whether it has the page that tells latencies, for that is polled."""
    web.answer("/metrics", STEPS, content_type="application/json")
    web.answer("/prometheus/metrics", TRTLLM)
    found, _ = asked(web)
    assert found == Found(f"{web.url}/prometheus/metrics", "trtllm", None, "its metrics page")
    assert web.paths == ["/metrics", "/prometheus/metrics"]


def test_steps_that_are_drained_by_reading_are_read_once(web: Web) -> None:
    """A TensorRT-LLM without the other page is recognised by one GET of the steps that it then forgets."""
    web.answer("/metrics", STEPS, content_type="application/json")
    assert asked(web) == (Found(web.url, "trtllm", None, "the steps that it tells"), True)
    assert web.paths == ["/metrics", "/prometheus/metrics"]


def test_a_tensorrt_llm_with_nothing_to_tell_is_known_by_its_models(web: Web) -> None:
    """An empty list at /metrics says little; beside the list of models of an inference server it says enough."""
    web.answer("/metrics", b"[]", content_type="application/json")
    assert asked(web) == (None, True)
    web.answer("/v1/models", LIST % b"tensorrt_llm", content_type="application/json")
    assert asked(web) == (Found(web.url, "trtllm", None, "the steps that it tells"), True)


@pytest.mark.parametrize(
    ("owner", "engine"), [(b"someone", "openai"), (b"sglang", "sglang"), (b"llamacpp", "llamacpp")]
)
def test_an_api_without_metrics_is_present(web: Web, owner: bytes, engine: str) -> None:
    """What serves OpenAI's list of models and no metrics at all is named, by the engine where the list tells it."""
    web.answer("/v1/models", LIST % owner, content_type="application/json")
    assert asked(web) == (Found(web.url, engine, None, NO_METRICS), True)
    assert web.paths == ALL


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"object": "list"}',
        b'{"data": [{"id": "m"}]}',
        b"<html>",
        b'{"object": "x", "data": []}',
        b'{"object": 1, "data": []}',
        b"[",
    ],
)
def test_another_api_is_none(web: Web, body: bytes) -> None:
    """JSON that is no list of models, or a web page, makes no inference server, and is not asked again."""
    web.answer("/v1/models", body, content_type="application/json")
    assert asked(web) == (None, True)


def test_a_web_page_for_every_path_is_none(web: Web) -> None:
    """An application that answers whatever it is asked for with its start page is none, and is asked once."""
    for path in ALL:
        web.answer(path, b"<!doctype html><html></html>", content_type="text/html")
    assert asked(web) == (None, True)
    assert web.paths == ["/metrics"]


def test_metrics_of_something_else_settle_it(web: Web) -> None:
    """An exporter is asked for nothing more than its page."""
    web.answer("/metrics", b"node_load1 0.5\n")
    assert asked(web) == (None, True)
    assert web.paths == ["/metrics"]


@pytest.mark.parametrize("status", [401, 500, 502, 503])
def test_what_refuses_or_fails_is_asked_once(web: Web, status: int) -> None:
    """Behind a refusal, or a proxy without its server, other paths are of no use; the latter may be asked later."""
    web.answer("/metrics", b"", status=status)
    assert asked(web) == (None, status == 401)
    assert web.paths == ["/metrics"]


def test_what_does_not_answer_in_time_did_not_answer(web: Web) -> None:
    """All GETs of one server together have the deadline of one."""

    async def stall(_writer: object) -> None:
        await asyncio.Event().wait()

    web.reply("/v1/metrics", stall)
    assert asked(web, deadline=0.2) == (None, False)
    assert web.paths == ALL[:3]


# --- what it means


@pytest.mark.parametrize(
    ("listener", "answer", "expected"),
    [
        (Listener("127.0.0.1", 9001, 1, "vllm", VLLM), None, "its process and its port; no answer of use"),
        (Listener("127.0.0.1", 43211, 1, "vllm", VLLM), None, None),
        (Listener("127.0.0.1", 9001, 1, "vllm", VLLM), Answer(401, "", b""), "present, unauthorised"),
        (Listener("127.0.0.1", 4000), Answer(401, "", b""), "present, unauthorised"),
        (Listener("127.0.0.1", 41234), Answer(401, "", b""), None),
        (Listener("127.0.0.1", 8000, 1, "jupyter", ("jupyter",)), Answer(403, "", b""), None),
        (
            Listener("127.0.0.1", 8080, 1, "llama-server", ("llama-server",)),
            Answer(501, "", b""),
            "its process and its port; 501 from its metrics page",
        ),
        (Listener("127.0.0.1", 8000), Answer(404, "", b""), None),
        (Listener("127.0.0.1", 8000), Answer(200, "", b"[]"), None),
        (Listener("127.0.0.1", 8000), Answer(200, "", b"node_load1 0.5\n"), None),
        (Listener("127.0.0.1", 8000), Answer(200, "", b"llamacpp:requests_processing 1\n"), "its metrics page"),
        (Listener("127.0.0.1", 41234, 1, "", ("trtllm-serve",)), Answer(200, "", b"[]"), "the steps that it tells"),
    ],
)
def test_an_answer_is_judged_with_what_is_known_of_the_process(
    listener: Listener, answer: Answer | None, expected: str | None
) -> None:
    """A page tells by itself; anything else only where process and port say that an inference server is there."""
    named = "trtllm" if "trtllm-serve" in listener.cmdline else None
    told = {METRICS: said(METRICS, answer, named)} if answer is not None else {}
    found = judged(listener, "http://x", told)
    assert (found.why if found else None) == expected


@given(st.sampled_from([METRICS, PROMETHEUS, "/api/ps", MODELS]), st.integers(100, 599), st.binary(max_size=200))
def test_no_answer_makes_it_fail(path: str, status: int, body: bytes) -> None:
    """Whatever comes back, something is made of it, and bytes are no inference server."""
    found = said(path, Answer(status, "text/plain", body), None)
    assert isinstance(found, Said)
    assert judged(Listener("127.0.0.1", 41234), "http://x", {path: found}) is None or found.engine or found.why
