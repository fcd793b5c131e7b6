"""When an SGLang's gauges may be believed: a 0 among them is often one that was not refreshed, or never set."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collectors.engines.rule import Index

_SERVED = frozenset(
    (
        "/generate",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/messages",
        "/v1/embeddings",
        "/api/chat",
        "/api/generate",
        "/invocations",
    )
)
"""What clients ask for."""
NOT_YET = "SGLang has not told it yet: it does at a prefill and at every 40th step of decoding"
NO_DRAFTS = "SGLang speculates only with --speculative-algorithm, and has not yet"


def fresh(index: Index) -> float | None:
    """Tell whether what the scheduler says to run may be believed: 1 where it may, else None.

    A real server's said for 8 s that nothing ran nor waited while 8 requests were open (0.5.23): it refreshes them at a
    prefill, when the new requests are not counted yet, and at every 40th step. How many are open it tells since 0.5.7.
    """
    scheduled = ("sglang:num_running_reqs", "sglang:num_queue_reqs")
    if any(value > 0 for name in scheduled for _, value in index.get(name, ())):
        return 1.0
    active = index.get("sglang:http_requests_active", ())
    return None if any(value > 0 and each.labels.get("endpoint") in _SERVED for each, value in active) else 1.0


def speculates(index: Index) -> float | None:
    """Tell whether a gauge of speculation says anything: 1 where it does; a step of it gives a token at least."""
    return 1.0 if any(value > 0 for _, value in index.get("sglang:spec_accept_length", ())) else None
