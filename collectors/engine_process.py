"""The process behind a server of this host: its flags, and the processes that belong to it.

The port tells the process that listens on it, and that the tree it stands in: vLLM's engine core and workers, SGLang's
schedulers and Ollama's runners are children of what listens, TGI's shards its siblings below one launcher. The workers
of Ray are not found, for they are children of its raylet. Seen from the host, the processes of containers have the pids
by which the driver knows them; from inside a container they have others, and are found on no GPU.
"""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from collectors.clean import clean
from collectors.command_line import flags, more_flags_in
from collectors.engine_flags import FLAGS
from collectors.programs import engine_of
from metrics.quantity import impossibility
from metrics.sample import Missing, Process, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from collectors.collector import Collector
    from collectors.listening import Listener
    from collectors.processes import Around, Processes, Running
    from metrics.sample import Sample, Source

MOST = 256
"""Processes of one server that are named at most."""
_WHAT = "flags and processes of the server"
_CONSEQUENCE = "advice cannot say what is set, nor can it be said on which GPUs it runs"


class EngineProcess:
    """Polls as `collector` does, and adds flags and processes of the server at `url` where that runs on this host.

    What the server itself says wins. A poll waits for nothing of this: `processes` looks for it aside, and a poll takes
    what was found last.
    """

    def __init__(self, collector: Collector, url: str, processes: Processes) -> None:
        self._collector = collector
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._processes = processes
        self._engine = ""
        self._seen: tuple[State, float | None] | None = None
        self._found = Found()
        self._found_in: tuple[Around | None, str] = (None, "")

    @property
    def name(self) -> str:
        """Identity of the source."""
        return self._collector.name

    @property
    def kind(self) -> Source:
        """What kind of thing the source is."""
        return self._collector.kind

    @property
    def interval(self) -> float | None:
        """Seconds from poll to poll."""
        return self._collector.interval

    async def collect(self) -> Sequence[Sample]:
        """Poll once."""
        return [self._filled(sample) for sample in await self._collector.collect()]

    async def close(self) -> None:
        """Let go of what is held open."""
        await self._collector.close()

    def _filled(self, sample: Sample) -> Sample:
        if sample.facts.get("simulated") == "true":
            return sample
        self._engine = sample.facts.get("engine", self._engine)
        seen = (sample.state, sample.gauges.get("start_time_seconds"))
        self._processes.ask(again=seen != self._seen)  # it may be another process now
        self._seen = seen
        around = self._processes.answer()
        if around is None:
            return sample
        if (around, self._engine) != self._found_in:
            self._found = behind(around, self._host, self._port, self._engine, os.getpid())
            self._found_in = (around, self._engine)
        found = self._found
        if sample.state is not State.OK:
            return replace(sample, facts={**found.facts, **sample.facts}, processes=found.processes)
        unseen = (each for each in sample.missing if each.what not in found.gauges)
        return replace(
            sample,
            gauges={**found.gauges, **sample.gauges},
            facts={**found.facts, **sample.facts},
            processes=found.processes,
            missing=(*unseen, *found.missing),
        )


class Found(Struct, frozen=True):
    """What is known of the process of a server."""

    facts: dict[str, str] = field(default_factory=dict)
    """`flag_*`, as on its command line."""
    gauges: dict[str, float] = field(default_factory=dict)
    """Limits that no page of the server tells."""
    processes: tuple[Process, ...] = ()
    missing: tuple[Missing, ...] = ()


