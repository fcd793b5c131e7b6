"""A Snapshot that may be passed on: without hosts, addresses, users, paths and tokens.

Every text of it is gone through, wherever it stands and whatever field is added later; numbers stay as they are. The
stand-ins (`server A`, `host-1`, `addr-1`, `user-1`) are the same throughout, so that a reader can still tell that two
lines speak of one thing. Names of models stay; of one that is a path, the last part.
"""

from __future__ import annotations

import re
from enum import Enum
from itertools import count
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from insight.report.disguise import Disguise
from insight.report.forms import HIDDEN
from metrics.quantity import QUANTITIES
from metrics.sample import Process
from metrics.snapshot import NotVisible
from metrics.track import GPU_TRACKS, SERVER_TRACKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.snapshot import Snapshot

NOTE = NotVisible(
    "hosts, addresses, users, paths and tokens",
    "this report was redacted",
    "server A, host-1, addr-1 and the like each stand for one thing throughout; --identifiers keeps what they are",
)
_OWN_WORDS = frozenset((*QUANTITIES, *SERVER_TRACKS, *GPU_TRACKS))
"""Keys that are this program's own."""
_OWN_FIELDS = frozenset(("id", "kind", "quantity", "unit", "source", "basis", "mode", "engine", "state"))
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
_SECRET = frozenset(("token", "password", "passwd", "secret", "credential", "credentials", "apikey", "authorization"))
_WHERE = frozenset(("host", "hostname", "node", "pod", "fqdn"))
_WHOSE = frozenset(("user", "username", "owner", "account", "tenant", "namespace"))
_Node = TypeVar("_Node")


def redact(snapshot: Snapshot) -> Snapshot:
    """Write a Snapshot without what tells where it is of and whose; numbers and what they mean are left as they are."""
    disguise = Disguise()
    _introduce(snapshot, disguise)
    told = _rewritten(snapshot, disguise)
    if NOTE.what in {each.what for each in told.not_visible}:
        return told
    return replace(told, not_visible=(*told.not_visible, NOTE))


def _introduce(snapshot: Snapshot, disguise: Disguise) -> None:
    """Name those that are known to be servers, hosts, GPUs, users and processes, in an order that stays."""
    for number, target in enumerate(snapshot.targets):
        letter = f"server {_letters(number)}"
        for name in dict.fromkeys((target.url, target.id)):
            disguise.name(name, letter)
            disguise.meet(name)
    if snapshot.host and snapshot.host.name:
        disguise.host(snapshot.host.name)
    unnumbered = count(1)
    for gpu in snapshot.gpus:
        disguise.name(gpu.uuid, f"GPU-{gpu.index}" if gpu.index is not None else f"GPU-x{next(unnumbered)}")
    for text in _texts(snapshot):
        disguise.meet(text)
    for process in _processes(snapshot):
        disguise.user(process.user or "")
        disguise.process(process.name or "")
    for target in snapshot.targets:
        model = target.model or ""
        if model.count("/") > 1 and not re.search(r"\s", model):
            disguise.name(model, disguise.text(model))


def _letters(number: int) -> str:
    """Count in letters: A to Z, AA, AB and so on."""
    high, low = divmod(number, 26)
    return (_letters(high - 1) if high else "") + chr(ord("A") + low)


def _texts(node: object) -> Iterator[str]:
    """List every text in a Snapshot, keys included."""
    if isinstance(node, str):
        if not isinstance(node, Enum):
            yield node
    elif isinstance(node, Struct):
        for name in node.__struct_fields__:
            yield from _texts(getattr(node, name))
    elif isinstance(node, dict):
        for key, each in node.items():
            yield from _texts(key)
            yield from _texts(each)
    elif isinstance(node, tuple):
        for each in node:
            if not isinstance(each, float | None):
                yield from _texts(each)


def _processes(snapshot: Snapshot) -> Iterator[Process]:
    for gpu in snapshot.gpus:
        yield from gpu.processes or ()


def _rewritten(node: _Node, disguise: Disguise) -> _Node:
    """Go through plain data and write each text anew; what comes out has the type of what went in."""
    told: object = node
    if type(node) is str:  # and no word of an enumeration
        told = disguise.text(str(node))
    elif isinstance(node, Process):
        told = replace(
            node, name=disguise.process(node.name or "") or None, user=disguise.user(node.user or "") or None
        )
    elif isinstance(node, Struct):
        fields = ((name, getattr(node, name)) for name in node.__struct_fields__)
        told = replace(
            node, **{name: each if _is_own(name, each) else _rewritten(each, disguise) for name, each in fields}
        )
    elif isinstance(node, dict):
        told = _rewritten_dict(node, disguise)
    elif isinstance(node, tuple):
        told = tuple(each if isinstance(each, float | None) else _rewritten(each, disguise) for each in node)
    return cast("_Node", told)


def _is_own(field: str, value: object) -> bool:
    """Tell a word of this program's own, by its field and its form: nobody's name, though somebody may be called so."""
    return field in _OWN_FIELDS and isinstance(value, str) and _IDENTIFIER.fullmatch(value) is not None


def _rewritten_dict(node: dict[str, object], disguise: Disguise) -> dict[str, object]:
    """Write keys anew too; two that become the same are told apart by a number."""
    told: dict[str, object] = {}
    for key, each in node.items():
        name = plain = key if key in _OWN_WORDS else disguise.text(key)
        numbers = count(2)
        while name in told:
            name = f"{plain} ({next(numbers)})"
        told[name] = _fact(key, each, disguise) if isinstance(each, str) else _rewritten(each, disguise)
    return told


def _fact(key: str, value: str, disguise: Disguise) -> str:
    """Write a fact in words; some keys say what their values are."""
    parts = set(re.split(r"[\W_]+", key.lower()))
    if parts & _SECRET or {"api", "key"} <= parts:
        return HIDDEN
    plain = value if urlsplit(value).scheme == "" and not re.search(r"[\s/:]", value) else None
    if plain and parts & _WHERE:
        return disguise.host(plain)
    if plain and parts & _WHOSE:
        return disguise.user(plain)
    return disguise.text(value)
