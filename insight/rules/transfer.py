"""Does the KV cache that one server sends another arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.rules.outcomes import TO_LEAVE, condition, moved, share
from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing
from metrics.finding import Severity
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

FAILED = 0.01


def kv_transfer_failure(source: SourceView, settings: Settings, firing: bool) -> Condition | None:
    """Tell whether transfers of KV cache fail; not asked where the server counts none.

    A failure is one of the transfers that were tried, or of the requests where the server counts no transfers.
    """
    del settings
    failed = source.parts("kv_transfers_failed")
    if not failed:
        return None
    if not moved(source, failed, firing):
        return HOLDS_NOT
    tried = [*source.parts("kv_transfers"), *failed] if source.parts("kv_transfers") else _requests(source)
    found = share(source, failed, tried)
    if found is None or found.lo <= FAILED * (TO_LEAVE if firing else 1.0):
        return Condition(holds=False, summary=found.text if found and found.hits else "")
    said = f"{found.text} of the transfers of KV cache failed: those prompts are worked on again."
    return condition(found, "kv_transfers_failed", FAILED, said, Severity.WARNING)


def _requests(source: SourceView) -> list[str]:
    return [*source.parts("requests_finished"), *source.parts("kv_transfers_failed")]


FAILURE = Rule(
    id="kv_transfer_failure",
    title="KV transfers fail",
    of=Source.SERVER,
    condition=kv_transfer_failure,
    live=Timing(5.0, 30.0),
    page=Timing(300.0, 600.0),
    source="over 1 %: our default; the lower end of Wilson's 95 % interval",
    impact="medium: what did not arrive is worked out again, or the request fails",
    mitigation="Look at the link between prefill and decode servers, and at the timeouts and memory of the connector.",
    event=True,
)
