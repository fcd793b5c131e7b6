"""How one server is reached: what the configuration file may say of it, and the headers that this comes to.

Secrets stand in environment variables, and only the names of these are written down: a value in a file is there for
every reader of the file, and one on the command line for every user of the host.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from chimera_top.exit import UsageError
from collectors.target import target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")


class Access(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A `[[target]]` of the configuration file: a server, and what holds for it alone."""

    url: str
    token_env: str | None = None
    """Name of the environment variable that holds its bearer token."""
    headers: tuple[str, ...] = ()
    """`HEADER=NAME`: send HEADER with the value of the environment variable NAME."""
    ca_cert: str | None = None

    @property
    def source(self) -> str:
        """Identity of the server, which is also how it may be shown."""
        return target(self.url).source


def read_tables(tables: object, where: str) -> tuple[Access, ...]:
    """Read the `[[target]]` of a file; raises UsageError, in one line that begins with `where`, and shows no password.

    A URL with a password in it is refused: that would be a secret by value.
    """
    if not isinstance(tables, list):
        raise UsageError(f"{where}: write [[target]], with two brackets, before what belongs to one server")
    found: dict[str, Access] = {}
    for number, table in enumerate(tables, 1):
        place = f"{where}: [[target]] {number}"
        try:
            access = msgspec.convert(table, Access)
            meant = target(access.url)
        except msgspec.ValidationError as error:
            raise UsageError(f"{place}: {error}; known keys are {', '.join(Access.__struct_fields__)}") from None
        except ValueError as error:
            raise UsageError(f"{place}: {error}") from None
        if meant.headers:
            raise UsageError(
                f'{place}: no password in the URL of {meant.source}: name the variable that holds "Basic ...", as '
                'headers = ["Authorization=NAME"]'
            )
        if meant.source in found:
            raise UsageError(f"{place}: {meant.source} has a [[target]] already: put both into one")
        found[meant.source] = access
    return tuple(found.values())


def check_tables(tables: Iterable[Access], watched: Iterable[str], environ: Mapping[str, str], where: str) -> None:
    """Tell at once, by a UsageError that begins with `where`, what the tables of the servers that are watched lack."""
    sources = {source for text in watched if (source := _source(text))}
    for each in tables:
        if each.source not in sources:
            continue
        place = f"{where}: [[target]] {each.source}"
        secrets(each.token_env, each.headers, environ, called=(f"{place}: token_env", f"{place}: headers"))
        if each.ca_cert is not None:
            from collectors.trust import trust  # noqa: PLC0415 ssl takes 15 ms that only who names an authority pays

            try:
                trust(each.ca_cert)
            except ValueError as error:
                raise UsageError(f"{place}: ca_cert: {error}") from None


def _source(text: str) -> str | None:
    try:
        return target(text).source
    except ValueError:  # whoever watches it says why
        return None


def secrets(
    token_env: str | None, headers: Iterable[str], environ: Mapping[str, str], *, called: tuple[str, str]
) -> dict[str, str]:
    """Read the headers from the environment; raises UsageError that names what it was `called` and no value."""
    token, pair = called
    found: dict[str, str] = {}
    if token_env is not None:
        found["Authorization"] = f"Bearer {_variable(token, token_env, environ)}"
    for text in headers:
        header, equals, name = text.partition("=")
        if not (header and equals and name):
            raise UsageError(f"{pair} wants HEADER=NAME, where NAME is the environment variable that holds the value")
        found[header.strip()] = _variable(pair, name.strip(), environ)
    return found


def _variable(called: str, name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "").strip()
    if not value:
        # What looks like no name may be the secret itself, written where its name belongs.
        named = f"the environment variable {name!r}" if _NAME.fullmatch(name) else "an environment variable"
        raise UsageError(f"{called} names {named}, which is not set: export it first")
    return value
