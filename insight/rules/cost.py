"""What a million tokens cost, against what they cost before."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from insight.estimators.energy import price as price_of
from insight.impact import of_cost
from insight.rules.placement import is_shared, used_by
from insight.rules.rule import Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

WINDOW = 1800.0
"""Seconds; a shorter one is the luck of arrivals."""
LONGEST = 172_800.0
"""Seconds: the Store reaches back no further."""
ENOUGH = 4
"""Windows of before that make a usual price: two hours."""
DEARER = 1.3
TO_LEAVE = 0.9
MIN_TOKENS = 10_000.0


def paid(source: SourceView) -> tuple[int, str]:
    """Count the GPUs that are paid for a server, a shared one in full, and say what is not certain about them."""
    gpus = used_by(source)
    if not gpus:
        return 1, "one GPU taken, none is seen"
    shared = {is_shared(gpu) for gpu in gpus}
    if shared == {False}:
        return len(gpus), ""
    many = f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''}"
    return len(gpus), f"of {many}, {'shared' if True in shared else 'perhaps shared'}"


def cost_anomaly(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether output tokens cost 1.3 times their median price of 48 h, or of as long as was watched."""
    if settings.price_per_hour is None:
        return unknown("needs a price: what an hour of one GPU costs")
    count, doubt = paid(source)
    now, hourly = source.view.mono, settings.price_per_hour * count
    price = _price(source, hourly, now)
    if price is None:
        return unknown(f"fewer than {units.count(MIN_TOKENS)} tokens in {units.duration(WINDOW)}")
    windows = min(int((now - source.history.first_mono) / WINDOW), round(LONGEST / WINDOW))
    before = [found for k in range(1, windows) if (found := _price(source, hourly, now - k * WINDOW)) is not None]
    if len(before) < ENOUGH:
        return unknown(f"{len(before)} windows of {units.duration(WINDOW)} before: needs {ENOUGH}")
    usual = median(before)
    text = f"{units.digits(price, 3)} for a million tokens, usually {units.digits(usual, 3)}"
    if price <= DEARER * usual * (TO_LEAVE if firing else 1.0):
        return Condition(holds=False, summary=text)
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.INFO,
        description=(
            f"{text} (median of {len(before)} windows of {units.duration(WINDOW)}), at "
            f"{units.digits(hourly, 3)} an hour{f' ({doubt})' if doubt else ''}: the same GPUs gave fewer tokens."
        ),
        evidence=(
            Evidence(
                "cost_per_million_tokens",
                price,
                "1",
                threshold=DEARER * usual,
                window_seconds=WINDOW,
                count=float(len(before)),
                text=text,
            ),
        ),
        impact=of_cost(1 - usual / price),
    )


def _price(source: SourceView, hourly: float, end: float) -> float | None:
    tokens = source.increase("output_tokens_total", WINDOW, end)
    if tokens is None or tokens.value < MIN_TOKENS or tokens.seconds < WINDOW / 2:
        return None
    return price_of(hourly, tokens.value / tokens.seconds)


ANOMALY = Rule(
    id="cost_anomaly",
    title="Tokens cost more than usual",
    of=Source.SERVER,
    condition=cost_anomaly,
    live=Timing(60.0, 600.0),
    page=Timing(1800.0, 3600.0),
    source="1.3 times the median of 48 h, which is as far as the Store reaches: our default",
    impact="low: money, not service",
    mitigation="Scale with the load; look for aborted and repeated requests, and for what made steps longer.",
    every=600.0,  # a window of half an hour
)
