"""A small part of JSON Schema: enough to say whether an answer has the form that was asked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MOST_DEPTH = 64


def violation(value: object, schema: Mapping[str, Any], path: str = "$") -> str:
    """Say where a decoded JSON value breaks a schema, '' where it keeps to it.

    Known are `type` (a name or a list of names), `enum`, `required`, `properties`, `additionalProperties` (true or
    false) and `items`, with the meaning of JSON Schema 2020-12: `required` and `properties` speak of objects alone,
    `items` of arrays alone, and 1.0 is an integer.
    """
    if path.count(".") + path.count("[") > _MOST_DEPTH:
        return f"{path[:40]}... is nested too deep"
    if "type" in schema:
        wanted = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(_TYPES[name](value) for name in wanted):
            return f"{path} is not of type {' or '.join(wanted)}"
    if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
        return f"{path} is none of the values that it may be"
    if isinstance(value, dict):
        return _object_violation(value, schema, path)
    if isinstance(value, list) and "items" in schema:
        found = (violation(each, schema["items"], f"{path}[{index}]") for index, each in enumerate(value))
        return next(filter(None, found), "")
    return ""


def _object_violation(value: dict[str, Any], schema: Mapping[str, Any], path: str) -> str:
    for name in schema.get("required", ()):
        if name not in value:
            return f"{path} lacks {name!r}"
    properties = schema.get("properties", {})
    if schema.get("additionalProperties") is False and (surplus := sorted(value.keys() - properties.keys())):
        return f"{path} has {surplus[0]!r}, which nobody asked for"
    found = (violation(value[name], properties[name], f"{path}.{name}") for name in properties if name in value)
    return next(filter(None, found), "")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and math.isfinite(value) and value == int(value),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def _same(one: object, other: object) -> bool:
    """Compare as JSON does: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other
