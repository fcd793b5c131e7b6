"""The Snapshot as JSON: the public contract, and its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from metrics.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

_URI = "https://json-schema.org/draft/2020-12/schema"


def encode(snapshot: Snapshot) -> bytes:
    """Write a Snapshot as indented JSON, a line feed at its end.

    JSON has no NaN and no infinity; msgspec writes them as null, which is "not known".
    """
    return msgspec.json.format(msgspec.json.encode(snapshot), indent=2) + b"\n"


def schema() -> Mapping[str, Any]:
    """Make the JSON Schema (draft 2020-12) of a Snapshot from its definition."""
    return {"$schema": _URI, **msgspec.json.schema(Snapshot)}
