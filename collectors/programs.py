"""Which inference server a process is, by its program, and on which port it serves, by its command line."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.listening import Listener

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
_ANY_ENGINE = re.compile("|".join(each.pattern for each in _ENGINES.values()))
"""Asked first: of hundreds of processes few are a server."""
_WORKERS = re.compile(r"vllm::(worker|engine|dpcoordinator)|sglang::(scheduler|detokenizer|data_parallel)")
"""How the processes of an engine that serve nobody call themselves."""
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
USUAL_PORTS = frozenset(_PORTS.values())
_PORT_FLAGS = {"triton": "--metrics-port", "sglang-router": "--prometheus-port"}
"""What names that port on the command line, where it is not `--port`."""
_PUBLISHES = re.compile(r"docker-proxy|rootless|conmon|slirp|pasta")
"""Programs that publish the ports of a container."""
_MAYBE = re.compile(r"python|pypy|uvicorn|gunicorn|hypercorn|granian|nginx|envoy")
"""Programs behind which an inference server may be: an interpreter, a web server."""
_FOREIGN = frozenset(
    {21, 22, 25, 53, 110, 111, 139, 143, 389, 445, 587, 631, 636, 873, 993, 995, 1433, 1521, 2049, 2181, 2375, 2376}
    | {2379, 2380, 3306, 3389, 5355, 5432, 5672, 5900, 6379, 6443, 6817, 6818, 9042, 9092, 9100, 9200, 9300, 10250}
    | {11211, 15672, 26379, 27017}
)
"""Ports of something else: shells, mail, databases, queues, clusters; and printers, for 9100 prints what it gets."""


def engine_of(name: str, cmdline: Sequence[str]) -> str | None:
    """Tell which server a process is, by its program: the executable, or the module or script that Python runs.

    The other arguments say nothing: a path or a model may be called like a server.
    """
    if not cmdline:
        named = [name]
    else:
        first = PurePath(cmdline[0]).name
        named = [_script(cmdline[1:])] if first.startswith(("python", "pypy")) else [first]
        named.append(name)
    for program in map(str.lower, named):
        if not _ANY_ENGINE.match(program):
            continue
        for engine, pattern in _ENGINES.items():
            if pattern.match(program):
                # `ollama runner` is the child that holds one model: it has no page, and its parent speaks for it.
                return None if engine == "ollama" and "runner" in cmdline[1:2] else engine
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


def flag_of(cmdline: Sequence[str], flag: str) -> str | None:
    """Read the value of a flag, written `--flag VALUE` or `--flag=VALUE`; the last one wins, None where it is none."""
    pairs = zip(cmdline, (*cmdline, "")[1:], strict=True)
    values = [after if each == flag else each.partition("=")[2] for each, after in pairs if each.split("=")[0] == flag]
    return values[-1] if values else None


def declared(listener: Listener) -> bool:
    """Tell whether this is the port on which the process serves, by its command line, else by its usual port.

    An engine listens on others as well, for its workers: they speak no HTTP.
    """
    engine = engine_of(listener.name, listener.cmdline)
    if engine not in _PORTS:
        return False
    value = flag_of(listener.cmdline, _PORT_FLAGS.get(engine, "--port"))
    return listener.port == _PORTS[engine] if value is None else str(listener.port) == value


def likelihood(listener: Listener) -> int | None:
    """Rank a listener by how likely it is an inference server, 0 first; None for what is none and for its workers.

    0: a server, on the port on which it serves. 1: another port of a server. 2: a port that servers use, or one of a
    container. 3: a program behind which one may be.
    """
    if engine_of(listener.name, listener.cmdline) is not None:
        if _WORKERS.match(next(iter(listener.cmdline), listener.name).lower()):
            return None
        return 0 if declared(listener) else 1
    if listener.port in _FOREIGN:
        return None
    program = (PurePath(listener.cmdline[0]).name if listener.cmdline else listener.name).lower()
    if listener.port in USUAL_PORTS or _PUBLISHES.match(program):
        return 2
    return 3 if not program or _MAYBE.match(program) else None
