"""Are the requests of now of another kind than those before: the lengths of prompts and outputs, and the answers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.estimators.drift import MAJOR, drift
from insight.rules.quality import meaning_shifted
from insight.rules.rule import Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.estimators.drift import Drift
    from insight.settings import Settings
    from metrics.view import SourceView

QUANTITIES = {"prompt_tokens": "prompts", "output_tokens": "outputs"}
_OWN = ((Source.PROBE, "probe", "probe_requests"), (Source.QUALITY, "quality", "quality_items"))
WINDOWS = (30.0, 60.0, 120.0, 300.0)
MIN_COUNT = 200.0
MIN_REFERENCE_SECONDS = 120.0
MOST_REFERENCE_SECONDS = 3600.0
LIFETIMES = 4.0
"""A window has to be so many times as long as a request: lengths are counted at the end, and short ones end first."""
CHANCE_FACTOR = 2.5
"""PSI that chance exceeds once in a hundred windows, times this, is what it exceeds in fewer than one of a million
(chi squared with 5 to 15 degrees of freedom): a window is looked at each second, day and night."""
TO_LEAVE = 0.8
MOST_OWN = 0.1
"""Share of the requests that may be this program's own (--probe, --quality), which are all of one kind."""
SETTLING_SECONDS = 120.0
"""After a restart the short requests end first, whatever came."""


def model_drift(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether lengths are distributed otherwise than in the first half of what was watched, an hour at most."""
    del settings
    shifted = _meaning(source)
    if shifted is not None:
        return shifted
    window = _window(source)
    why = _why_not(source, window)
    if why or window is None:
        return unknown(why)
    found = _drifts(source, window)
    if not found:
        return unknown(f"fewer than {units.count(MIN_COUNT)} requests in the reference")
    quantity, worst = max(found.items(), key=lambda each: each[1].psi)
    limit = max(MAJOR, CHANCE_FACTOR * worst.chance)
    text = f"{QUANTITIES[quantity]} PSI {units.digits(worst.psi, 2)} (limit {units.digits(limit, 2)})"
    if worst.psi <= limit * (TO_LEAVE if firing else 1.0):
        return Condition(holds=False, summary=text)
    moved = _moved(worst)
    others = "".join(f"; {QUANTITIES[each]}: {_moved(drifted)}" for each, drifted in found.items() if each != quantity)
    return Condition(
        holds=True,
        summary=f"{QUANTITIES[quantity]}: {moved}, PSI {units.digits(worst.psi, 2)}",
        severity=Severity.WARNING,
        description=(
            f"The lengths of {QUANTITIES[quantity]} are not what they were: {moved}, PSI {units.digits(worst.psi, 2)} "
            f"(more than {units.digits(limit, 2)} is neither small nor chance), {units.count(worst.n)} requests of the "
            f"last {units.duration(window)} against {units.count(worst.m)} of before{others}."
        ),
        evidence=tuple(_evidence(each, drifted, window) for each, drifted in found.items()),
    )


def _why_not(source: SourceView, window: float | None) -> str:
    """Say why it cannot be told yet; '' where it can."""
    if not any(source.parts(each) for each in QUANTITIES):
        return "the server does not tell how long prompts and outputs are"
    if window is None:
        return f"fewer than {units.count(MIN_COUNT)} requests in {units.duration(WINDOWS[-1])}"
    needed = MIN_REFERENCE_SECONDS + window - (source.view.mono - source.history.first_mono)
    if needed > 0:
        return f"needs a reference of {units.duration(MIN_REFERENCE_SECONDS)}: {units.duration(needed)} more"
    restarted = source.history.restarted_mono
    if restarted is not None and source.view.mono - restarted < SETTLING_SECONDS + window:
        return "it restarted a short while ago, and short requests end first"
    if own(source, window) > MOST_OWN:
        return "too many of its requests are this program's own"
    return ""


def own(source: SourceView, window: float) -> float:
    """Tell which share of the requests of the window this program itself made."""
    view, made_here = source.view, 0.0
    for kind, name, counter in _OWN:
        if f"{name}:{source.id}" in view.ids(kind):
            made = view.of(f"{name}:{source.id}").increase(counter, window)
            made_here += made.value if made else 0.0
    quantity = next((each for each in QUANTITIES if source.parts(each)), None)
    every = source.histogram(quantity, window) if made_here and quantity else None
    return made_here / every.count if every is not None and every.count else 0.0


def _window(source: SourceView) -> float | None:
    """Choose the shortest window with enough requests that is long against the time which one takes."""
    took = source.histogram("e2e_seconds", WINDOWS[1])
    least = LIFETIMES * (took.mean or 0.0) if took is not None else 0.0
    quantity = next((each for each in QUANTITIES if source.parts(each)), "prompt_tokens")
    for window in WINDOWS:
        if window < least and window != WINDOWS[-1]:
            continue
        observed = source.histogram(quantity, window)
        if observed is not None and observed.count >= MIN_COUNT:
            return window
    return None


def _drifts(source: SourceView, window: float) -> dict[str, Drift]:
    """Compare the window with the first half of what was watched, which a change that lasts comes into only late."""
    begin = source.history.first_mono
    half = (source.view.mono - begin) / 2
    length = min(MOST_REFERENCE_SECONDS, max(MIN_REFERENCE_SECONDS, half))
    found = {}
    for quantity in QUANTITIES:
        reference = source.histogram(quantity, length, begin + length)
        now = source.histogram(quantity, window)
        if reference is None or now is None or min(reference.count, now.count) < MIN_COUNT:
            continue
        compared = drift(now, reference)
        if compared is not None:
            found[quantity] = compared
    return found


def _evidence(quantity: str, found: Drift, window: float) -> Evidence:
    text = f"{QUANTITIES[quantity]} PSI {units.digits(found.psi, 2)}, JS {units.digits(found.js, 2)} bit"
    limit = max(MAJOR, CHANCE_FACTOR * found.chance)
    return Evidence(quantity, found.psi, "1", threshold=limit, window_seconds=window, count=found.n, text=text)


def _meaning(source: SourceView) -> Condition | None:
    """Tell of answers that went off their questions or fell apart, where --quality measures it."""
    name = f"quality:{source.id}"
    if name not in source.view.ids(Source.QUALITY):
        return None
    found = meaning_shifted(source.view.of(name))
    if found is None:
        return None
    what, shift = found
    text = f"{what} changed by {units.digits(shift.value, 2)}"
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.WARNING,
        description=(
            f"The {text} ({units.digits(shift.lo, 2)} to {units.digits(shift.hi, 2)}) over {shift.n} questions, twice "
            "running against the first pass."
        ),
        evidence=(Evidence(what, shift.value, "1", count=float(shift.n), text=text, lo=shift.lo, hi=shift.hi),),
    )


def _moved(found: Drift) -> str:
    return f"mean {units.count(_round(found.reference_mean))} to {units.count(_round(found.mean))} tokens"


def _round(mean: float | None) -> float:
    return math.nan if mean is None else float(round(mean))


DRIFT = Rule(
    id="model_drift",
    title="Model drift due to data shifts",
    of=Source.SERVER,
    condition=model_drift,
    live=Timing(5.0, 60.0),
    page=Timing(1800.0, 3600.0),
    source="PSI over 0.25, and over what chance gives for so few requests: our default",
    impact="medium: limits and objectives were set for other traffic",
    mitigation=(
        "Tune slots and token budget for the lengths of now; ask new questions in --quality, and refresh the data that "
        "the model is tuned with."
    ),
    every=2.0,
)