def behind(around: Around, host: str, port: int, engine: str, own: int | None = None) -> Found:
    """Find what is behind `host`:`port`; nothing where that is another host, or this program, whose pid is `own`."""
    if not (_is_loopback(host) or host in around.addresses or any(host == each.address for each in around.listeners)):
        return Found()
    listeners = [each for each in around.listeners if any(_leads(*way, host, port) for way in _ways(each))]
    known = [each for each in listeners if each.pid in around.running]
    # systemd may hold the socket of a server for it
    seen = [each for each in known if engine_of(each.name, each.cmdline) is not None] or known
    if any(each.pid == own for each in seen):
        return Found()
    if not seen:
        return Found(missing=(Missing(_WHAT, _unseen(port, listened=bool(listeners)), _CONSEQUENCE),))
    pid, name, cmdline = _root(seen[0], around)
    pids = {pid, *(each.pid for each in seen if each.pid is not None)}
    tree = list(descendants(pids, around.running))[:MOST]
    processes = tuple(Process(pid, clean(around.running[pid].name, 80) or None) for pid in tree)
    named = engine_of(name, cmdline)
    if named is None:  # a proxy or a tunnel; or an engine by another name, whose processes the driver may know
        why = f"port {port} is held by {clean(name, 40)} (PID {pid}), which looks like no inference server"
        return Found(processes=() if pid == 1 else processes, missing=(Missing(_WHAT, why, _CONSEQUENCE),))
    spoken = engine if engine in FLAGS else named
    facts = flags(spoken, cmdline)
    return Found(facts, limits(spoken, facts), processes, tuple(_elsewhere(spoken, cmdline)))


def limits(engine: str, facts: Mapping[str, str]) -> dict[str, float]:
    """Tell how many requests a vLLM runs at once, which it does not export: `--max-num-seqs`, for each of its engines.

    Unknown without that flag, for the default differs by version and GPU, and where data parallel engines stand behind
    several servers.
    """
    most, engines = facts.get("flag_max_num_seqs", ""), facts.get("flag_data_parallel_size", "1")
    apart = {"flag_data_parallel_external_lb", "flag_data_parallel_hybrid_lb"} & facts.keys()
    if engine != "vllm" or apart or not (most.isdecimal() and engines.isdecimal()):
        return {}
    running = float(most) * float(engines)
    return {} if impossibility("max_running_requests", running) else {"max_running_requests": running}


def descendants(roots: Iterable[int], running: Mapping[int, Running]) -> Iterator[int]:
    """List processes and all that they started, each once, the oldest generation first."""
    children: dict[int, list[int]] = {}
    for pid, each in sorted(running.items()):
        children.setdefault(each.parent, []).append(pid)
    generation, seen = sorted(roots), set[int]()
    while generation:
        yield from generation
        seen.update(generation)
        generation = [child for pid in generation for child in children.get(pid, ()) if child not in seen]


def _root(listener: Listener, around: Around) -> tuple[int, str, tuple[str, ...]]:
    """Climb from what listens to what was started, as far as the program is the same engine: PID, name, arguments."""
    here, passed = (listener.pid or 0, listener.name, listener.cmdline), set[int]()
    engine = engine_of(listener.name, listener.cmdline)
    while engine is not None and here[0] in around.running and here[0] not in passed:
        passed.add(here[0])
        pid = around.running[here[0]].parent
        name, cmdline = around.running[pid].name if pid in around.running else "", around.commands.get(pid, ())
        if engine_of(name, cmdline) != engine:
            break
        here = (pid, name, cmdline)
    return here


def _elsewhere(engine: str, cmdline: Sequence[str]) -> Iterator[Missing]:
    name = more_flags_in(engine, cmdline)
    if name is not None:
        why = f"they stand in the file that {name} names, which is not read"
        yield Missing("some flags of the server", why, "advice may name what is set already")


def _unseen(port: int, *, listened: bool) -> str:
    if listened:
        return "its process may not be seen: it is another user's, or a container's; run as that user or as root"
    return f"no process is seen to listen on port {port}: if it runs in a container, run in there as well"


def _ways(listener: Listener) -> Iterator[tuple[str, int]]:
    """List the addresses and ports by which this host reaches a listener."""
    yield listener.address, listener.port
    if listener.published is not None:
        yield listener.published


def _leads(address: str, port: int, host: str, asked: int) -> bool:
    """Tell whether a request to `host` may come to what listens on `address`; a name may mean any address."""
    plain = address.partition("%")[0].removeprefix("::ffff:")
    if port != asked:
        return False
    if plain == host or ipaddress.ip_address(plain).is_unspecified:
        return True
    return _is_loopback(plain) if host == "localhost" else not _is_address(host)


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
