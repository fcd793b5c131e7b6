"""One of the two times that are compared: what the server was, what it was set to, and what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from insight.estimators.windows import StepWindow, WindowLog
from insight.verification.spells import SETTLE_SECONDS, SHORTEST_SECONDS, Spell, beginnings, cut, gpus_of
from metrics.finding import Recommendation
from metrics.histogram import Histogram
from metrics.observed import Measure

if TYPE_CHECKING:
    from metrics.observed import Target
    from metrics.snapshot import Snapshot
    from metrics.view import SourceView

SETTINGS = frozenset(
    (
        *("block_size", "cache_dtype", "enable_prefix_caching", "gpu_memory_utilization", "kv_cache_memory_bytes"),
        *("num_gpu_blocks", "num_gpu_blocks_override", "sliding_window", "max_lora"),
    )
)
"""Facts that say how a server was set up; so does every `flag_*`. Others (addresses, what runs now) say who it is."""
LIMITS = ("max_running_requests", "max_model_len", "kv_cache_capacity_tokens")
"""Gauges that say how a server was set up."""


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
    simulated: bool = False
    spells: tuple[Spell, ...] = ()
    """Empty where only a Snapshot is known."""
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
    set_up = {name: fact for name, fact in target.facts.items() if name in SETTINGS or name.startswith("flag_")}
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
    return replace(of_snapshot(snapshot, target, label), begin=view.wall_at(begin), spells=spells, windows=windows)


def too_short(side: Side, fewest: int) -> str:
    """Say in one line that a time is too short to be compared; empty where it is not."""
    if len(side.spells) >= fewest:
        return ""
    return (
        f"{side.label} holds {len(side.spells)} spells of {SHORTEST_SECONDS:.0f} s in which the server answered "
        f"throughout, and it takes {fewest} to know how much they differ by chance"
    )
