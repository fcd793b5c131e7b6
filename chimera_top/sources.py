"""Which collectors a set of settings asks for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chimera_top.exit import UsageError
from collectors.target import target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chimera_top.config import Settings
    from collectors.clock import Clock
    from collectors.collector import Collector
    from collectors.server import ServerCollector

DEFAULT_TARGET = "http://127.0.0.1:8000"
"""Where vLLM listens when nobody told it otherwise."""


def target_names(settings: Settings) -> tuple[str, ...]:
    """Name the servers that are asked for, each once; raises UsageError that names one that is unusable."""
    try:
        return tuple(dict.fromkeys(target(each).source for each in settings.targets or (DEFAULT_TARGET,)))
    except ValueError as error:
        raise UsageError(str(error)) from None


def servers(settings: Settings, clock: Clock) -> list[ServerCollector]:
    """Make a collector for each target; raises UsageError that names the target or the setting that is unusable."""
    from collectors.server import ServerCollector  # noqa: PLC0415 after the first paint

    headers = secret_headers(settings, os.environ)
    collectors: dict[str, ServerCollector] = {}
    for each in settings.targets or (DEFAULT_TARGET,):
        try:
            collector = ServerCollector(each, clock=clock, headers=headers, ca_file=settings.ca_cert)
        except ValueError as error:
            raise UsageError(str(error)) from None
        collectors.setdefault(collector.name, collector)
    return list(collectors.values())


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
    """Read the headers that go with every request to the targets; their values come from the environment alone.

    A value on the command line would be there for every user of the host to read.
    """
    headers: dict[str, str] = {}
    if settings.token_env is not None:
        headers["Authorization"] = f"Bearer {_variable('--token-env', settings.token_env, environ)}"
    for text in settings.headers:
        header, equals, name = text.partition("=")
        if not (header and equals and name):
            raise UsageError("--header wants HEADER=NAME, where NAME is the environment variable that holds the value")
        headers[header.strip()] = _variable("--header", name.strip(), environ)
    return headers


def _variable(flag: str, name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise UsageError(f"{flag} names the environment variable {name!r}, which is not set: export it first")
    return value
