"""Settings: from the flags, then the environment, then the configuration file, then the defaults below."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from chimera_top.access import Access, check_tables, read_tables
from chimera_top.duration import seconds
from chimera_top.exit import FailureError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

PREFIX = "CHIMERA_TOP_"
_FILE_ONLY = {"target"}


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What can be set. The keys of the configuration file are the names of these fields."""

    targets: tuple[str, ...] = ()
    target: tuple[Access, ...] = ()
    """What holds for one server alone; in the file only. Unless others are named, these are watched as well."""
    interval: str = "1s"
    """From poll to poll."""
    window: str = "5min"
    """Window of the graphs and numbers of the screen."""
    gpu: bool = True
    """Whether NVML is asked for GPUs."""
    slo: str = ""
    """Objectives, as `ttft_p95=0.8s,itl_p95=50ms`."""
    token_env: str | None = None
    """Name of the environment variable that holds the bearer token."""
    headers: tuple[str, ...] = ()
    """`HEADER=NAME`: send HEADER with the value of the environment variable NAME."""
    ca_cert: str | None = None
    probe: bool = False
    """Whether requests that generate may be sent, to measure what a client gets."""
    probe_interval: str = "10s"
    """From request to request."""
    probe_budget: int = 60_000
    """Tokens that the probe of one server may cost in any hour."""
    probe_model: str | None = None
    """The model that is asked; the first that the server names where none is given."""
    probe_force: bool = False
    """Whether the probe goes on while requests have been waiting in the server for over 30 s."""
    price: float | None = None
    """Dollars for a million tokens."""
    gpu_price: float | None = None
    """Dollars for an hour of one GPU, to tell what tokens cost."""
    quality: tuple[str, ...] = ()
    """`builtin` or a file of questions, and result files of other programs (`*.json`)."""
    quality_budget: int = 60_000
    """Tokens that the questions to one server may cost in any hour."""
    embeddings: str | None = None
    """Base URL of another server, whose embeddings tell whether answers keep to their question."""
    embeddings_token_env: str | None = None
    """Name of the environment variable that holds the bearer token of that server alone."""
    embeddings_model: str | None = None
    """The model that embeds; the first that the server names where none is given."""
    ascii: bool = False
    mouse: bool = False
    record: str | None = None
    log_file: str | None = None

    @property
    def interval_seconds(self) -> float:
        """The polling interval, 0.1 s to 1 h."""
        return length_of_time("interval", self.interval, 0.1, 3600)

    @property
    def window_seconds(self) -> float:
        """The window of the screen, 10 s to 48 h."""
        return length_of_time("window", self.window, 10, 48 * 3600)

    @property
    def probe_interval_seconds(self) -> float:
        """From request to request of the probe, 1 s to 1 h."""
        return length_of_time("probe_interval", self.probe_interval, 1, 3600)


def length_of_time(name: str, text: str, low: float, high: float) -> float:
    """Read a length of time within bounds; raises UsageError that names the setting."""
    try:
        value = seconds(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
    if not low <= value <= high:
        raise UsageError(f"{name}: {text} is out of range: at least {low:g} s, at most {high:g} s")
    return value


def load(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Put the settings together; raises UsageError with one line that names what is wrong and where."""
    named = flags.get("config") or environ.get(f"{PREFIX}CONFIG")
    path = Path(named) if named else default_path(environ)
    values: dict[str, Any] = {}
    if path is not None:
        values.update(_from_file(path, must_exist=bool(named)))
    values.update(_from_environment(environ))
    values.update({name: flags[name] for name in Settings.__struct_fields__ if flags.get(name) not in (None, [])})
    settings = _convert(values, "the settings")
    if "targets" in flags and not flags.get("replay"):  # a demo needs no token
        check_tables(settings.target, settings.targets, environ, str(path))
    return settings


def prepare(flags: argparse.Namespace) -> Settings:
    """Put the settings of this process together, and let what goes wrong inside be written where they say."""
    settings = load(vars(flags), os.environ)
    if settings.log_file is not None:
        import logging  # noqa: PLC0415 13 ms that nobody needs who asks for no log

        try:
            logging.basicConfig(filename=settings.log_file, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        except OSError as error:
            raise FailureError(f"cannot write the log file {settings.log_file}: {error.strerror}") from None
    return settings


def default_path(environ: Mapping[str, str]) -> Path | None:
    """Tell where the configuration file is looked for when none is named; nowhere without a home."""
    home = environ.get("HOME")
    base = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else None)
    return Path(base) / "chimera-top" / "config.toml" if base else None


def _from_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        if must_exist:
            raise UsageError(f"no configuration file {path}") from None
        return {}
    except OSError as error:
        raise UsageError(f"cannot read the configuration file {path}: {error.strerror}") from None
    import tomllib  # noqa: PLC0415 16 ms, and most hosts have no configuration file

    try:
        values = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    tables = read_tables(values.pop("target", []), str(path))
    _convert(values, str(path))
    if tables:
        values["target"] = tables
        values["targets"] = (*values.get("targets", ()), *(each.url for each in tables))
    return values


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name == f"{PREFIX}CONFIG":
            continue
        key = name.removeprefix(PREFIX).lower()
        fields = [field for field in Settings.__struct_fields__ if field not in _FILE_ONLY]
        if key not in fields:
            known = ", ".join(PREFIX + field.upper() for field in fields)
            raise UsageError(f"unknown environment variable {name}: known are {known}")
        values[key] = tuple(text.split()) if key in {"targets", "headers", "quality"} else text
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"in the environment ({PREFIX}...): {error}") from None
    return {key: getattr(settings, key) for key in values}


def _convert(values: dict[str, Any], where: str) -> Settings:
    try:
        return msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        known = f"; known keys are {', '.join(Settings.__struct_fields__)}" if "unknown field" in str(error) else ""
        raise UsageError(f"{where}: {error}{known}") from None
