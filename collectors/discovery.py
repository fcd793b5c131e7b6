"""Finding the inference servers of this host: from what listens, by its process and its port, and one GET of each.

The GET is that of `/metrics`, and never another: SGLang's `/health` runs a prefill. A TensorRT-LLM forgets the steps
that it has told there, so that what answers with JSON is not asked a second time. No header of the user's goes out.
"""

from __future__ import annotations

import asyncio
import re
from itertools import groupby
from pathlib import PurePath
from typing import TYPE_CHECKING

from msgspec import Struct

from collectors.answer import Answer
from collectors.engines import identify
from collectors.engines.trtllm_json import read_steps
from collectors.exposition import Parser

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collectors.fetch import Fetch
    from collectors.listening import Listener

MOST = 32
"""Listeners that are asked at most, the likeliest first."""
DEADLINE = 0.6
"""Seconds that each may take, all at once: with the listing and the reading of pages the whole stays below 1 s."""
_PAGE_READ = 2**18
"""Bytes of a page that are looked at: the names of a server stand in the first 100 KB of every page known."""
_MAX_PAGE = 4 * 2**20

_ENGINES = {
    "sglang-router": re.compile(r"sglang[_-]router|sgl-model-gateway|smg$"),
    "sglang": re.compile(r"sglang(\b|_)"),
    "vllm": re.compile(r"vllm\b"),
    "llamacpp": re.compile(r"llama-server\b|llama_cpp\.server\b"),
    "tgi": re.compile(r"text[-_]generation[-_](router|launcher|server)"),
    "trtllm": re.compile(r"trtllm-serve\b|tensorrt_llm\b"),
    "triton": re.compile(r"tritonserver\b"),
    "ollama": re.compile(r"ollama\b"),
    "lmdeploy": re.compile(r"lmdeploy\b"),
    "litellm": re.compile(r"litellm\b"),
    "dynamo": re.compile(r"dynamo\b"),
    "ray": re.compile(r"ray(::|\b)"),
}
"""How the program of a process begins, in lower case; what another one's name begins with comes later."""
_PORTS = {
    "vllm": 8000,
    "sglang": 30000,
    "sglang-router": 29000,
    "llamacpp": 8080,
    "tgi": 3000,
    "trtllm": 8000,
    "triton": 8002,
    "ollama": 11434,
    "lmdeploy": 23333,
    "litellm": 4000,
    "dynamo": 8000,
}
"""Where each serves its metrics when nobody told it otherwise."""
_PORT_FLAGS = {"triton": "--metrics-port", "sglang-router": "--prometheus-port"}
"""What names that port on the command line, where it is not `--port`."""
_MAYBE = re.compile(
    r"(python|pypy|uvicorn|gunicorn|hypercorn|granian|docker-proxy|rootlessport|conmon|slirp|nginx|envoy)"
)
"""Programs behind which an inference server may be: an interpreter, a web server, what publishes a container's port."""
_FOREIGN = frozenset(
    {21, 22, 25, 53, 110, 111, 139, 143, 389, 445, 587, 631, 636, 873, 993, 995, 1433, 1521, 2049, 2181, 2375, 2376}
    | {2379, 2380, 3306, 3389, 5355, 5432, 5672, 5900, 6379, 6443, 6817, 6818, 9042, 9092, 9100, 9200, 9300, 10250}
    | {11211, 15672, 26379, 27017}
)
"""Ports of something else: shells, mail, databases, queues, clusters; and printers, for 9100 prints what it gets."""


class Found(Struct, frozen=True):
    """An inference server of this host."""

    url: str
    engine: str | None
    """As its dialect is called; None where only a token would tell."""
    pid: int | None
    why: str
    """What it was known by: `its metrics page`, `present, unauthorised`, ..."""


def engine_of(listener: Listener) -> str | None:
    """Tell which server a process is, by its program: the executable, or the module or script that Python runs.

    The other arguments say nothing: a path or a model may be called like a server.
    """
    arguments = listener.cmdline
    if not arguments:
        named = [listener.name]
    else:
        first = PurePath(arguments[0]).name
        named = [_script(arguments[1:])] if first.startswith(("python", "pypy")) else [first]
        named.append(listener.name)
    for program in map(str.lower, named):
        for engine, pattern in _ENGINES.items():
            if pattern.match(program):
                # `ollama runner` is the child that holds one model: it has no page, and its parent speaks for it.
                return None if engine == "ollama" and "runner" in arguments[1:2] else engine
    return None


def _script(arguments: Sequence[str]) -> str:
    """Name what an interpreter runs: `-m MODULE`, or the first argument that is no flag."""
    for index, argument in enumerate(arguments):
        if argument == "-m":
            return next(iter(arguments[index + 1 :]), "")
        if argument == "-c":
            return ""
        if not argument.startswith("-"):
            return PurePath(argument).name
    return ""


def declared(listener: Listener) -> bool:
    """Tell whether this is the port on which the process serves, by its command line, else by its usual port.

    An engine listens on others as well, for its workers: they speak no HTTP.
    """
    engine = engine_of(listener)
    if engine not in _PORTS:
        return False
    flag = _PORT_FLAGS.get(engine, "--port")
    pairs = zip(listener.cmdline, (*listener.cmdline[1:], ""), strict=True)
    values = [after if each == flag else each.partition("=")[2] for each, after in pairs if each.split("=")[0] == flag]
    return str(listener.port) == values[-1] if values else listener.port == _PORTS[engine]


