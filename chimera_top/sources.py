"""Which collectors a set of settings asks for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from chimera_top.access import secrets
from chimera_top.exit import UsageError
from collectors.target import target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chimera_top.access import Access
    from chimera_top.config import Settings
    from collectors.clock import Clock
    from collectors.collector import Collector
    from collectors.probe.schedule import Plan

DEFAULT_TARGET = "http://127.0.0.1:8000"
"""Where vLLM listens when nobody told it otherwise."""


def named_recordings(settings: Settings) -> list[str]:
    """List the targets that are files; raises UsageError where there is more than that one."""
    recordings = [target for target in settings.targets if "://" not in target and Path(target).is_file()]
    if recordings and len(settings.targets) > 1:
        raise UsageError(f"{recordings[0]} is a recording: give one, and alone")
    return recordings


def target_names(settings: Settings) -> tuple[str, ...]:
    """Name the servers that are asked for, each once; raises UsageError that names one that is unusable."""
    try:
        return tuple(dict.fromkeys(target(each).source for each in settings.targets or (DEFAULT_TARGET,)))
    except ValueError as error:
        raise UsageError(str(error)) from None


def servers(settings: Settings, clock: Clock) -> list[Collector]:
    """Make a collector for each target; raises UsageError that names the target or the setting that is unusable."""
    from collectors.engine_process import EngineProcess  # noqa: PLC0415 after the first paint
    from collectors.processes import Processes  # noqa: PLC0415
    from collectors.server import ServerCollector  # noqa: PLC0415

    processes = Processes(clock)
    collectors: dict[str, Collector] = {}
    for each in settings.targets or (DEFAULT_TARGET,):
        try:
            meant = target(each)
            headers, ca_file = access(settings, meant.source, os.environ)
            server = ServerCollector(each, clock=clock, headers=headers, ca_file=ca_file)
        except ValueError as error:
            raise UsageError(str(error)) from None
        collectors.setdefault(meant.source, EngineProcess(server, meant.root, processes))
    return list(collectors.values())


def probed(settings: Settings, collectors: Sequence[Collector], clock: Clock) -> list[Collector]:
    """Put a probe beside each server where probes are asked for; raises UsageError that names an unusable setting."""
    if not settings.probe:
        return list(collectors)
    from collectors.probe.collector import ProbeCollector  # noqa: PLC0415 only who asks for probes pays for them
    from collectors.probe.overhear import Overheard  # noqa: PLC0415

    plan = probe_plan(settings)
    urls = {target(each).source: each for each in settings.targets or (DEFAULT_TARGET,)}
    both: list[Collector] = []
    for server in collectors:
        headers, ca_file = access(settings, server.name, os.environ)
        probe = ProbeCollector(urls[server.name], plan, clock=clock, headers=headers, ca_file=ca_file)
        both += [Overheard(server, probe.heard), probe]
    return both


def probe_plan(settings: Settings) -> Plan:
    """Read what is asked of a probe; raises UsageError that names an unusable setting."""
    from collectors.probe.prompt import REQUEST_TOKENS  # noqa: PLC0415
    from collectors.probe.schedule import Plan  # noqa: PLC0415

    if settings.probe_budget < REQUEST_TOKENS:
        raise UsageError(
            f"probe_budget: {settings.probe_budget} tokens an hour do not pay for one request of {REQUEST_TOKENS}"
        )
    if settings.price is not None and not 0 <= settings.price < float("inf"):
        raise UsageError(f"price: {settings.price} is no price: write dollars for a million tokens, as 0.6")
    return Plan(
        interval=settings.probe_interval_seconds,
        tokens_per_hour=settings.probe_budget,
        model=settings.probe_model,
        force=settings.probe_force,
        price=settings.price,
    )


def machine(settings: Settings, clock: Clock) -> list[Collector]:
    """Make the collectors of this host and, unless they are to be left alone, of its GPUs."""
    if not settings.gpu:
        return host(clock)
    from collectors.gpus import Gpus  # noqa: PLC0415 `--no-gpu` means that NVML is not even imported

    return [*host(clock), Gpus(clock)]


def host(clock: Clock) -> list[Collector]:
    """Make the collector of this host."""
    from collectors.host import Host  # noqa: PLC0415 after the first paint

    return [Host(clock)]


def secret_headers(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Read the headers that go with every request to every target; their values come from the environment alone."""
    return secrets(settings.token_env, settings.headers, environ, called=("--token-env", "--header"))


def access(settings: Settings, name: str, environ: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """Tell the headers that go with every request to the server `name`, and the authority to trust there.

    What its own `[[target]]` says wins over what is said for all. Raises UsageError that names the server.
    """
    headers, own = secret_headers(settings, environ), own_access(settings, name)
    if own is None:
        return headers, settings.ca_cert
    called = (f"token_env of [[target]] {name}", f"headers of [[target]] {name}")
    both = (*headers.items(), *secrets(own.token_env, own.headers, environ, called=called).items())
    return {header.title(): value for header, value in both}, own.ca_cert or settings.ca_cert


def own_access(settings: Settings, name: str) -> Access | None:
    """Find the `[[target]]` of a server; None where the file has none."""
    return next((each for each in settings.target if each.source == name), None)
