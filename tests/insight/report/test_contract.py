"""The JSON of a Snapshot: what others rely on."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from insight.report import contract
from metrics.snapshot import Snapshot
from tests.insight.report import canned

FIXED = {
    "": "schema_version generated_at window_seconds tool targets gpus host quality scorecard risks recommendations "
    "not_visible",
    "tool": "name version",
    "targets": "id url engine engine_version model state quantities",
    "targets.quantities": "unit source rate value mean max count p50 p90 p95 p99 by",
    "gpus": "index uuid name state utilisation memory_used_bytes memory_total_bytes power_watts temperature_celsius "
    "sm_clock_hertz throttle_reasons ecc_uncorrected xids processes",
    "scorecard": "throughput ttft quality efficiency",
    "scorecard.throughput": "score",
    "risks": "id title state severity likelihood impact description mitigation since target evidence",
    "risks.evidence": "quantity value unit threshold window_seconds",
    "recommendations": "id title actions effect because",
    "recommendations.effect": "quantity now lo mid hi basis grade",
    "not_visible": "what why consequence",
}
"""The names that others may rely on, by where they are."""


def at(document: Any, path: str) -> list[Any]:
    """Every object at a path, through lists and through the values of `quantities`."""
    found = [document]
    for key in filter(None, path.split(".")):
        found = [each[key] for each in found if each[key] is not None]
        found = [item for each in found for item in (each if isinstance(each, list) else [each])]
        if key == "quantities":
            found = [item for each in found for item in each.values()]
    return found


@pytest.mark.parametrize("path", FIXED)
def test_fixed_names(path: str) -> None:
    """Every name that was promised is in every object, known or not."""
    objects = at(json.loads(contract.encode(canned.overloaded())), path)
    assert objects
    for each in objects:
        assert set(FIXED[path].split()) <= set(each)


@pytest.mark.parametrize("name", canned.SNAPSHOTS)
def test_round_trip(name: str) -> None:
    """What is written is a Snapshot by its own definition, and written again it is the same."""
    written = contract.encode(canned.SNAPSHOTS[name]())
    again = contract.encode(msgspec.json.decode(written, type=Snapshot))
    assert json.loads(again) == json.loads(written)
    assert written.endswith(b"}\n")
    assert written.count(b"\n") > 10


def test_no_nan() -> None:
    """JSON has no NaN and no infinity: they are written as not known."""
    snapshot = replace(canned.overloaded(), window_seconds=math.inf)
    gpus = tuple(replace(gpu, utilisation=math.nan) for gpu in snapshot.gpus)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(contract.encode(replace(snapshot, gpus=gpus)), parse_constant=refuse)
    assert document["window_seconds"] is None
    assert document["gpus"][0]["utilisation"] is None


def resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    return schema["$defs"][reference.rsplit("/", 1)[1]] if reference else node


def conforms(schema: dict[str, Any], node: dict[str, Any], value: Any) -> bool:
    """The part of JSON Schema that the schema of a Snapshot uses."""
    node = resolve(schema, node)
    if "anyOf" in node:
        return any(conforms(schema, each, value) for each in node["anyOf"])
    if "enum" in node:
        return value in node["enum"]
    kind = node.get("type")
    if kind == "object":
        named = node.get("properties", {})
        rest = node.get("additionalProperties", True)
        return (
            isinstance(value, dict)
            and set(node.get("required", [])) <= set(value)
            and all(conforms(schema, each, value[name]) for name, each in named.items() if name in value)
            and all(
                not isinstance(rest, dict) or conforms(schema, rest, each)
                for name, each in value.items()
                if name not in named
            )
        )
    if kind == "array":
        items = node.get("items")
        return isinstance(value, list) and (
            not isinstance(items, dict) or all(conforms(schema, items, each) for each in value)
        )
    kinds: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "number": (int, float),
        "integer": int,
        "boolean": bool,
        "null": type(None),
    }
    return kind is None or (isinstance(value, kinds[kind]) and not (isinstance(value, bool) and kind != "boolean"))


@pytest.mark.parametrize("name", canned.SNAPSHOTS)
def test_schema(name: str) -> None:
    """The schema that is published describes what is written, and refuses what is not."""
    schema = dict(contract.schema())
    document = json.loads(contract.encode(canned.SNAPSHOTS[name]()))
    assert conforms(schema, schema, document)
    assert not conforms(schema, schema, {**document, "window_seconds": "60"})
    assert not conforms(schema, schema, {key: each for key, each in document.items() if key != "risks"})


def test_schema_is_json() -> None:
    """The schema says which draft it is, and is itself JSON that explains its fields' owners."""
    schema = json.loads(json.dumps(contract.schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert resolve(schema, schema)["title"] == "Snapshot"
    assert "One inference server." in schema["$defs"]["Target"]["description"]
