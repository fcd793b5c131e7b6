"""Any server that speaks OpenAI's API and has no metrics page: `/v1/models` says that it is there and what it serves.

What a client gets of it is known only with --probe. https://platform.openai.com/docs/api-reference/models/list
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from collectors.engines.dialect import Dialect, Reading
from collectors.engines.llamacpp import LLAMACPP
from collectors.engines.lmdeploy import LMDEPLOY
from collectors.engines.rule import told
from collectors.engines.served_models import MODELS
from collectors.engines.sglang import SGLANG
from collectors.engines.vllm import VLLM
from metrics.sample import Missing

PAGE = MODELS.path
"""What is polled in the place of a metrics page."""
OPENAI = Dialect(
    engine="openai",
    title="OpenAI-compatible server",
    prefix="",
    checked="answers of transformers 5.23 and llama.cpp 0c1e570",
    rules=(),
)
"""A server that does not say what it is. No dialect of a page, and so not among those that a page is tried with."""
_OWNERS = {each.engine: each for each in (LLAMACPP, LMDEPLOY, SGLANG, VLLM)}
"""Servers that name themselves as the owner of their models: then their own facts endpoints are asked."""
_WANTING = {
    "ttft_seconds": "TTFT is known only with --probe",
    "itl_seconds": "inter-token latency is known only with --probe",
    "e2e_seconds": "the time that a whole request takes is known only with --probe",
    "queue_seconds": "waiting cannot be told apart from working",
    "requests_finished": "the rate of requests is not known",
    "prompt_tokens_total": "prompt throughput is not known",
    "output_tokens_total": "output throughput is not known: --probe tells only the speed of its own requests",
    "requests_running": "the load is not known",
    "requests_waiting": "a growing queue cannot be seen",
    "kv_cache_usage": "a full KV cache cannot be foreseen",
}
"""What only a metrics page would tell, and what follows."""


class _Served(Struct):
    id: str
    owned_by: str | None = None


class _List(Struct):
    data: list[_Served]


def read_served(body: bytes, why: str) -> tuple[Dialect, Reading] | None:
    """Read the answer of `/v1/models`, with `why` there is no metrics page; None where it is no such answer."""
    try:
        served = msgspec.json.decode(body, type=_List).data
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    dialect = next((_OWNERS[each.owned_by] for each in served if each.owned_by in _OWNERS), OPENAI)
    listed = MODELS.read(body)
    page = Missing("the metrics page", why, "only --probe shows what a client gets")
    wanting = tuple(Missing(what, "the server has no metrics page", then) for what, then in _WANTING.items())
    facts = told({**listed.facts, "engine": dialect.engine})
    return dialect, Reading(gauges=listed.gauges, facts=facts, missing=(page, *wanting, *listed.missing))
