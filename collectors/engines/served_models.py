"""`/v1/models` as OpenAI's API has it: the models that are served, and of some servers their longest sequence."""

from __future__ import annotations

from msgspec import Struct

from collectors.engines.dialect import Endpoint, Reading, Size


class _Entry(Struct):
    id: str
    max_model_len: Size | None = None
    parent: str | None = None


class _Models(Struct):
    data: list[_Entry]


def _models(answer: _Models) -> Reading:
    """Read the model and its longest sequence; LoRA adapters are the entries with a parent, or come behind it."""
    served = [entry for entry in answer.data if not entry.parent]
    adapters = ", ".join(entry.id for entry in answer.data if entry.parent)
    if not served:
        return Reading(facts={"lora_adapters": adapters})
    length = served[0].max_model_len
    return Reading(
        gauges={"max_model_len": float(length)} if length else {},
        facts={"model": served[0].id, "lora_adapters": adapters},
    )


MODELS = Endpoint("/v1/models", _Models, _models)
