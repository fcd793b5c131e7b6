"""What an SGLang says of itself at `/server_info` and `/model_info`: version, model, limits, flags."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from collectors.engines.dialect import Endpoint, Reading, Size


class _Server(Struct):
    version: str | None = None
    max_running_requests: Size | None = None
    dp_size: Size | None = None
    tp_size: Size | None = None
    mem_fraction_static: float | None = None
    chunked_prefill_size: int | None = None
    schedule_policy: str | None = None
    kv_cache_dtype: str | None = None
    quantization: str | None = None
    disable_radix_cache: bool | None = None
    speculative_algorithm: str | None = None


class _Model(Struct):
    model_path: str | None = None
    served_model_name: str | None = None


_FLAGS = (
    "dp_size",
    "tp_size",
    "mem_fraction_static",
    "chunked_prefill_size",
    "schedule_policy",
    "kv_cache_dtype",
    "quantization",
    "disable_radix_cache",
    "speculative_algorithm",
)


def _server(answer: _Server) -> Reading:
    """Read version and flags. `max_running_requests` is that of one data-parallel rank."""
    limit = answer.max_running_requests
    flags = {flag: value for flag in _FLAGS if (value := getattr(answer, flag)) is not None}
    facts = {"engine_version": answer.version or "", **{flag: str(value) for flag, value in flags.items()}}
    return Reading(gauges={"max_running_requests": float(limit * (answer.dp_size or 1))} if limit else {}, facts=facts)


def _model(answer: _Model) -> Reading:
    return Reading(facts={"model": answer.served_model_name or "", "model_path": answer.model_path or ""})


FACTS: tuple[Endpoint[Any], ...] = (
    Endpoint("/server_info", _Server, _server, once="/get_server_info"),
    Endpoint("/model_info", _Model, _model, once="/get_model_info"),
)
