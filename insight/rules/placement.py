"""Which GPU works for which server, as processes tell it: by pid, else by name, else because there is only one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from metrics.sample import Process, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.view import SourceView, View

ENGINE_NAMES = (
    "vllm",
    "sglang",
    "llama-server",
    "text-generation",
    "tritonserver",
    "trtllm",
    "lmdeploy",
    "ollama",
)
"""How the processes of inference engines are called, in lower case; `python3` may be anything."""


class Tenants(Struct, frozen=True):
    """The processes on one GPU."""

    servers: dict[str, list[Process]]
    """Those of servers that are watched, by the server's id."""
    engines: list[Process]
    """Those that by their name are an inference engine's, and of no server that is watched."""
    others: list[Process]
    """Those that are named and are none of these."""
    nameless: list[Process]
    """Those of which nothing but the pid can be seen."""


def tenants(gpu: SourceView) -> Tenants:
    """Tell the processes on a GPU apart."""
    found = Tenants({}, [], [], [])
    processes = gpu.newest_ok.processes if gpu.newest_ok else ()
    if not processes:
        return found
    owners = _owners(gpu.view)
    for each in processes:
        if (owner := owners.get(each.pid)) is not None:
            found.servers.setdefault(owner, []).append(each)
        elif each.name is None:
            found.nameless.append(each)
        else:
            is_engine = any(name in each.name.lower() for name in ENGINE_NAMES)
            (found.engines if is_engine else found.others).append(each)
    return found


def server_on(gpu: SourceView) -> SourceView | None:
    """Find the one server that works on a GPU: by its processes, or because it is the only one and the GPU is in use.

    None where there is none, and where it cannot be told which it is.
    """
    view = gpu.view
    here = tenants(gpu)
    if here.servers:
        return view.of(next(iter(here.servers))) if len(here.servers) == 1 else None
    only = view.ids(Source.SERVER)
    return view.of(only[0]) if len(only) == 1 and (here.engines or here.others or here.nameless) else None


def gpus_of(server: SourceView) -> list[SourceView]:
    """List the GPUs that a server works on: its tensor-parallel group, as far as it can be told."""
    return [gpu for gpu in server.view.all(Source.GPU) if (on := server_on(gpu)) is not None and on.id == server.id]


def used_by(server: SourceView) -> list[SourceView]:
    """List the GPUs that a server works on, those among them that it shares with other servers."""
    own = {gpu.id for gpu in gpus_of(server)}
    return [gpu for gpu in server.view.all(Source.GPU) if gpu.id in own or server.id in tenants(gpu).servers]


def is_shared(gpu: SourceView) -> bool | None:
    """Tell whether more than one server's processes run on a GPU; None where one without a name may be anybody's."""
    here = tenants(gpu)
    if len(here.servers) > 1 or here.engines or here.others:
        return True
    return None if here.nameless else False


def name(gpu: SourceView) -> str:
    """Name a GPU as people do: `GPU 3`."""
    newest = gpu.newest
    ok = gpu.newest_ok
    return f"GPU {newest.facts.get('index') or (ok.facts.get('index') if ok else None) or gpu.id}"


def span(gpus: list[SourceView]) -> str:
    """Name several: `GPUs 0-7`, `GPUs 0, 2`."""
    indexes = [gpu.facts.get("index", "") for gpu in gpus]
    if not all(each.isdecimal() for each in indexes):
        return f"{len(gpus)} GPUs"
    numbers = sorted({int(each) for each in indexes})
    whole = len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1
    return f"GPUs {numbers[0]}-{numbers[-1]}" if whole else f"GPUs {', '.join(map(str, numbers))}"


def _owners(view: View) -> dict[int, str]:
    return dict(_owned(view))


def _owned(view: View) -> Iterator[tuple[int, str]]:
    for server in view.all(Source.SERVER):
        for process in server.newest_ok.processes if server.newest_ok else ():
            yield process.pid, server.id
