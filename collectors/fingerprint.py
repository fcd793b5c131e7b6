"""What answers on a port: a few cheap GETs that have no side effect on any server, and what their answers mean.

The metrics page is asked for first, where most have it; only where there is none, what else a server may have: a page
elsewhere, Ollama's loaded models, the list of models that every OpenAI-compatible API has. Never a health check
(SGLang's `/health` runs a prefill). A TensorRT-LLM forgets the steps that it has told at `/metrics`, so that its other
page is asked for first where the process is known for one. No header of the user's goes out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from collectors.answer import Answer
from collectors.engines import identify
from collectors.engines.ollama import PAGE, read_running
from collectors.engines.served import PAGE as MODELS
from collectors.engines.served import read_served
from collectors.engines.trtllm_json import read_steps
from collectors.exposition import Parser
from collectors.programs import USUAL_PORTS, declared, engine_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.answer import Failure
    from collectors.fetch import Fetch
    from collectors.listening import Listener

METRICS = "/metrics"
PROMETHEUS = "/prometheus/metrics"
_PATHS = (METRICS, PROMETHEUS, "/v1/metrics", PAGE, MODELS)
_PATHS_OF = {"ollama": (PAGE,), "trtllm": (PROMETHEUS, METRICS, MODELS)}
"""What is asked for where the process tells what it is; `/v1/metrics` is NIM's."""
NO_METRICS = "present, no metrics: only --probe can watch it"
_NO_PAGE = frozenset({404, 405, 501})
"""What a server answers that has no metrics page: 501 is llama-server without `--metrics`."""
_PAGE_READ = 2**18
"""Bytes of a page that are looked at: the names of a server stand in the first 100 KB of every page known."""
_MAX_PAGE = 4 * 2**20


class Found(Struct, frozen=True):
    """An inference server of this host."""

    url: str
    """What is to be polled: its base, or its metrics page where the base would lead to a worse one."""
    engine: str | None
    """As its dialect is called; None where only a token would tell."""
    pid: int | None
    why: str
    """What it was known by: `its metrics page`, `present, unauthorised`, ..."""


class Said(Struct, frozen=True):
    """What one path answered."""

    status: int | None = None
    """None where no answer came."""
    engine: str | None = None
    why: str = ""
    """What the answer is; `""` where it says nothing of an inference server."""
    last: bool = False
    """Whether nothing else need be asked for."""


class _List(Struct):
    object: Any = None


async def ask(listener: Listener, root: str, deadline: float) -> tuple[Found | None, bool]:
    """Ask what listens at `root` what it is, within so many seconds in all. Raises nothing but CancelledError.

    Gives the server, None where it is none, and whether it answered at all: what did not may be starting.
    """
    from collectors.fetch import Fetch  # noqa: PLC0415 - aiohttp takes 0.1 s that the first paint need not wait

    fetch: Fetch = Fetch(deadline=deadline, max_body=_MAX_PAGE)
    named = engine_of(listener.name, listener.cmdline)
    told: dict[str, Said] = {}
    newest = Said()
    try:
        async with asyncio.timeout(deadline):
            for path in _PATHS_OF.get(named or "", _PATHS):
                # TensorRT-LLM's steps are known by now: is there the page that tells latencies, too?
                if any(each.engine for each in told.values()) and path != PROMETHEUS:
                    break
                newest = Said()
                newest = told[path] = said(path, await fetch.get(root + path, path), named)
                if newest.last:
                    break
    except TimeoutError:
        pass
    finally:
        await fetch.close()
    answered = newest.status in _NO_PAGE or (newest.status is not None and newest.status < 500)
    return judged(listener, root, told), answered


def said(path: str, answer: Answer | Failure, named: str | None) -> Said:
    """Say what an answer means; `named` is the server that the process is known for."""
    if not isinstance(answer, Answer):
        return Said(last=True)
    status = answer.status
    if status != 200:
        return Said(status, last=status not in _NO_PAGE)
    if path == PAGE:
        is_ollama = read_running(answer.body) is not None
        return Said(status, "ollama" if is_ollama else None, "the models that it has loaded" * is_ollama, is_ollama)
    return _models(answer.body, named) if path == MODELS else _page(answer.body, named)


def _page(body: bytes, named: str | None) -> Said:
    """Tell the engine from a metrics page."""
    start = body if len(body) <= _PAGE_READ else body[: body.rfind(b"\n", 0, _PAGE_READ) + 1]
    page = Parser().parse(start)
    dialect = identify(page)
    if dialect is not None:
        return Said(200, dialect.engine, "its metrics page", last=True)
    if page.samples:  # somebody else's
        return Said(200, last=True)
    steps = read_steps(body)
    if steps is None:
        return Said(200, last=True)
    # An empty list is what a TensorRT-LLM says that has nothing to tell, and many another server.
    return Said(200, "trtllm" if steps.gauges or named == "trtllm" else None, "the steps that it tells")


def _models(body: bytes, named: str | None) -> Said:
    """Tell an OpenAI-compatible API from its list of models."""
    served = read_served(body, "")
    # Many an API lists something as `data`; OpenAI's says what it is.
    if served is None or msgspec.json.decode(body, type=_List).object != "list":
        return Said(200, last=True)
    return Said(200, named or served[0].engine, NO_METRICS, last=True)


def judged(listener: Listener, root: str, told: Mapping[str, Said]) -> Found | None:
    """Say what a listener is by what it told, by path; None where it is no inference server.

    A server whose process and port say what it is, is present whatever it answers: one that hangs must not go unseen.
    """
    for path in (PROMETHEUS, METRICS, "/v1/metrics", PAGE):
        if path in told and (engine := told[path].engine) is not None:
            return Found(root + path * (path == PROMETHEUS), engine, listener.pid, told[path].why)
    models, named = told.get(MODELS, Said()), engine_of(listener.name, listener.cmdline)
    if models.why:
        # Nobody else answers `/metrics` with a list.
        steps = told.get(METRICS, Said()).why
        return Found(root, "trtllm" if steps else models.engine, listener.pid, steps or models.why)
    refused = any(each.status in {401, 403} for each in told.values())
    if refused and (named is not None or (listener.pid is None and listener.port in USUAL_PORTS)):
        return Found(root, named, listener.pid, "present, unauthorised")
    if not declared(listener):
        return None
    status = next((each.status for each in told.values()), None)
    what = "no answer of use" if status is None else f"{status} from its metrics page"
    return Found(root, named, listener.pid, f"its process and its port; {what}")
