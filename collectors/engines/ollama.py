"""Ollama: https://github.com/ollama/ollama/blob/main/docs/api.md. It has no metrics page, so --probe tells the rest.

`/api/ps` says which models are loaded, and `/api/version` and `/api/tags` which there are.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct, field

from collectors.engines.dialect import Dialect, Endpoint, Reading, Size
from collectors.engines.rule import told
from metrics.sample import Missing


class _Loaded(Struct):
    name: str
    size: Size = 0
    size_vram: Size = 0
    context_length: Size | None = None
    expires_at: str | None = None


class _Running(Struct):
    models: list[_Loaded]


class _Tag(Struct):
    name: str


class _Tags(Struct):
    models: list[_Tag] = field(default_factory=list)


class _Version(Struct):
    version: str


_NO_PAGE = "Ollama has no metrics page"
ABSENT = (
    Missing("ttft_seconds", _NO_PAGE, "TTFT cannot be watched without --probe"),
    Missing("itl_seconds", _NO_PAGE, "inter-token latency cannot be watched without --probe"),
    Missing("e2e_seconds", _NO_PAGE, "the time that a whole request takes is not known without --probe"),
    Missing("output_tokens_total", _NO_PAGE, "output throughput is not known"),
    Missing("requests_running", _NO_PAGE, "the load is not known"),
    Missing("requests_waiting", _NO_PAGE, "a growing queue cannot be seen"),
    Missing("kv_cache_usage", _NO_PAGE, "a full KV cache cannot be foreseen"),
)


def read_running(body: bytes) -> Reading | None:
    """Read the answer of `/api/ps`; None where it is no such answer. With no model loaded, `model` is not known."""
    try:
        models = msgspec.json.decode(body, type=_Running).models
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    sizes, on_gpu = sum(each.size for each in models), sum(each.size_vram for each in models)
    lengths = [each.context_length for each in models if each.context_length]
    facts = {
        "engine": "ollama",
        "model": ", ".join(each.name for each in models),
        "unloads": ", ".join(f"{each.name} at {each.expires_at}" for each in models if each.expires_at),
        "offloaded_to_gpu": f"{min(1.0, on_gpu / sizes):.0%}" if sizes else "",
    }
    gauges = {"max_model_len": float(min(lengths))} if lengths else {}
    return Reading(gauges=gauges, facts=told(facts), missing=ABSENT)


def _version(answer: _Version) -> Reading:
    return Reading(facts={"engine_version": answer.version})


def _tags(answer: _Tags) -> Reading:
    return Reading(facts={"models": ", ".join(each.name for each in answer.models)})


PAGE = "/api/ps"
"""What is polled in the place of a metrics page."""
OLLAMA = Dialect(
    engine="ollama",
    title="Ollama",
    prefix="",
    checked="answers written after the documentation of 0.33",
    rules=(),
    absent=ABSENT,
    endpoints=(Endpoint("/api/version", _Version, _version), Endpoint("/api/tags", _Tags, _tags)),
)
"""No dialect of a page, and so not among those that a page is tried with: what it tells is read by `read_running`."""
