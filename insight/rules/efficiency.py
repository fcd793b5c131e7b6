"""Does what should make serving cheaper do so: speculation, and the energy that a token takes."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.rules.placement import gpus_of
from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.measure import total_gauge
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

ACCEPTED = 0.5
ACCEPTED_TO_LEAVE = 0.55
SPECULATION_SECONDS = 30.0
MIN_DRAFTED = 1000.0
MIN_RUNNING = 2.0
"""A server that works on one request has time to spare for drafts."""
ENERGY_SECONDS = 120.0
EARLIER = range(2, 8)
"""The windows before it that are compared, counted back from it: the nearest may have the change in them already."""
ENOUGH = 3
"""So many of them have to be alike."""
ALIKE = 0.15
DEARER = 1.15
MIN_TOKENS = 1000.0


def spec_decode_inefficient(source: SourceView, settings: Settings, firing: bool) -> Condition | None:
    """Tell whether most of what is drafted is thrown away while several requests run. Not asked without speculation."""
    del settings
    if not source.parts("spec_draft_tokens") or not source.parts("spec_accepted_tokens"):
        return None
    if (source.still_for("spec_draft_tokens") or 0.0) > SPECULATION_SECONDS:
        return HOLDS_NOT
    drafted = source.increase("spec_draft_tokens", SPECULATION_SECONDS)
    accepted = source.increase("spec_accepted_tokens", SPECULATION_SECONDS)
    if drafted is None or accepted is None or drafted.value < MIN_DRAFTED:
        return unknown(f"fewer than {units.count(MIN_DRAFTED)} tokens drafted in {units.duration(SPECULATION_SECONDS)}")
    share = min(1.0, accepted.value / drafted.value)
    running = total_gauge(source, "requests_running", SPECULATION_SECONDS, source.view.mono)
    text = f"{units.value(share, 'ratio')} of {units.count(drafted.value)} drafted tokens accepted"
    if share >= (ACCEPTED_TO_LEAVE if firing else ACCEPTED) or (running is not None and running < MIN_RUNNING):
        return Condition(holds=False, summary=text)
    beside = f", with {units.count(round(running))} running" if running is not None else ""
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.WARNING,
        description=(
            f"In {units.duration(drafted.seconds)} {text}{beside}. Whether it pays nevertheless takes the step times "
            "with and without it."
        ),
        evidence=(
            Evidence(
                "spec_accepted_tokens",
                share,
                "ratio",
                threshold=ACCEPTED,
                window_seconds=drafted.seconds,
                count=drafted.value,
                text=text,
            ),
        ),
    )


class Cost(Struct, frozen=True):
    """What a token took in one window, and how busy the server was in it."""

    joules: float
    """For each output token."""
    running: float
    prompts: float
    """Prompt tokens for each output token."""

    def like(self, other: Cost) -> bool:
        """Tell whether the work was about the same."""
        pairs = ((self.running, other.running), (self.prompts, other.prompts))
        return all(math.isclose(one, two, rel_tol=ALIKE) for one, two in pairs)


def efficiency_regression(source: SourceView, settings: Settings, firing: bool) -> Condition | None:
    """Tell whether a token takes more energy than in the like windows of 15 minutes before. Not asked without GPUs."""
    del settings, firing
    gpus = gpus_of(source)
    if not gpus:
        return None
    now = source.view.mono
    newest = _cost(source, gpus, now)
    if newest is None:
        return unknown("the GPUs' energy, or the tokens of the server, are not known for the last two minutes")
    earlier = [_cost(source, gpus, now - step * ENERGY_SECONDS) for step in EARLIER]
    alike = [each.joules for each in earlier if each is not None and each.like(newest)]
    if len(alike) < ENOUGH:
        return unknown(f"{len(alike)} of {len(EARLIER)} windows of two minutes had the like load: needs {ENOUGH}")
    usual = median(alike)
    text = f"{units.value(newest.joules, 'J')} a token, {units.value(usual, 'J')} before"
    if newest.joules <= DEARER * usual:
        return Condition(holds=False, summary=text)
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.WARNING,
        description=f"At the like load it takes {text}, in {len(alike)} windows of {units.duration(ENERGY_SECONDS)}.",
        evidence=(
            Evidence(
                "energy_joules",
                newest.joules,
                "J",
                threshold=DEARER * usual,
                window_seconds=ENERGY_SECONDS,
                count=float(len(alike)),
                text=text,
            ),
        ),
    )


def _cost(source: SourceView, gpus: list[SourceView], end: float) -> Cost | None:
    if end - ENERGY_SECONDS < max(each.history.first_mono for each in (source, *gpus)):
        return None
    tokens, prompts = (
        source.increase(each, ENERGY_SECONDS, end) for each in ("output_tokens_total", "prompt_tokens_total")
    )
    running = total_gauge(source, "requests_running", ENERGY_SECONDS, end)
    if tokens is None or prompts is None or running is None or tokens.value < MIN_TOKENS:
        return None
    drawn = [each.increase("energy_joules", ENERGY_SECONDS, end) for each in gpus]
    if any(each is None for each in drawn):
        return None
    joules = math.fsum(each.value for each in drawn if each is not None)
    return Cost(joules / tokens.value, running, prompts.value / tokens.value)


SPECULATION = Rule(
    id="spec_decode_inefficient",
    title="Speculation is thrown away",
    of=Source.SERVER,
    condition=spec_decode_inefficient,
    live=Timing(5.0, 30.0),
    page=Timing(900.0, 900.0),
    source="below half of the drafted tokens, with several requests running: our default; vLLM: for low request rates",
    impact="medium: steps are longer and bring no more tokens",
    mitigation="Draft fewer tokens, take a draft model that fits, or switch speculation off above some load.",
)
REGRESSION = Rule(
    id="efficiency_regression",
    title="Energy per token rose",
    of=Source.SERVER,
    condition=efficiency_regression,
    live=Timing(60.0, 120.0),
    page=Timing(900.0, 1800.0),
    source="15 % above the median of the like windows before: our default",
    impact="low: energy and money, not service",
    mitigation="See what changed: power limit, clocks, batch, precision; compare at the like load.",
    every=30.0,
)
