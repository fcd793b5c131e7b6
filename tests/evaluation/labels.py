"""What fired in a scenario, held against its truth."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct

from metrics.finding import Severity
from simulator.scenario import load
from tests.evaluation.live import Live

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.scenario import Scenario

RECALL = PRECISION = LED = 0.95
MEDIAN_SECONDS, CRITICAL_SECONDS = 30.0, 15.0
OWN_PACE = {
    "stuck_server": "within its own rule: no progress for 10 s, 5 ITL or 2 prefills",
    "model_drift": "200 requests of the new kind, in a window of 4 requests' length",
    "quality_regression": "two passes over the questions, a minute each here",
    "cache_inconsistency": "fifty pairs of answers, or broken JSON, a minute a pass here",
}
"""Risks that wait for as much data as they rest on, whatever a clock says."""
NOTES = frozenset(("decode_bandwidth_bound", "prefill_compute_bound"))
"""What tells which limit of its GPUs a server runs into, and only beside something that is amiss: it is false where
nothing is."""


class Found(Struct, frozen=True):
    """A risk of the truth that fired."""

    risk: str
    seconds: float
    """From its cause to its firing."""
    critical: bool
    """It fired as critical at once."""


class Wrong(Struct, frozen=True):
    """Something that fired and is not true, or not yet."""

    risk: str
    at: float
    source: str
    said: str


class Run(Struct, frozen=True):
    """One scenario, with one seed."""

    scenario: str
    seed: int
    found: tuple[Found, ...]
    missed: tuple[str, ...]
    also: tuple[str, ...]
    """Of what is true as well, what fired."""
    wrong: tuple[Wrong, ...]
    first: str | None = None
    """What stood first at the end, as in the verdict; None where nothing fired that is worse than a note."""
    led: bool | None = None
    """It is one of the risks of the truth and not what follows from them; None where there was none to be named."""


def judge(scenario: Scenario, seed: int, *, asked: bool = False) -> Run:
    """Watch a scenario and compare what fires with its truth; each risk counts once, the first time.

    Every other seed is watched from another host, where nobody knows with what the server was started.
    """
    truth = scenario.truth
    since = {each.id: each.since for each in (*truth.also, *truth.risks)}
    expected = {each.id for each in truth.risks}
    found: dict[str, Found] = {}
    also: set[str] = set()
    wrong: dict[str, Wrong] = {}
    live = Live(scenario, seed, asked=asked, at_home=seed % 2 == 0)
    for now in live.watch():
        for alarm in live.alarms():
            if alarm.rule in NOTES and any(each <= now for each in since.values()):
                continue
            if now < since.get(alarm.rule, now + 1):
                wrong.setdefault(alarm.rule, Wrong(alarm.rule, now, alarm.source, alarm.said))
            elif alarm.rule not in expected:
                also.add(alarm.rule)
            elif alarm.rule not in found:
                critical = alarm.severity is Severity.CRITICAL
                found[alarm.rule] = Found(alarm.rule, now - since[alarm.rule], critical)
    missed = tuple(each.id for each in truth.risks if each.id not in found)
    first, led = _verdict(live, expected)
    return Run(
        scenario.name, seed, tuple(found.values()), missed, tuple(sorted(also)), tuple(wrong.values()), first, led
    )


def _verdict(live: Live, expected: set[str]) -> tuple[str | None, bool | None]:
    """Tell what a verdict names at the end, and whether it has to be found; None where nothing that has to be fires."""
    firing = [each for each in live.findings() if each.severity is not Severity.INFO]
    first = firing[0].id if firing else None
    known = any(each.id in expected for each in firing)
    return first, first in expected if known else None


def judge_named(name: str, seed: int) -> Run:
    """Do so with a scenario that comes with the program, or with that of a file."""
    return judge(load(name), seed)


class Score(Struct, frozen=True):
    """How well one risk was told, over all runs."""

    risk: str
    scenarios: tuple[str, ...]
    """In which it is true."""
    runs: int
    found: int
    true: int
    """Runs in which it fired and was true, as what has to be found or as what is true as well."""
    false: int
    """Runs in which it fired and was not."""
    median: float | None
    p95: float | None
    critical: bool
    """It fired as critical at once, most times."""

    @property
    def recall(self) -> float | None:
        return self.found / self.runs if self.runs else None

    @property
    def precision(self) -> float | None:
        return self.true / (self.true + self.false) if self.true + self.false else None

    @property
    def limit(self) -> float | None:
        """Seconds within which the median has to lie."""
        if self.risk in OWN_PACE:
            return None
        return CRITICAL_SECONDS if self.critical else MEDIAN_SECONDS

    @property
    def holds(self) -> bool:
        told = self.recall is None or self.recall >= RECALL
        right = self.precision is None or self.precision >= PRECISION
        return told and right and (self.median is None or self.limit is None or self.median <= self.limit)


def leads(runs: Sequence[Run]) -> bool:
    """Tell whether the verdict names a risk of the truth often enough, where there is one to be named."""
    told = [run.led for run in runs if run.led is not None]
    return not told or sum(told) / len(told) >= LED


def scores(runs: Sequence[Run]) -> list[Score]:
    """Add up the runs, risk by risk."""
    ids = {each for run in runs for each in run.missed}
    ids |= {each.risk for run in runs for each in run.found}
    ids |= {each.risk for run in runs for each in run.wrong}
    return [_score(risk, runs) for risk in sorted(ids)]


def _score(risk: str, runs: Sequence[Run]) -> Score:
    seen = [each for run in runs for each in run.found if each.risk == risk]
    labelled = [run for run in runs if risk in run.missed or any(each.risk == risk for each in run.found)]
    seconds = sorted(each.seconds for each in seen)
    return Score(
        risk,
        tuple(sorted({run.scenario for run in labelled})),
        runs=len(labelled),
        found=len(seen),
        true=len(seen) + sum(risk in run.also for run in runs),
        false=sum(any(each.risk == risk for each in run.wrong) for run in runs),
        median=median(seconds) if seconds else None,
        p95=seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))] if seconds else None,
        critical=sum(each.critical for each in seen) > len(seen) / 2,
    )
