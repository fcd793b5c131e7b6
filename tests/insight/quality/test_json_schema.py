from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.quality.json_schema import violation

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("value", "schema", "why"),
    [
        ({"a": 1}, {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}, ""),
        ({}, {"required": ["a"]}, "$ lacks 'a'"),
        ({"a": "1"}, {"properties": {"a": {"type": "number"}}}, "$.a is not of type number"),
        (
            {"a": 1, "b": 2},
            {"properties": {"a": {}}, "additionalProperties": False},
            "$ has 'b', which nobody asked for",
        ),
        ({"a": 1, "b": 2}, {"properties": {"a": {}}}, ""),
        ([1, "x"], {"type": "array", "items": {"type": "integer"}}, "$[1] is not of type integer"),
        ([], {"type": "array", "items": {"type": "integer"}}, ""),
        (1.0, {"type": "integer"}, ""),
        (1.5, {"type": "integer"}, "$ is not of type integer"),
        (True, {"type": "integer"}, "$ is not of type integer"),
        (True, {"type": "number"}, "$ is not of type number"),
        (True, {"enum": [1]}, "$ is none of the values that it may be"),
        (None, {"type": ["string", "null"]}, ""),
        (3, {"type": ["string", "null"]}, "$ is not of type string or null"),
        ("x", {"required": ["a"]}, ""),
        (
            {"a": {"b": [{"c": "no"}]}},
            {"properties": {"a": {"properties": {"b": {"items": {"properties": {"c": {"enum": ["yes"]}}}}}}}},
            "$.a.b[0].c is none of the values that it may be",
        ),
    ],
)
def test_violation(value: object, schema: dict[str, Any], why: str) -> None:
    """Each keyword means what JSON Schema says it means, and the place of the first fault is named."""
    assert violation(value, schema) == why


@given(VALUES)
def test_anything_keeps_to_no_schema_and_to_itself(value: Any) -> None:
    """The empty schema allows everything, and an enum of a value allows that value."""
    assert violation(value, {}) == ""
    assert violation(value, {"enum": [value]}) == ""


def test_depth_has_an_end() -> None:
    """What is nested without an end is refused, and does not end the program."""
    value: Any = []
    schema: dict[str, Any] = {}
    for _ in range(200):
        value, schema = [value], {"items": schema}
    assert "nested too deep" in violation(value, schema)
