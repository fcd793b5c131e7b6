"""What is mutated: pages and answers of real servers, as they stand under `tests/fixtures`."""

from __future__ import annotations

import gzip
import tarfile
from functools import cache
from typing import TYPE_CHECKING

from tests.captures import FOLDER as CAPTURES
from tests.pages import FOLDER as PAGES
from tests.pages import NAMES

if TYPE_CHECKING:
    from random import Random

RUNS = ("vllm", "vllm-lora", "llamacpp")
"""Captures: the pages of one server, one after another."""


@cache
def page(name: str) -> bytes:
    return gzip.decompress((PAGES / f"{name}.prom.gz").read_bytes())


@cache
def run(name: str) -> tuple[bytes, ...]:
    with tarfile.open(CAPTURES / f"{name}.tar.xz") as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr] # all are files
    return tuple(files[each] for each in sorted(files) if each.endswith(".prom"))


def any_page(random: Random) -> bytes:
    return page(random.choice(NAMES))


JSON_ANSWERS = (
    (PAGES / "llamacpp-props.json").read_bytes(),
    (PAGES / "vllm-models.json").read_bytes(),
    (PAGES / "vllm-version.json").read_bytes(),
    # SGLang's /server_info and /model_info
    (
        b'{"model_path": "m", "served_model_name": "m", "version": "0.5.9", "context_length": 4096, "tp_size": 2,'
        b' "max_total_num_tokens": 1000, "max_running_requests": 48, "mem_fraction_static": 0.88, "page_size": 1,'
        b' "disable_radix_cache": false, "chunked_prefill_size": 8192, "schedule_policy": "fcfs",'
        b' "internal_states": [{"max_running_requests": 48, "effective_max_running_requests_per_dp": 48,'
        b' "memory_usage": {"weight": 1.5, "kvcache": 2.5, "token_capacity": 1000}}]}'
    ),
    b'{"model_path": "/models/m", "tokenizer_path": "/models/m", "is_generation": true}',
    # TensorRT-LLM's /metrics
    (
        b'[{"iter": 7, "numActiveRequests": 3, "numQueuedRequests": 1, "numCompletedRequests": 2,'
        b' "maxNumActiveRequests": 8, "iterLatencyMS": 12.5, "gpuMemUsage": 1000,'
        b' "kvCacheStats": {"maxNumBlocks": 100, "freeNumBlocks": 40, "usedNumBlocks": 60, "tokensPerBlock": 32},'
        b' "inflightBatchingStats": {"numCtxTokens": 17, "numGenRequests": 3, "numPausedRequests": 0,'
        b' "avgNumDecodedTokensPerIter": 1.5},'
        b' "specDecodingStats": {"numDraftTokens": 9, "numAcceptedTokens": 4}}, {"iter": 8, "numActiveRequests": 3}]'
    ),
    # llama.cpp's /slots
    (
        b'[{"id": 0, "n_ctx": 2048, "is_processing": true, "id_task": 7, "n_prompt_tokens": 12,'
        b' "n_prompt_tokens_cache": 4, "prompt": "abc", "params": {"n_predict": -1, "temperature": 0.8},'
        b' "next_token": [{"has_next_token": true, "n_remain": -1, "n_decoded": 5}]},'
        b' {"id": 1, "n_ctx": 2048, "is_processing": false}]'
    ),
    # Ollama's /api/ps, /api/tags and /api/version
    (
        b'{"models": [{"name": "m:latest", "size": 5137025024, "size_vram": 5137025024, "context_length": 4096,'
        b' "expires_at": "2026-06-04T14:38:31.83753-07:00"}]}'
    ),
    b'{"models": [{"name": "m:latest", "modified_at": "2026-05-04T17:37:44Z", "size": 3825819519}]}',
    b'{"version": "0.33.0"}',
    b'{"error": {"message": "Unauthorized", "type": "auth", "code": 401}}',
    (
        b'{"choices": [{"message": {"role": "assistant", "content": "<think>a</think>42"}, "finish_reason": "stop"}],'
        b' "usage": {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}}'
    ),
    b'{"object": "list", "data": [{"embedding": [0.1, -0.2, 0.3], "index": 0}]}',
)
