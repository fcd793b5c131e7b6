"""Are the requests themselves the trouble: refused for what is in them, or empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.quality.statistics import wilson
from insight.rules.outcomes import MIN_COUNT, REFUSED, TO_LEAVE, WINDOWS, Share, condition, labelled, moved, share
from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from metrics.finding import Severity
from metrics.histogram import fraction_at_most
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

EMPTY = 0.005
EMPTY_TOKENS = 1.0
"""A prompt of one token is the beginning of a text and nothing after it."""
OTHER_REASONS = ("401", "403", "429")
"""Who asks, and how often, is nothing that is in a request."""


def data_quality(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether requests are refused for what is in them, or are empty."""
    del settings
    answered = source.parts("http_requests")
    prompts = source.parts("prompt_tokens")
    if not answered and not prompts:
        return unknown("the server counts neither refused requests (HTTP 4xx) nor how long prompts are")
    slack = TO_LEAVE if firing else 1.0
    bad = [
        name
        for name in labelled(source, "http_requests", "status", "4")
        if name not in labelled(source, "http_requests", "status", *OTHER_REASONS)
    ]
    found = share(source, bad, answered) if moved(source, bad, firing) else None
    if found is not None and found.lo > REFUSED * slack:
        said = f"{found.text} of the requests were refused for what is in them (HTTP 4xx)."
        return condition(found, "http_requests", REFUSED, said, Severity.WARNING)
    empty = _empty_prompts(source) if prompts else None
    if empty is not None and empty.lo > EMPTY * slack:
        said = f"{empty.text} of the prompts were empty: one token at most."
        return condition(empty, "prompt_tokens", EMPTY, said, Severity.WARNING)
    if not answered:
        return Condition(holds=False, summary="no empty prompts; requests that are refused are not counted")
    return Condition(holds=False, summary=found.text) if found and found.hits else HOLDS_NOT


def _empty_prompts(source: SourceView) -> Share | None:
    observed = source.histogram("prompt_tokens", WINDOWS[1])
    within = fraction_at_most(observed, EMPTY_TOKENS) if observed and observed.count >= MIN_COUNT else None
    if observed is None or within is None or within[0] == 0:
        return None
    hits = within[0] * observed.count
    interval = wilson(round(hits), round(observed.count))
    return Share(hits, observed.count, interval.lo, interval.hi, WINDOWS[1]) if interval else None


DATA_QUALITY = Rule(
    id="data_quality",
    title="Data quality issues",
    of=Source.SERVER,
    condition=data_quality,
    live=Timing(5.0, 30.0),
    page=Timing(600.0, 900.0),
    source="over 1 % refused (HTTP 4xx but 401, 403, 429), over 0.5 % empty: our defaults",
    impact="medium: bad requests take time and give no answers, or bad ones",
    mitigation=(
        "Validate and normalise requests before the server: template, UTF-8, greatest length; refuse the rest early."
    ),
    every=2.0,
)
