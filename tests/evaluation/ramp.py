"""The estimators on a real vLLM: fitted on lower rates, held against the higher ones and against saturation.

What is true is what the same server showed at those rates, what its client counted, and the cost of its steps by its
own log of them (5.81 ms + 0.470 ms a request decoding + 0.242 ms a prompt token, R2 0.99), which no estimator sees.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators.capacity import measured_capacity, slot_capacity
from insight.estimators.effects import around
from insight.estimators.forecast import itl, itl_at, predictive, rate_within
from insight.estimators.step_time import StepTime, fit
from insight.estimators.steps import Limits, StepCost
from insight.estimators.traffic import Traffic, observed
from insight.estimators.windows import StepWindow, WindowLog
from metrics.sample import State
from metrics.store import Store
from metrics.view import View
from tests.captures import URL, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.effect import Effect
    from metrics.histogram import Histogram

RAMP, PREFIX_OFF = "vllm-ramp", "vllm-prefix-off"
RATES = ("r1", "r2.5", "r4", "r5.5", "r7", "r8")
LIMITS = Limits(slots=32, budget=2048)
TRUE_COST = StepCost(5.81e-3, 0.470e-3, 0.242e-3)
SETTLE_SECONDS = 3.0
"""A phase begins with an empty server."""
CACHE_ON = {"m4": (0.53, 8.12e-3), "h6.5": (0.52, 10.08e-3)}
"""Hit rate and mean ITL of the run with prefix caching, which is not among the captures; ..."""
CACHE_ON_GAIN = 1.425
"""... and what it could carry, over what the run without could."""


class Row(Struct, frozen=True):
    """One statement and what became of it."""

    statement: str
    accepted: str
    predicted: float
    measured: float
    holds: bool
    unit: str = ""
    lo: float | None = None
    hi: float | None = None

    @property
    def error(self) -> float:
        return self.predicted / self.measured - 1.0


class Part(Struct, frozen=True):
    """One phase of a capture."""

    windows: tuple[StepWindow, ...]
    traffic: Traffic
    client_in_server: float
    gauges_in_server: float

    def mean(self, total: str, count: str) -> float:
        totals = (sum(float(getattr(each, name)) for each in self.windows) for name in (total, count))
        return next(totals) / next(totals)

    @property
    def itl(self) -> float:
        return self.mean("itl_sum", "itl_count")

    @property
    def seconds(self) -> float:
        return sum(each.seconds for each in self.windows)


@cache
def part(capture: str, name: str) -> Part:
    """Collect the windows of one phase, from after it settled, and what its client saw in that time."""
    whole = load(capture)
    phase = {each["event"]: each["t"] for each in whole.events if each.get("phase") == name}
    begin, end = phase["phase_start"] + SETTLE_SECONDS, phase["phase_end"]
    store, log = Store(), WindowLog()
    prompts: Histogram | None = None
    for sample in whole.until(begin, end):
        if sample.state is State.OK:
            store.add(sample)
            source = View(store, sample.mono, sample.wall).of(URL)
            log.observe(source)
            prompts = source.histogram("prompt_tokens", end - begin)
    windows = tuple(log.windows)
    traffic = observed(windows, prompts)
    assert traffic is not None
    first, last = windows[0].end - windows[0].seconds, windows[-1].end
    stays = [
        min(last, each["t_send"] + each["total"]) - max(first, each["t_send"])
        for each in whole.client
        if each["t_send"] < last and each["t_send"] + each["total"] > first
    ]
    gauges = sum(((each.running or 0.0) + (each.waiting or 0.0)) * each.seconds for each in windows)
    return Part(windows, traffic, sum(stays) / (last - first), gauges / (last - first))


@cache
def model(capture: str, *names: str) -> StepTime:
    """Fit the windows of these phases."""
    found = fit([each for name in names for each in part(capture, name).windows])
    assert isinstance(found, StepTime), found
    return found


def ramp_table() -> list[Row]:
    """Work out every row; that takes 2 s."""
    return [
        *_in_server(),
        *_costs(),
        *_capacities(),
        *_objectives(),
        *_latencies(),
        *_prefix_cache(),
    ]


def _in_server() -> list[Row]:
    rows = []
    for name in (*RATES, "sat"):
        phase = part(RAMP, name)
        by_sums = sum(each.in_server * each.seconds for each in phase.windows) / phase.seconds
        rows.append(_row(f"requests in the server by the sums, {name}", 0.02, by_sums, phase.client_in_server))
        if phase.client_in_server >= 2:
            by_gauges = phase.gauges_in_server
            rows.append(_row(f"requests in the server by the gauges, {name}", 0.2, by_gauges, phase.client_in_server))
    return rows


def _costs() -> list[Row]:
    rows = []
    for names, share in ((RATES[:3], 0.12), (RATES[:4], 0.05), (RATES[3:], 0.05), (RATES, 0.05)):
        found = model(RAMP, *names)
        true = TRUE_COST.work(found.prompt, found.output)
        drawn = [each.work(found.prompt, found.output) for each in found.replicates]
        rows.append(
            _row(f"work of a request, fit on {_span(names)}", share, found.work, true, "s", *around(found.work, drawn))
        )
    found = model(RAMP, *RATES[:3])
    for name, share in (("alpha", 0.1), ("beta", 0.35), ("gamma", 0.08)):
        mid = getattr(found.cost, name)
        drawn = [getattr(each, name) for each in found.replicates]
        rows.append(
            _row(f"{name}, fit on {_span(RATES[:3])}", share, mid, getattr(TRUE_COST, name), "s", *around(mid, drawn))
        )
    return rows


def capacity_now() -> Effect:
    """Measure what the saturated phase finished."""
    return measured_capacity(part(RAMP, "sat").windows, LIMITS.slots)


def _capacities() -> list[Row]:
    measured = capacity_now().now
    assert measured is not None
    rows = []
    for names, share in ((RATES[:3], 0.2), (RATES[:4], 0.05), (RATES[3:], 0.05), (RATES, 0.05)):
        found = model(RAMP, *names)
        effect = slot_capacity(found, part(RAMP, "sat").traffic, LIMITS.slots)
        rows.append(
            _effect_row(f"capacity, fit on {_span(names)}, k = {32 / found.batch:.1f}", share, effect, measured)
        )
    return rows


def _objectives() -> list[Row]:
    phases = [part(RAMP, name) for name in RATES]
    rows = []
    for limit in (0.012, 0.015, 0.020, 0.030):
        below, above = next((low, high) for low, high in pairwise(phases) if low.itl <= limit <= high.itl)
        place = (limit - below.itl) / (above.itl - below.itl)
        measured = below.traffic.rate + place * (above.traffic.rate - below.traffic.rate)
        found = model(RAMP, *RATES[:3])
        effect = rate_within(found, above.traffic, LIMITS, limit)
        rows.append(_effect_row(f"rate at a mean ITL of {limit * 1e3:.0f} ms, fit on r1-r4", 0.15, effect, measured))
    return rows


def _latencies() -> list[Row]:
    rows = []
    for names, ahead in ((RATES[:3], RATES[3:]), (RATES[:4], RATES[4:])):
        found = model(RAMP, *names)
        for name in ahead:
            phase = part(RAMP, name)
            share = 0.15 if phase.traffic.rate * found.work <= 1.35 * found.load else 0.35
            mean = itl(found, phase.traffic, LIMITS)
            what = f"mean ITL at {name}, fit on {_span(names)}"
            rows.append(_effect_row(what, share, mean, phase.itl))
            spread = predictive(found, phase.traffic, LIMITS, phase.seconds, warm_up=SETTLE_SECONDS)
            rows.append(_covered(f"{what}: predictive interval", spread, phase.itl))
    return rows


def _prefix_cache() -> list[Row]:
    rows = []
    names = ("m4", "h6.5")
    found = model(PREFIX_OFF, *names, "sat")  # without the saturated phase there are too few windows
    for name in names:
        hits, measured = CACHE_ON[name]
        phase = part(PREFIX_OFF, name)
        rate, prompt, output = phase.traffic.rate, phase.traffic.prompt, phase.traffic.output
        then, now = itl_at(found, rate, prompt * (1 - hits), output), itl_at(found, rate, prompt, output)
        assert then is not None
        assert now is not None
        rows.append(_row(f"mean ITL with prefix caching at {name}", 0.07, phase.itl * then / now, measured, "s"))
    mix = part(PREFIX_OFF, "sat").traffic
    more, less = (found.cost.capacity(mix.prompt * left, mix.output, LIMITS.slots) for left in (1 - 0.52, 1.0))
    gain = more / less - 1.0
    ratio = (CACHE_ON_GAIN - 1.0) / gain
    rows.append(
        Row("capacity gained by prefix caching", "-30 to +5 % of it", gain, CACHE_ON_GAIN - 1.0, 0.7 <= ratio <= 1.05)
    )
    return rows


def _row(
    statement: str,
    share: float,
    predicted: float,
    measured: float,
    unit: str = "",
    lo: float | None = None,
    hi: float | None = None,
) -> Row:
    holds = abs(predicted / measured - 1.0) <= share
    return Row(statement, f"within {share * 100:.0f} %", predicted, measured, holds, unit, lo, hi)


def _effect_row(statement: str, share: float, effect: Effect, measured: float) -> Row:
    assert effect.mid is not None, effect
    grade = f"{statement} ({effect.grade.value})"
    return _row(grade, share, effect.mid, measured, effect.unit, effect.lo, effect.hi)


def _covered(statement: str, effect: Effect, measured: float) -> Row:
    assert effect.mid is not None, effect
    assert effect.lo is not None
    assert effect.hi is not None
    holds = effect.lo <= measured <= effect.hi
    return Row(statement, "holds it", effect.mid, measured, holds, effect.unit, effect.lo, effect.hi)


def _span(names: Sequence[str]) -> str:
    return f"{names[0]}-{names[-1]}"