def likelihood(listener: Listener) -> int | None:
    """Rank a listener by how likely it is an inference server, 0 first; None for what is none."""
    if declared(listener):
        return 0
    if engine_of(listener) is not None:
        return 1
    if listener.port in _FOREIGN:
        return None
    program = PurePath(listener.cmdline[0]).name if listener.cmdline else listener.name
    maybe = not program or _MAYBE.match(program.lower()) is not None
    if listener.port in _PORTS.values():
        return 2
    return 3 if maybe else None


def candidates(listeners: Iterable[Listener], own: int | None = None) -> list[Listener]:
    """List what is worth a request, MOST at most, the likeliest first, each server once; nothing of process `own`."""
    ranked = [
        (rank, each)
        for each in merged(each for each in listeners if own is None or each.pid != own)
        if (rank := likelihood(each)) is not None
    ]
    ranked.sort(key=lambda pair: (pair[0], pair[1].port, pair[1].address))
    return [each for _, each in ranked[:MOST]]


def merged(listeners: Iterable[Listener]) -> list[Listener]:
    """Bring together the addresses on which one process listens on one port, so that no server is counted twice.

    The address from which the host itself is reached best is kept: loopback or all of IPv4, then of IPv6, then others.
    On loopback two processes of one name count as one: Docker publishes a port by one proxy for IPv4 and one for IPv6.
    """
    kept: list[Listener] = []
    for _, group in groupby(sorted(listeners, key=lambda each: each.port), key=lambda each: each.port):
        seen: set[int | str] = set()
        for each in sorted(group, key=lambda each: (_host(each.address)[0], each.address, each.pid or 0)):
            place, host = _host(each.address)
            # Several processes may share one address (SO_REUSEPORT): a request reaches whichever the kernel picks.
            same: set[int | str] = {host}
            if each.pid is not None:
                same.add(each.pid)
            if place < 2:
                same.add(f"loopback {each.name}")
            if not seen & same:
                kept.append(each)
            seen |= same
    return kept


def _host(address: str) -> tuple[int, str]:
    """Say how an address is reached from the host itself: 0 by 127.0.0.1, 1 by ::1, 2 by nothing but itself."""
    plain = address.partition("%")[0].removeprefix("::ffff:")
    if plain in {"0.0.0.0", "127.0.0.1"}:  # noqa: S104 - nothing is bound here: this is what another process bound
        return 0, "127.0.0.1"
    if plain in {"::", "::1"}:
        return 1, "[::1]"
    return 2, f"[{plain}]" if ":" in plain else plain


def url_of(listener: Listener) -> str:
    """Write where a listener is reached; by TLS where its command line names a key for it."""
    secure = any(each.startswith(("--ssl-keyfile", "--ssl-key-file", "--ssl-certfile")) for each in listener.cmdline)
    return f"{'https' if secure else 'http'}://{_host(listener.address)[1]}:{listener.port}"


async def discover(listeners: Sequence[Listener], own: int | None = None) -> list[Found]:
    """Ask what is worth asking, all at once, and list the inference servers, the likeliest first. Raises nothing."""
    found = await asyncio.gather(*map(_ask, candidates(listeners, own)))
    return [each for each in found if each is not None]


async def _ask(listener: Listener) -> Found | None:
    from collectors.fetch import Fetch  # noqa: PLC0415 - aiohttp takes 0.1 s that the first paint need not wait

    fetch: Fetch = Fetch(deadline=DEADLINE, max_body=_MAX_PAGE)
    page = f"{url_of(listener)}/metrics"
    try:
        answer = await fetch.get(page, page)
    finally:
        await fetch.close()
    return judged(listener, answer if isinstance(answer, Answer) else None)


def judged(listener: Listener, answer: Answer | None) -> Found | None:
    """Say what a listener is by its answer to the GET, None where none came; None where it is no inference server.

    A server whose process and port say what it is, is present whatever it answers: one that hangs must not go unseen.
    """
    url, named = url_of(listener), engine_of(listener)
    if answer is not None and answer.status == 200:
        engine, why = _read(answer.body, named)
        if engine is not None:
            return Found(url, engine, listener.pid, why)
    refused = answer is not None and answer.status in {401, 403}
    if refused and (named is not None or (listener.pid is None and listener.port in _PORTS.values())):
        return Found(url, named, listener.pid, "present, unauthorised")
    if not declared(listener):
        return None
    said = "no answer of use" if answer is None else f"{answer.status} from its metrics page"
    return Found(url, named, listener.pid, f"its process and its port; {said}")


def _read(body: bytes, named: str | None) -> tuple[str | None, str]:
    """Tell the engine from a page; None where the page is none of an inference server."""
    start = body if len(body) <= _PAGE_READ else body[: body.rfind(b"\n", 0, _PAGE_READ) + 1]
    dialect = identify(Parser().parse(start))
    if dialect is not None:
        return dialect.engine, "its metrics page"
    # An empty list is what a TensorRT-LLM says that has nothing to tell, and many another server.
    if (steps := read_steps(body)) is not None and (steps.gauges or named == "trtllm"):
        return "trtllm", "the steps that it tells"
    return None, ""
