"""One of the two times that are compared: what the server was, what it was set to, and what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from insight.estimators.windows import StepWindow, WindowLog
from insight.verification.settings import FLAG, LIMITS, SETTINGS
from insight.verification.spells import SETTLE_SECONDS, SHORTEST_SECONDS, Spell, beginnings, cut, gpus_of
from metrics import units
from metrics.finding import Recommendation
from metrics.histogram import Histogram
from metrics.observed import Measure
from metrics.snapshot import Objective

if TYPE_CHECKING:
    from metrics.observed import Target
    from metrics.snapshot import Snapshot
    from metrics.view import SourceView


class Side(Struct, frozen=True):
    """One server over one time."""

    label: str
    """What the reader calls it: the name of the file, and before or after which mark."""
    target: str
    engine: str | None
    version: str | None
    model: str | None
    settings: dict[str, str]
    begin: float
    """Seconds since the epoch."""
    end: float
    quantities: dict[str, Measure]
    """Over all of the time."""
    quality: dict[str, Measure]
    recommendations: tuple[Recommendation, ...]
    """What was advised at its end."""
    gpus: tuple[str, ...] = ()
    """Their names."""
    objectives: tuple[Objective, ...] = ()
    """What it was to keep."""
    simulated: bool = False
    recorded: bool = False
    """It was seen over time; else only the sums of a report are known."""
    spells: tuple[Spell, ...] = ()
    windows: tuple[StepWindow, ...] = ()
    """Short ones, for the step-time model."""

    @property
    def seconds(self) -> float:
        """Time that the numbers speak of."""
        return sum(each.seconds for each in self.spells) if self.spells else self.end - self.begin

    def observed(self, quantity: str) -> Histogram | None:
        """Add up what a histogram observed in all spells."""
        parts = [each.histograms[quantity] for each in self.spells if quantity in each.histograms]
        if not parts or any(each.bounds != parts[0].bounds for each in parts):
            return None
        counts = zip(*(each.counts for each in parts), strict=True)
        return Histogram(parts[0].bounds, tuple(map(sum, counts)), sum(each.sum for each in parts))


def of_snapshot(snapshot: Snapshot, target: Target, label: str) -> Side:
    """Take what a Snapshot tells of one server: sums and means, without how they came about over time."""
    set_up = {name: fact for name, fact in target.facts.items() if name in SETTINGS or name.startswith(FLAG)}
    for name in LIMITS:
        measure = target.quantities.get(name)
        if measure is not None and measure.value is not None:
            set_up[name] = f"{measure.value:g}"
    seconds = target.window_seconds or snapshot.window_seconds or 0.0
    return Side(
        label=label,
        target=target.id,
        engine=target.engine,
        version=target.engine_version,
        model=target.model,
        settings=set_up,
        begin=snapshot.generated_wall - seconds,
        end=snapshot.generated_wall,
        quantities=target.quantities,
        quality=snapshot.quality or {},
        recommendations=tuple(each for each in snapshot.recommendations if each.target in {None, target.id}),
        gpus=tuple(each.name or "unknown GPU" for each in snapshot.gpus),
        objectives=snapshot.objectives,
        simulated=target.simulated,
    )


def of_recording(snapshot: Snapshot, target: Target, source: SourceView, label: str, *, settled: bool = True) -> Side:
    """Take what was seen of one server from the first poll on to now; not `settled`, without its first half minute."""
    view, history = source.view, source.history
    begin = history.first_mono + (0.0 if settled else SETTLE_SECONDS)
    spells = cut(source, begin, view.mono, gpus_of(source))
    log = WindowLog()
    log.observe(source)
    unsettled = max([begin, *(view.mono - (view.wall - wall) + SETTLE_SECONDS for wall in beginnings(source))])
    windows = tuple(each for each in log.windows if each.end - each.seconds >= unsettled)
    bare = of_snapshot(snapshot, target, label)
    return replace(bare, begin=view.wall_at(begin), recorded=True, spells=spells, windows=windows)


def untold(side: Side, fewest: int) -> str:
    """Say in one line why no change of a side can be told from noise; empty where it can."""
    if not side.recorded:
        return (
            f"{side.label} is a report, and of its sums alone nobody can tell a change from noise: give its recording"
        )
    if len(side.spells) >= fewest:
        return ""
    length = side.spells[0].seconds if side.spells else SHORTEST_SECONDS
    there = f"{len(side.spells)} spell{'' if len(side.spells) == 1 else 's'}" if side.spells else "no spell"
    return (
        f"{side.label} is too short: it holds {there} of {units.duration(length)} in which the server answered "
        f"throughout, and it takes {fewest} to know how much they differ by chance"
    )
